package agent

import (
	"context"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// current reads this node's database through the log of the leader, no older than the moment of the call. It is what a
// lease rests on, so it never answers from this node's own state.
func (a *Agent) current(ctx context.Context) (*registry.Database, error) {
	v, err := a.client.Database(ctx, a.cfg.Database.Name, api.Current)
	if err != nil {
		return nil, err
	}
	return v.Database, nil
}

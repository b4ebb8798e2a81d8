package agent

import (
	"fmt"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/rejoin"
)

// newReturner prepares what brings the server of k back when it holds what the primary lacks.
func newReturner(cfg Config, k *keeper, account mysqld.Source, feed promote.Feed) (*rejoin.Returner, error) {
	d := cfg.Database
	r, err := rejoin.New(rejoin.Config{Database: d.Name, Instance: d.Instance, Data: cfg.DataDir, Policy: d.OnDivergence,
		Start: rejoin.Program(d.Start), Stop: rejoin.Program(d.Stop), Replication: account, Notify: k.poke, Logger: k.log.With("room", "rejoin")},
		rejoin.Parts{Server: k.server, Guard: func() rejoin.Guard { return k.guard }, Observer: k.checker, Feed: feed})
	if err != nil {
		return nil, fmt.Errorf("return of %s: %w", d.Instance, err)
	}
	return r, nil
}

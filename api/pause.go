package api

import (
	"context"

	"github.com/baton-db/baton/registry"
)

// PauseRequest asks for a database to be left alone, or no longer.
type PauseRequest struct {
	Paused bool   `json:"paused"`
	Reason string `json:"reason,omitempty"` // for the history: one line
	By     string `json:"by,omitempty"`     // the account at the operator's machine; the certificate is recorded as well
}

// PauseResult is what is so now. Index is that of the change, 0 where nothing had to be changed.
type PauseResult struct {
	Meta     Meta                  `json:"-"`
	Database registry.DatabaseName `json:"database"`
	Paused   bool                  `json:"paused"`
	Pause    registry.Pause        `json:"pause,omitzero"`
	Index    registry.Index        `json:"index,omitempty"`
}

// Pause pauses db or resumes it, and returns when that is recorded.
func (c *Client) Pause(ctx context.Context, db registry.DatabaseName, req PauseRequest) (v PauseResult, err error) {
	v.Meta, err = c.operate(ctx, databasePath(db)+"/pause", req, operation{into: &v})
	return v, err
}

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/baton-db/baton/registry"
)

// RejoinRequest asks for a server that holds what the primary lacks to be brought back.
type RejoinRequest struct {
	Instance registry.InstanceID `json:"instance"`
	How      string              `json:"how"`              // rewind, clone or wait
	Reason   string              `json:"reason,omitempty"` // for the history: one line
}

// RejoinResult says that the wish is recorded. The server's own node carries it out.
type RejoinResult struct {
	Meta     Meta                  `json:"-"`
	Database registry.DatabaseName `json:"database"`
	Instance registry.InstanceID   `json:"instance"`
	How      string                `json:"how"`
	Epoch    registry.Epoch        `json:"epoch"` // with which the wish ends
	Index    registry.Index        `json:"index"`
}

// Rejoin asks for a server to be brought back, and returns when that is recorded.
func (c *Client) Rejoin(ctx context.Context, db registry.DatabaseName, req RejoinRequest) (RejoinResult, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return RejoinResult{}, fmt.Errorf("rejoin in %s: %w", db, err)
	}
	var v RejoinResult
	v.Meta, err = c.do(ctx, request{method: http.MethodPost, path: databasePath(db) + "/rejoin", body: body, mediaType: "application/json", time: answerTime}, &v)
	return v, err
}

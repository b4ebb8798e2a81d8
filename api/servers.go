package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/baton-db/baton/registry"
)

// ServersRequest asks for a change of who votes: one server to add, or one to remove.
type ServersRequest struct {
	Add     registry.NodeID `json:"add,omitempty"`
	Address string          `json:"address,omitempty"` // host:port of Add's API
	Remove  registry.NodeID `json:"remove,omitempty"`
	Reason  string          `json:"reason,omitempty"` // for the leader's log: one line
}

// ServersResult is who votes afterwards.
type ServersResult struct {
	Meta    Meta       `json:"-"`
	Servers []RaftPeer `json:"servers"`
}

// Voters is how many of peers vote.
func Voters(peers []RaftPeer) (n int) {
	for _, p := range peers {
		if p.Voter {
			n++
		}
	}
	return n
}

// Servers changes who votes and returns when it is done, or after wait, at most a minute.
func (c *Client) Servers(ctx context.Context, req ServersRequest, wait time.Duration) (ServersResult, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return ServersResult{}, fmt.Errorf("change the servers: %w", err)
	}
	q := request{method: http.MethodPost, path: "/v1/servers", query: "wait=" + wait.String(), body: body, mediaType: "application/json", time: answerTime + wait}
	var v ServersResult
	v.Meta, err = c.do(ctx, q, &v)
	return v, err
}

// StatusAt is what the server at addr knows itself, however old.
func (c *Client) StatusAt(ctx context.Context, addr string) (Status, error) {
	var v Status
	meta, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/status", query: "stale", time: answerTime, addrs: []string{addr}}, &v)
	v.Meta = meta
	return v, err
}

package server

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// forward has the leader answer c and copies its answer. A request is forwarded at most once.
func (s *Server) forward(c *call, leader registry.NodeID, apiAddr string) error {
	switch by := c.r.Header.Get(api.HeaderForwardedBy); {
	case by == string(s.cfg.Node):
		return api.NewProblem(api.CodeLoop, "", "the request of %s came back to it", by)
	case by != "":
		return api.NewProblem(api.CodeNotLeader, "ask again: the servers have not agreed on a leader yet", "%s took %s for the leader", by, s.cfg.Node)
	case leader == "" || apiAddr == "":
		return api.NewProblem(api.CodeNoQuorum, "ask again, or read with ?stale", "no leader is known")
	}
	body, err := s.body(c)
	if err != nil {
		return err
	}
	u := s.cfg.Forward.URL(apiAddr, c.r.URL.EscapedPath(), c.r.URL.RawQuery)
	req, err := http.NewRequestWithContext(c.r.Context(), c.r.Method, u, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("forward to %s: %w", leader, err)
	}
	if t := c.r.Header.Get("Content-Type"); t != "" {
		req.Header.Set("Content-Type", t)
	}
	req.Header.Set(api.HeaderForwardedBy, string(s.cfg.Node))
	req.Header.Set(api.HeaderPeer, c.peer.String())
	resp, err := s.cfg.Forward.RoundTrip(req)
	if err != nil {
		return forwardFailed(c.r.Method, leader, err)
	}
	defer func() { _ = resp.Body.Close() }()
	for _, h := range []string{"Content-Type", "Retry-After", api.HeaderIndex} {
		if v := resp.Header.Get(h); v != "" {
			c.w.Header().Set(h, v)
		}
	}
	c.w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(c.w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // the head is sent: only a cut tells the peer that the answer is not whole
	}
	return nil
}

func forwardFailed(method string, leader registry.NodeID, err error) error {
	if api.Unsent(err) || method == http.MethodGet {
		return api.NewProblem(api.CodeNoQuorum, "ask again, or read with ?stale", "forward to the leader %s: %v", leader, err)
	}
	return fmt.Errorf("forward to the leader %s: %w: %w", leader, api.ErrInDoubt, err)
}

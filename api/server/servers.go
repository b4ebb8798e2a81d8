package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/registry"
)

// servers changes who votes.
func (s *Server) servers(c *call) (any, error) {
	var req api.ServersRequest
	if err := s.wish(c, &req, &req.Reason); err != nil {
		return nil, err
	}
	if host, port, err := net.SplitHostPort(req.Address); req.Address != "" && (err != nil || host == "" || port == "") {
		return nil, api.NewProblem(api.CodeMalformed, "say host:port of its API", "address %.80q", req.Address)
	}
	ctx := c.r.Context()
	if err := s.barrier(ctx); err != nil {
		return nil, err
	}
	if err := operate.Servers(s.cfg.Backend.Raft(), req); err != nil {
		return nil, err
	}
	s.cfg.Log.Info("the servers change", "by", c.peer.String(), "add", req.Add, "at", req.Address, "remove", req.Remove, "reason", req.Reason)
	var err error
	if req.Add != "" {
		err = s.cfg.Backend.AddServer(ctx, req.Add, req.Address)
	} else {
		err = s.removeServer(ctx, req.Remove)
	}
	if err != nil {
		return nil, err
	}
	return api.ServersResult{Servers: s.peers(s.state(c))}, nil
}

// removeServer takes id out of the consensus before its name is forgotten: a server that finds its name registered and its
// votes gone refuses to begin (G3), and one that is no member waits to be added.
func (s *Server) removeServer(ctx context.Context, id registry.NodeID) error {
	if err := s.cfg.Backend.RemoveServer(ctx, id); err != nil {
		return err
	}
	_, err := s.commit(ctx, &registry.RemoveNode{ID: id})
	switch {
	case errors.Is(err, registry.ErrUnknown):
		return nil // it never came up
	case err != nil: // its vote is gone: to say that nothing was done would be wrong, and the next leader finishes it (G5)
		return fmt.Errorf("%s votes no more, and its name stays for a moment: %w: %w", id, api.ErrInDoubt, err)
	}
	return nil
}

// peers are the members of the consensus as the backend sees them, and whether st knows them.
func (s *Server) peers(st *registry.State) []api.RaftPeer {
	peers := slices.Clone(s.cfg.Backend.Raft().Peers)
	for i, p := range peers {
		_, peers[i].Registered = st.Node(p.Node)
	}
	return peers
}

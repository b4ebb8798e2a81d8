package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/strict"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// propose hands a command to the log.
func (s *Server) propose(c *call) (any, error) {
	if err := c.mediaType(api.CommandType); err != nil {
		return nil, err
	}
	b, err := s.body(c)
	if err != nil {
		return nil, err
	}
	if len(b) > 3 {
		if err := strict.Check(b[3:]); err != nil {
			return nil, malformed(err)
		}
	}
	cmd, err := codec.Decode(b)
	if err != nil {
		return nil, api.NewProblem(api.CodeMalformed, "is this server older than the one that sent it?", "%v", err)
	}
	if err := authorizeCommand(c.peer, s.cfg.Backend.State(), cmd); err != nil {
		return nil, err
	}
	i, err := s.commit(c.r.Context(), cmd)
	if err != nil {
		return nil, err
	}
	return api.Proposed{Index: i}, nil
}

// commit proposes within the request's time. A deadline that passes leaves the outcome open.
func (s *Server) commit(ctx context.Context, cmd registry.Command) (registry.Index, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTime)
	defer cancel()
	i, err := s.cfg.Backend.Propose(ctx, cmd)
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, api.ErrNoQuorum) {
		return 0, fmt.Errorf("%w: %w", api.ErrInDoubt, err)
	}
	return i, err
}

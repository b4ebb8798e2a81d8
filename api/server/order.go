package server

import (
	"context"

	"github.com/baton-db/baton/api/strict"
	"github.com/baton-db/baton/registry"
)

// read reads what an operator asks for into req.
func (s *Server) read(c *call, req any) error {
	if err := c.mediaType("application/json"); err != nil {
		return err
	}
	b, err := s.body(c)
	if err != nil {
		return err
	}
	if err := strict.Unmarshal(b, req); err != nil {
		return malformed(err)
	}
	return nil
}

// wish is read for a request that reason, free text, is a part of.
func (s *Server) wish(c *call, req any, reason *string) error {
	if err := s.read(c, req); err != nil {
		return err
	}
	return checkText("reason", *reason)
}

// order is read for a request about one database, which it returns, behind a barrier.
func (s *Server) order(c *call, req any) (*registry.Database, error) {
	if err := s.read(c, req); err != nil {
		return nil, err
	}
	if err := s.barrier(c.r.Context()); err != nil {
		return nil, err
	}
	return s.find(c)
}

// until looks again at every change until done, or the wait is over.
func (s *Server) until(c *call, name registry.DatabaseName, done func(*registry.Database) bool) {
	ctx, cancel := context.WithTimeout(c.r.Context(), c.wait)
	defer cancel()
	for {
		changed := s.cfg.Backend.Changed()
		if d, ok := s.state(c).Database(name); !ok || done(d) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-c.closing().Done():
			return
		}
	}
}

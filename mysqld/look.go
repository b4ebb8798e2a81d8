package mysqld

import (
	"context"
	"errors"
	"slices"
)

// ErrLooking: the server still works on an earlier look that was given up, and a second one would hang beside it.
var ErrLooking = errors.New("an earlier look has not ended in the server")

// once is quietly for a look that may hang: the session of one that was given up goes on in the server, and there may be
// hundreds of them after a minute. MariaDB 10.11 answers no SHOW ALL REPLICAS STATUS while the disk of a replica is full, and
// does not end one that is killed. So the next look begins when that session is gone.
func (s *Server) once(ctx context.Context, look func(context.Context, *session) error) error {
	return s.quietly(ctx, func(inner context.Context, c *session) error {
		if err := s.strayGone(ctx); err != nil {
			return err
		}
		id, err := s.id(inner, s.probe, c)
		if err == nil {
			err = look(inner, c)
		}
		if err != nil && ctx.Err() != nil {
			s.mu.Lock()
			s.stray = id
			s.mu.Unlock()
		}
		return err
	})
}

// strayGone returns nil when the server has ended the look that was given up last. A session of that number which is not
// ours, rests, or is the one that asks, is one of another process of the server.
func (s *Server) strayGone(ctx context.Context) error {
	s.mu.Lock()
	id := s.stray
	s.mu.Unlock()
	if id == "" {
		return nil
	}
	return s.on(ctx, s.side, "see whether a look that was given up has ended", func(ctx context.Context, c *session) error {
		own, err := s.id(ctx, s.side, c)
		if err != nil {
			return err
		}
		all, err := c.rows(ctx, textSessions)
		if err != nil {
			return err
		}
		if own != id && slices.ContainsFunc(all, func(r row) bool { return r["Id"] == id && r["User"] == s.cfg.User && r["Command"] != "Sleep" }) {
			return ErrLooking
		}
		s.mu.Lock()
		s.stray = ""
		s.mu.Unlock()
		return nil
	})
}

package mysqld

import (
	"context"
	"errors"
	"slices"
	"time"
)

// letIn opens writes on the control lane. A statement that was given up goes on in the server: a process that was frozen reads
// it when it goes on, and would open after its lease is over, or after another reigns. So its session is ended before this
// returns, and where that does not come about, before anything closes writes again (nobodyOpens).
func (s *Server) letIn(ctx context.Context, c *session) error {
	id, err := s.id(ctx, s.control, c)
	if err != nil {
		return err
	}
	s.opens(id)
	err = c.do(ctx, c.open)
	if err == nil || code(err) != 0 {
		s.opens("") // the server has answered: nothing is left of it
		return err
	}
	return errors.Join(err, s.afterwards(ctx, func(ctx context.Context, c *session) error { return s.endOpener(ctx, c, id) }))
}

// nobodyOpens returns nil when no session is left that may still open writes. closer is the one that is about to close them: one
// of the same number is of an earlier process, and has ended with it.
func (s *Server) nobodyOpens(ctx context.Context, closer string) error {
	s.mu.Lock()
	id := s.opener
	s.mu.Unlock()
	if id == "" || id == closer {
		return nil
	}
	return s.on(ctx, s.side, "end an opening of writes that was given up", func(ctx context.Context, c *session) error { return s.endOpener(ctx, c, id) })
}

// endOpener kills the session until it is gone. It may look at rest: a statement that a frozen process has not read yet is in no
// list.
func (s *Server) endOpener(ctx context.Context, c *session, id string) error {
	for {
		own, err := s.id(ctx, s.side, c)
		if err != nil {
			return err
		}
		all, err := c.rows(ctx, textSessions)
		if err != nil {
			return err
		}
		if own == id || !slices.ContainsFunc(all, func(r row) bool { return r["Id"] == id && r["User"] == s.cfg.User }) {
			s.opens("")
			return nil
		}
		if err := c.kill(ctx, id); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// opens notes which session may open writes from now on; "": none.
func (s *Server) opens(id string) {
	s.mu.Lock()
	s.opener = id
	s.mu.Unlock()
}

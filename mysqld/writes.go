package mysqld

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// OpenWrites lets applications log in and write. It refuses on a server whose commits wait for nobody: that is another
// process than the one that BecomeSource prepared. Both statements share a connection, which ends with the process.
func (s *Server) OpenWrites(ctx context.Context) error {
	return s.on(ctx, s.control, "open writes", func(ctx context.Context, c *session) error {
		r, err := c.one(ctx, c.closed)
		if err != nil {
			return err
		}
		if !r.on("rpl_semi_sync_source_enabled") {
			return ErrNotSource
		}
		return s.letIn(ctx, c)
	})
}

// OpenAlone lets applications log in and write on a server whose commits wait for nobody: for a database whose durability
// is not lossless, and whose guard holds a lease. It refuses on a server that follows another.
func (s *Server) OpenAlone(ctx context.Context) error {
	return s.on(ctx, s.control, "open writes alone", func(ctx context.Context, c *session) error {
		rep, _, err := c.look(ctx)
		if err != nil {
			return err
		}
		if rep != nil {
			return fmt.Errorf("%w: it follows %s", ErrNotSource, rep.SourceHost)
		}
		return s.letIn(ctx, c)
	})
}

// ErrNotSource: commits on this server wait for no acknowledgement.
var ErrNotSource = errors.New("commits here wait for nobody")

// CloseWrites refuses writes to everybody on MySQL, to all but READ ONLY ADMIN on MariaDB. nil means that no commit is
// under way and none can come, and is the only proof of it. It fails within about a second, or when ctx ends, while a
// commit waits for acknowledgements; the server stays open then.
func (s *Server) CloseWrites(ctx context.Context) error {
	return s.on(ctx, s.control, "close writes", s.closeWrites)
}

// closing is how long the server may take to refuse writes; MySQL counts in whole seconds.
const closing = time.Second

func (s *Server) closeWrites(ctx context.Context, c *session) error {
	text := c.close
	if c.flavor == MariaDB {
		limit := closing
		if deadline, ok := ctx.Deadline(); ok {
			limit = max(time.Millisecond, min(limit, time.Until(deadline)))
		}
		text = fmt.Sprintf(text, strconv.FormatFloat(limit.Seconds(), 'f', 3, 64))
	}
	id, err := s.id(ctx, s.control, c) // whoever closes writes holds this lane
	if err == nil {
		err = s.nobodyOpens(ctx, id)
	}
	if err != nil {
		return err
	}
	err = c.do(ctx, text)
	if err != nil && ctx.Err() != nil {
		// The server goes on with the statement and might close much later, when it has been opened again.
		err = errors.Join(err, s.cancelStatement(ctx, id), s.awaitGone(ctx, id))
	}
	if err != nil {
		return err
	}
	// A statement of somebody else that failed in this moment takes the setting back.
	r, err := c.one(ctx, c.closed)
	if err == nil && !r.on("read_only") {
		err = errors.New("the server was opened again at once")
	}
	return err
}

// cancelStatement ends what a session that was given up is still doing, after the context of its caller has ended.
func (s *Server) cancelStatement(ctx context.Context, id string) error {
	return s.afterwards(ctx, func(ctx context.Context, c *session) error { return c.kill(ctx, id) })
}

// awaitGone returns when a session has ended: only then has the server taken back what its statement had begun.
func (s *Server) awaitGone(ctx context.Context, id string) error {
	return s.afterwards(ctx, func(ctx context.Context, c *session) error {
		for {
			all, err := c.rows(ctx, textSessions)
			if err != nil || !slices.ContainsFunc(all, func(r row) bool { return r["Id"] == id }) {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// afterwards cleans up behind a statement whose context has ended.
func (s *Server) afterwards(ctx context.Context, do func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ProbeTimeout)
	defer cancel()
	if err := s.session(ctx, s.side, func(c *session) error { return do(ctx, c) }); err != nil {
		return fmt.Errorf("end the statement left behind: %w", err)
	}
	return nil
}

// kill ends a session; one that is gone already is fine.
func (c *session) kill(ctx context.Context, id string) error {
	if err := c.do(ctx, "KILL "+id); err != nil && code(err) != errUnknownThread {
		return err
	}
	return nil
}

// CutClients ends every session but those of replication, of the server itself and of baton's own account, so that
// applications look the name up again. It goes on when one cannot be ended, as those of accounts with SYSTEM_USER on MySQL,
// and returns an error that names them. Sessions that log in meanwhile are not ended. A commit that waits for
// acknowledgements cannot be answered with OK afterwards: on MySQL its connection is closed and it waits on, on MariaDB
// it is committed here.
func (s *Server) CutClients(ctx context.Context) error {
	return s.on(ctx, s.side, "cut clients", func(ctx context.Context, c *session) error {
		all, err := c.rows(ctx, textSessions)
		if err != nil {
			return err
		}
		var left []error
		for _, r := range all {
			if spared(r, s.cfg.User) {
				continue
			}
			if err := c.kill(ctx, r["Id"]); err != nil {
				left = append(left, fmt.Errorf("session %s of %s: %w", r["Id"], r["User"], err))
			}
		}
		return errors.Join(left...)
	})
}

func spared(r row, own string) bool {
	switch r["User"] {
	case own, "system user", "event_scheduler":
		return true
	}
	command := r["Command"]
	return command == "Daemon" || command == "Killed" || strings.HasPrefix(command, "Binlog Dump")
}

// CommitsWaitForAcks counts the commits that wait for acknowledgements now, on a connection that no commit of ours uses.
// Those that a group commit waits for together count once. 0 with a canary that hangs means that the server is stuck and
// not lonely.
func (s *Server) CommitsWaitForAcks(ctx context.Context) (int, error) {
	var n int
	err := s.on(ctx, s.side, "count waiting commits", func(ctx context.Context, c *session) (err error) {
		n, err = c.waiting(ctx)
		return err
	})
	return n, err
}

// clientsWait counts the commits of clients that wait for acknowledgements, without those of replication.
func (c *session) clientsWait(ctx context.Context) (int, error) {
	all, err := c.rows(ctx, textSessions)
	n := 0
	for _, r := range all {
		if r["User"] != "system user" && strings.HasPrefix(r["State"], waitsForAck) {
			n++
		}
	}
	return n, err
}

// waitsForAck is how both families begin the state of such a session.
const waitsForAck = "Waiting for semi-sync ACK"

func (c *session) waiting(ctx context.Context) (int, error) {
	r, err := c.settings(ctx, c.waiters)
	return r.number("rpl_semi_sync_source_wait_sessions"), err
}

// ReleaseHeld lets commits go on that wait for acknowledgements which will never come, although the replicas that owe
// them hold the events: they received them without acknowledging, and no event is sent twice. held is what each of as
// many replicas as commits wait for is known to hold. When it does not cover everything in this server's binary log
// nothing is done and released is 0; with a wrong held, clients get an OK for what can be lost.
//
// On MySQL nothing has to be done here: the next commit that is acknowledged frees the others, and Canary sends one.
// MariaDB writes no third group of commits while two wait, so it can be stuck for ever; ending the waiting statement makes
// it answer OK there (measured on 10.11).
func (s *Server) ReleaseHeld(ctx context.Context, held GTIDSet) (released int, err error) {
	err = s.on(ctx, s.side, "release commits that are held", func(ctx context.Context, c *session) error {
		if c.flavor != MariaDB {
			return nil
		}
		// What waits is read before what is written: every commit in the list is in the set. A statement is ended by its
		// own number, so that the next one of the same session is safe.
		waiting, err := c.rows(ctx, textWaiting)
		if err != nil {
			return err
		}
		written, err := c.where(ctx)
		if err != nil || !held.Contains(written) {
			return err
		}
		for _, r := range waiting {
			if err := c.do(ctx, "KILL QUERY ID "+r["id"]); err != nil && code(err) != errUnknownQuery {
				return err
			}
			released++
		}
		return nil
	})
	return released, err
}

package mysqld

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	// ErrOpen: applications can write, and what was asked for must not be done to such a server.
	ErrOpen = errors.New("the server takes writes")
	// ErrNotAcked: a commit returned and was not acknowledged by as many replicas as it should have been.
	ErrNotAcked = errors.New("not acknowledged")
	// ErrNewerMark: the server carries the marker of a later epoch.
	ErrNewerMark = errors.New("the marker of a later epoch is there")
)

// BecomeSource makes a server that is closed to applications follow nobody and wait for k acknowledgements of every
// commit, for ever. It stays closed. What arrived since the caller last looked is applied first, because forgetting the
// source throws the rest away. With k = 0 commits wait for nobody: no guarantee of lossless durability holds then. It may
// be repeated.
func (s *Server) BecomeSource(ctx context.Context, k int) error {
	return s.on(ctx, s.control, "become a source", func(ctx context.Context, c *session) error {
		now, _, err := c.asks(ctx)
		if err != nil {
			return err
		}
		if err := c.forgetSource(ctx); err != nil {
			return err
		}
		if c.heed != "" {
			if err := c.do(ctx, fmt.Sprintf(c.heed, 0)); err != nil {
				return err
			}
		}
		return s.ask(ctx, c, now, k)
	})
}

// asks is whether commits wait for replicas on a server that must be closed, and how many did not wait. It asks for no
// more, because it is asked in an outage; the counters of a server whose commits do not wait say nothing.
func (c *session) asks(ctx context.Context) (now SemiSync, unacked int, err error) {
	r, err := c.one(ctx, c.closed)
	if err != nil {
		return now, 0, err
	}
	if !r.on("read_only") {
		return now, 0, ErrOpen
	}
	if now.SourceEnabled = r.on("rpl_semi_sync_source_enabled"); !now.SourceEnabled {
		return now, 0, nil
	}
	counters, err := c.settings(ctx, c.counters)
	now.SourceWaits = counters.on("rpl_semi_sync_source_status")
	return now, counters.number("rpl_semi_sync_source_no_tx"), err
}

// forgetSource ends replication after proving that nothing is lost by it.
func (c *session) forgetSource(ctx context.Context) error {
	rep, _, err := c.look(ctx)
	if err != nil || rep == nil {
		return err
	}
	// MySQL keeps its relay log while both are stopped; MariaDB deletes it at the next start.
	applying := c.flavor == MariaDB
	if applying {
		err = c.stopReceiver(ctx, rep)
	} else {
		err = c.endApplier(ctx, rep)
	}
	if err != nil {
		return err
	}
	// Nothing arrives any more, so what is read here is all there is.
	executed, err := c.where(ctx)
	if err != nil {
		return err
	}
	_, received, err := c.look(ctx)
	if err != nil {
		return err
	}
	if !executed.Contains(received) {
		applying, err = true, c.waitApplied(ctx, received)
	}
	if err == nil && applying {
		err = c.do(ctx, textStopBoth)
	}
	if err != nil {
		return err
	}
	return c.do(ctx, textForgetSource)
}

// RequireAcks changes how many acknowledgements a commit waits for on a server that may be open. 0 means none: commits
// that wait are answered with OK at once, so it may follow only a committed decision that durability is no longer
// lossless.
func (s *Server) RequireAcks(ctx context.Context, k int) error {
	return s.on(ctx, s.control, fmt.Sprintf("require %d acknowledgements", k), func(ctx context.Context, c *session) error {
		st, err := c.self(ctx)
		if err != nil {
			return err
		}
		if k == 0 && st.SemiSync.SourceEnabled {
			return c.do(ctx, c.stopAsking)
		}
		return s.ask(ctx, c, st.SemiSync, k)
	})
}

// ask turns the semi-sync source side on; off where k is 0, unless a commit waits.
func (s *Server) ask(ctx context.Context, c *session, now SemiSync, k int) error {
	switch {
	case k == 0 && now.SourceEnabled:
		if err := s.mayStopAsking(ctx, c); err != nil {
			return err
		}
		return c.do(ctx, c.stopAsking)
	case k == 0:
		return nil
	case c.stopAsking == "":
		return errors.New("the server has no semi-sync source plugin")
	case k > 1 && c.flavor == MariaDB:
		return fmt.Errorf("MariaDB cannot wait for %d acknowledgements, only for 1", k)
	case now.SourceEnabled && !now.SourceWaits:
		// It gave up waiting once. Only turning it off and on makes it wait again; nothing waits in this state.
		if err := c.do(ctx, c.stopAsking); err != nil {
			return err
		}
	}
	return c.do(ctx, c.askFor(k))
}

// markEvery is the pause after which a marker that is still waiting is helped by a nudge.
const markEvery = 200 * time.Millisecond

// Mark writes the marker of an epoch while the server is closed to applications, and returns when as many replicas as
// BecomeSource named have acknowledged it; until then it waits, as long as ctx lasts. The server must be waiting for
// acknowledgements: with none required use MarkAlone.
//
// When ctx ends first the marker may still be committed later. On MariaDB it is then committed here at once, acknowledged
// by nobody. On MySQL the server stays open to accounts that may write under read_only, and only to them.
func (s *Server) Mark(ctx context.Context, epoch uint64, instance, base string) error {
	return s.mark(ctx, mark{epoch, instance, base}, true)
}

// MarkAlone writes the marker without waiting for anybody: for a database whose durability is not lossless.
func (s *Server) MarkAlone(ctx context.Context, epoch uint64, instance, base string) error {
	return s.mark(ctx, mark{epoch, instance, base}, false)
}

// Prove has two commits on an open server acknowledged, one after the other, and returns when the second is: it began after
// the call, and so everything that was committed before the call is on k replicas. ErrNotAcked says that the server does
// not wait for k, or stopped waiting. revision is what it is proved for, for errors only.
func (s *Server) Prove(ctx context.Context, k int, instance string, revision uint64) error {
	look := func(ctx context.Context, c *session) (int, error) {
		st, err := c.self(ctx)
		if err == nil && (!st.SemiSync.SourceWaits || st.SemiSync.K < k || st.ReadOnly) {
			err = fmt.Errorf("%w at revision %d: the server waits: %t, for %d, read-only: %t", ErrNotAcked, revision, st.SemiSync.SourceWaits, st.SemiSync.K, st.ReadOnly)
		}
		return st.unacked, err
	}
	var before int
	err := s.on(ctx, s.side, "look at what commits wait for", func(ctx context.Context, c *session) (err error) {
		before, err = look(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	for range 2 { // the first may have been under way before the call
		if err := s.Canary(ctx, instance); err != nil {
			return err
		}
	}
	return s.on(ctx, s.side, "see that it was acknowledged", func(ctx context.Context, c *session) error {
		if _, err := look(ctx, c); err != nil {
			return err
		}
		return c.proveAcked(ctx, before)
	})
}

type mark struct {
	epoch    uint64
	instance string
	base     string
}

func (s *Server) mark(ctx context.Context, m mark, acked bool) error {
	return s.on(ctx, s.marker, fmt.Sprintf("mark epoch %d", m.epoch), func(ctx context.Context, c *session) error {
		now, before, err := c.asks(ctx)
		switch {
		case err != nil:
			return err
		case acked && !now.SourceWaits:
			return fmt.Errorf("%w: the server does not wait for acknowledgements", ErrNotAcked)
		}
		there, _, err := c.readMark(ctx)
		if err == nil && there > m.epoch {
			err = fmt.Errorf("%w: %d", ErrNewerMark, there)
		}
		if err != nil {
			return err
		}
		if err := s.writeMark(ctx, c, m); err != nil {
			return err
		}
		if !acked {
			return nil
		}
		return c.proveAcked(ctx, before)
	})
}

// proveAcked sees that the commit that returned was not let go because somebody turned semi-sync off meanwhile.
func (c *session) proveAcked(ctx context.Context, before int) error {
	r, err := c.settings(ctx, c.counters)
	if err != nil {
		return err
	}
	if n := r.number("rpl_semi_sync_source_no_tx"); !r.on("rpl_semi_sync_source_status") || n != before {
		return fmt.Errorf("%w: the server stopped waiting (%d commits unacknowledged, before it were %d)", ErrNotAcked, n, before)
	}
	return nil
}

// writeMark commits the marker and helps it on while it waits. Whatever it leaves behind in the server is killed.
func (s *Server) writeMark(ctx context.Context, c *session, m mark) error {
	id, err := s.id(ctx, s.marker, c)
	if err != nil {
		return err
	}
	if c.unlock != "" {
		if err := c.do(ctx, c.unlock); err != nil {
			return err
		}
	}
	done := make(chan struct{})
	var helper sync.WaitGroup
	helper.Go(func() { s.help(ctx, done, m.instance) })
	_, err = c.conn.ExecContext(ctx, textMark, m.epoch, m.instance, m.base)
	close(done)
	helper.Wait()
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, s.cancelStatement(ctx, id))
	}
	return err
}

// help sends a nudge now and then until done.
func (s *Server) help(ctx context.Context, done <-chan struct{}, instance string) {
	ticker := time.NewTicker(markEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			s.nudge(ctx, instance, textNudge)
		}
	}
}

// ReadMark returns the newest marker the server has, epoch 0 when it has none. That it is there does not mean that it was
// acknowledged: a restart makes unacknowledged commits visible.
func (s *Server) ReadMark(ctx context.Context) (epoch uint64, instance string, err error) {
	err = s.on(ctx, s.side, "read the marker", func(ctx context.Context, c *session) (err error) {
		epoch, instance, err = c.readMark(ctx)
		return err
	})
	return epoch, instance, err
}

func (c *session) readMark(ctx context.Context) (epoch uint64, instance string, err error) {
	err = c.conn.QueryRowContext(ctx, textAskMark).Scan(&epoch, &instance)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("%s: %w", textAskMark, err)
	}
	return epoch, instance, nil
}

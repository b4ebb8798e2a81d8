package mysqld

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrReadOnly: a canary was not written because the server is closed to applications.
var ErrReadOnly = errors.New("the server is read-only")

// attempt is a canary commit that goes on when its caller no longer waits: a statement that was given up would go on in
// the server all the same, and one more would pile up there with each call.
type attempt struct {
	done   chan struct{}
	err    error // to be read after done
	cancel context.CancelFunc
	began  time.Time
}

// nudgeAfter is how long a commit waits before another is sent beside it, and the pause between two of those.
const nudgeAfter = 500 * time.Millisecond

// Canary commits a row of baton.canary through the whole write path and returns when it, or a later one, is committed. It
// returns ErrReadOnly on a server that is closed to applications.
//
// When ctx ends first the commit goes on and the next call waits for it; no more than three are ever under way. While it
// waits though enough ackers are connected, another one is sent after half a second: an event that an acker received
// without acknowledging it (semi-sync was turned on later, or the connection broke in between) is not sent to it
// again, and its commit would wait until a later one is acknowledged.
func (s *Server) Canary(ctx context.Context, instance string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	mine, err := s.canaryFor(ctx, instance)
	if err != nil {
		return fmt.Errorf("canary commit: %w", err)
	}
	ticker := time.NewTicker(nudgeAfter)
	defer ticker.Stop()
	for {
		select {
		case <-mine.done:
			if mine.err != nil {
				return fmt.Errorf("canary commit: %w", mine.err)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("canary commit: %w", ctx.Err())
		case <-ticker.C:
			s.nudge(ctx, instance, textCanary)
		}
	}
}

// canaryFor returns the newest canary commit under way, or begins one.
func (s *Server) canaryFor(ctx context.Context, instance string) (*attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var newest *attempt
	for _, a := range s.commits {
		if a != nil && !a.over() && (newest == nil || a.began.After(newest.began)) {
			newest = a
		}
	}
	if newest != nil {
		return newest, nil
	}
	return s.begin(ctx, 0, instance, textCanary)
}

// nudge begins one more canary commit, if a place is free, none was begun just now, and there is somebody to acknowledge
// it.
func (s *Server) nudge(ctx context.Context, instance, text string) {
	var now SemiSync
	err := s.on(ctx, s.side, "nudge", func(ctx context.Context, c *session) error {
		st, err := c.self(ctx)
		now = st.SemiSync
		return err
	})
	if err != nil || !now.SourceWaits || now.Waiting == 0 || now.ConnectedAckers < now.K {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	free := -1
	for i, a := range s.commits {
		if a == nil || a.over() {
			free = i
		} else if time.Since(a.began) < markEvery {
			return
		}
	}
	if free < 0 {
		return
	}
	if _, err := s.begin(ctx, free, instance, text); err != nil {
		s.cfg.Logger.Debug("nudge a waiting commit", "err", err)
	}
}

// begin starts a canary commit in a place that is free. s.mu is held.
func (s *Server) begin(ctx context.Context, place int, instance, text string) (*attempt, error) {
	if s.closed {
		return nil, sql.ErrConnDone
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a := &attempt{done: make(chan struct{}), cancel: cancel, began: time.Now()}
	s.commits[place] = a
	// A row of its own: the one that waits holds its row locked.
	row := fmt.Sprintf("%.60s~%d", instance, place)
	s.wg.Go(func() {
		defer close(a.done)
		defer cancel()
		a.err = commitCanary(ctx, s.canary[place], text, row)
	})
	return a, nil
}

func (a *attempt) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

func commitCanary(ctx context.Context, db *sql.DB, text, row string) error {
	result, err := db.ExecContext(ctx, text, row)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrReadOnly)
	}
	return nil
}

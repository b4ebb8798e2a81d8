package decide

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// ledger is a raft of one: what is proposed is applied and published.
type ledger struct {
	feed *registry.Feed
	mu   sync.Mutex
	log  []string
	late func() // runs before a proposal is applied, once
}

func (l *ledger) Propose(_ context.Context, c registry.Command) (registry.Index, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late != nil {
		late := l.late
		l.late = nil
		late()
	}
	s := l.feed.State()
	next, err := c.Apply(s)
	if err != nil {
		l.log = append(l.log, fmt.Sprintf("%s: %v", kindOf(c), err))
		return 0, err
	}
	next = next.WithIndex(s.Index() + 1)
	l.log = append(l.log, kindOf(c))
	l.feed.Publish(next)
	return next.Index(), nil
}

func kindOf(c registry.Command) string {
	if r, ok := c.(*registry.Refuse); ok {
		return "refuse " + r.Cause.Code
	}
	return outcome(Decision{Command: c})
}

// happens changes what the members report from now on.
func (l *ledger) happens(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *ledger) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.log)
}

// leading runs a leader over s, whose reports are sent again every 100 ms as they stand in s. It returns in the bubble's
// time; whatever the test changes in s it changes while the bubble is idle.
func leading(t *testing.T, s *scene, play func(t *testing.T, l *ledger, probes *atomic.Int64)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{feed: registry.NewFeed(decoded(t, s.d))}
		board := health.NewBoard()
		var probes atomic.Int64
		leader := &Leader{Feed: l.feed, Board: board, Proposer: l, Rules: s.rules, Logger: slog.New(slog.DiscardHandler),
			Probe: func(context.Context, string) health.Probe { probes.Add(1); return health.ProbeDead }}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if err := leader.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			for seq := uint64(1); ctx.Err() == nil; seq++ {
				l.mu.Lock()
				for id, h := range s.view {
					r := h.Report
					r.Database, r.Instance, r.Boot, r.Seq = s.d.Name, id, "b", seq
					board.Receive(r)
				}
				l.mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
		play(t, l, &probes)
		cancel()
		all.Wait()
	})
}

// pass lets time go by in a bubble until nothing moves.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func want(t *testing.T, l *ledger, lines ...string) {
	t.Helper()
	if got := l.lines(); !slices.Equal(got, lines) {
		t.Errorf("committed %q, want %q", got, lines)
	}
}

func TestALeaderRevokesTheReignOfADeadPrimary(t *testing.T) {
	s := group(3)
	leading(t, s, func(t *testing.T, l *ledger, _ *atomic.Int64) {
		pass(2 * time.Second)
		want(t, l)
		l.happens(func() { s.process("db1", gone) })
		pass(150 * time.Millisecond)
		want(t, l, "revoke 2 PrimaryGone")
	})
}

func TestARefusalIsRecordedAfterItLastedAndTakenBack(t *testing.T) {
	s := group(3).with(func(d *registry.Database) { d.Policy.Paused = true })
	leading(t, s, func(t *testing.T, l *ledger, _ *atomic.Int64) {
		pass(time.Second)
		l.happens(func() { s.process("db1", gone) })
		pass(400 * time.Millisecond)
		want(t, l)
		pass(400 * time.Millisecond)
		want(t, l, "refuse Paused")
		pass(5 * time.Second)
		want(t, l, "refuse Paused")
		l.happens(func() { s.process("db1", health.ProcessRunning) })
		pass(time.Second)
		want(t, l, "refuse Paused", "refuse ")
		if d, _ := l.feed.State().Database("orders"); !d.Refusal.Zero() {
			t.Errorf("still refused: %s", d.Refusal)
		}
	})
}

func TestALackOfAMomentIsNotRecorded(t *testing.T) {
	s := group(3).with(func(d *registry.Database) { d.Policy.Paused = true })
	leading(t, s, func(t *testing.T, l *ledger, _ *atomic.Int64) {
		pass(time.Second)
		l.happens(func() { s.process("db1", gone) })
		pass(300 * time.Millisecond)
		l.happens(func() { s.process("db1", health.ProcessRunning) })
		pass(2 * time.Second)
		want(t, l)
	})
}

// Between the look and the commit somebody else has ended the reign.
func TestAStaleDecisionDoesNoHarm(t *testing.T) {
	s := group(3)
	leading(t, s, func(t *testing.T, l *ledger, _ *atomic.Int64) {
		pass(time.Second)
		l.mu.Lock()
		l.late = func() {
			other := &registry.Revoke{Database: "orders", Epoch: 2, To: "db2", Cause: registry.Cause{Code: Switchover}}
			next, err := other.Apply(l.feed.State())
			if err != nil {
				t.Error(err)
				return
			}
			l.feed.Publish(next.WithIndex(9))
		}
		l.mu.Unlock()
		l.happens(func() { s.process("db1", gone) })
		pass(150 * time.Millisecond)
		lines := l.lines()
		if len(lines) == 0 || lines[0] == "revoke 2 PrimaryGone" {
			t.Fatalf("committed %q, want the first to be stale", lines)
		}
		d, _ := l.feed.State().Database("orders")
		if d.Epoch != 2 || d.To != "db2" {
			t.Errorf("epoch %d to %q, want what the other one committed", d.Epoch, d.To)
		}
	})
}

func TestAProbeIsMadeOnlyOfASilentPrimary(t *testing.T) {
	s := group(3)
	leading(t, s, func(t *testing.T, l *ledger, probes *atomic.Int64) {
		pass(500 * time.Millisecond) // a new leader may probe before it has heard anybody
		first := probes.Load()
		pass(3 * time.Second)
		if probes.Load() != first {
			t.Fatalf("%d probes of a primary that is heard", probes.Load()-first)
		}
		l.happens(func() { s.deaf("db2", "db3").never("db1") })
		pass(2 * time.Second)
		if n := probes.Load() - first; n == 0 || n > 11 {
			t.Errorf("%d probes in 2 s", n)
		}
		want(t, l, "revoke 2 PrimarySilent")
	})
}

func TestEveryDecisionCanBeDescribed(t *testing.T) {
	for _, c := range []registry.Command{&registry.Revoke{}, &registry.Escalate{}, &registry.Elect{}, &registry.Establish{}, &registry.AddAcker{},
		&registry.SetRotation{}, &registry.SetRotation{OutOf: registry.Cause{Code: ReplicaBroken}}, &registry.Refuse{}, &registry.Refuse{Cause: registry.Cause{Code: Paused}}} {
		if got := Describe(c); got == "" || got == Describe(&registry.PutDatabase{}) {
			t.Errorf("%T: %q", c, got)
		}
	}
}

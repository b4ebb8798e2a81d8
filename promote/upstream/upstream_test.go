package upstream_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/upstream"
)

// replica follows 10.0.0.1:3306, or not, and its source answers as it is told to.
type replica struct {
	mu     sync.Mutex
	seen   health.Observation
	closed bool
	err    error
	asked  int
}

func (r *replica) Latest() health.Observation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

func (r *replica) SourceClosed(_ context.Context, src mysqld.Source) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if src.Host != "10.0.0.1" || src.Port != 3306 || src.User != "repl" {
		return false, errors.New("asked " + src.String())
	}
	return r.closed, r.err
}

func (r *replica) change(f func(r *replica)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}

func (r *replica) holds(t *testing.T, set string) {
	t.Helper()
	held, err := mysqld.ParseGTIDSet(mysqld.MariaDB, set)
	if err != nil {
		t.Fatal(err)
	}
	r.change(func(r *replica) {
		r.seen = health.Observation{Good: true, Status: mysqld.Status{Flavor: mysqld.MariaDB, Received: held,
			Replication: &mysqld.Replication{Receiver: mysqld.ReceiverRunning, SourceHost: "10.0.0.1", SourcePort: 3306}}}
	})
}

// watched runs test in a bubble; says asks what the next report would say, after some time has passed there.
func watched(t *testing.T, test func(t *testing.T, r *replica, says func(time.Duration) bool)) {
	synctest.Test(t, func(t *testing.T) {
		r := &replica{}
		r.holds(t, "0-1-7")
		w := upstream.New(r, r, mysqld.Source{User: "repl", Password: "repl"}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.Run(ctx) })
		test(t, r, func(after time.Duration) bool {
			time.Sleep(after) // in the bubble
			synctest.Wait()
			report := health.Report{}
			health.Describe(r.Latest(), &report)
			w.Describe(&report)
			return report.Replication != nil && report.Replication.SourceClosed
		})
		cancel()
		running.Wait()
	})
}

func TestAClosedSourceIsReportedWhenNothingComesFromIt(t *testing.T) {
	watched(t, func(t *testing.T, r *replica, says func(time.Duration) bool) {
		r.change(func(r *replica) { r.closed = true })
		if says(1500 * time.Millisecond) {
			t.Error("it was asked at once")
		}
		if !says(3 * time.Second) {
			t.Error("a closed source is not reported")
		}
		r.change(func(r *replica) {
			r.seen.Status.Replication = &mysqld.Replication{Receiver: mysqld.ReceiverRunning, SourceHost: "10.0.0.2", SourcePort: 3306}
		})
		if says(0) {
			t.Error("what one source said is reported of another")
		}
		r.holds(t, "0-1-7")
		if !says(5 * time.Second) {
			t.Error("a closed source is not reported again")
		}
		r.change(func(r *replica) { r.closed = false })
		if says(2 * time.Second) {
			t.Error("a source that was opened is called closed")
		}
		r.change(func(r *replica) { r.closed = true; r.err = errors.New("it does not answer") })
		if says(2 * time.Second) {
			t.Error("a source that did not answer is called closed")
		}
	})
}

func TestASourceIsNotAskedWhileSomethingComesOrNothingCan(t *testing.T) {
	watched(t, func(t *testing.T, r *replica, says func(time.Duration) bool) {
		r.change(func(r *replica) { r.closed = true })
		for i := range 10 {
			r.holds(t, []string{"0-1-8", "0-1-9"}[i%2])
			if says(time.Second) {
				t.Error("a source from which something comes is called closed")
			}
		}
		r.change(func(r *replica) { r.seen.Status.Replication = &mysqld.Replication{Receiver: mysqld.ReceiverConnecting} })
		if says(10 * time.Second) {
			t.Error("a source that is not heard is called closed")
		}
		r.change(func(r *replica) { r.seen = health.Observation{} })
		if says(10*time.Second) || r.asked != 0 {
			t.Errorf("the source was asked %d times", r.asked)
		}
	})
}

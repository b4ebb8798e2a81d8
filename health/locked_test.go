package health_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/process"
)

// blocked is an open server on which canaries wait for what is set, a second each; with nothing set they go through.
type blocked struct {
	mu   sync.Mutex
	lock mysqld.Lock
	acks int
	err  error // of what is asked about a canary that waits
	full bool  // canaries fail at once
	asks int   // every other one finds nothing, like one that comes while a canary gives up
}

var errGivenUp = errors.New("lock wait timeout exceeded")

func (b *blocked) set(lock mysqld.Lock, acks int, err error, full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lock, b.acks, b.err, b.full = lock, acks, err, full
}

func (b *blocked) Status(context.Context) (mysqld.Status, error) { return mysqld.Status{}, nil }
func (b *blocked) Process(context.Context) (process.Run, error) {
	return process.Modelled(lasting{}), nil
}
func (b *blocked) Canary(ctx context.Context, _ string) error {
	b.mu.Lock()
	free, atOnce := b.lock == mysqld.Lock{} && b.acks == 0, b.full
	b.mu.Unlock()
	if free {
		return nil
	}
	patience := time.Second
	if atOnce {
		patience = 0
	}
	select {
	case <-ctx.Done():
	case <-time.After(patience):
	}
	return errGivenUp
}

func (b *blocked) CommitsWaitForAcks(context.Context) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.acks, b.err
}

func (b *blocked) CanaryLock(context.Context) (mysqld.Lock, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asks++; b.asks%2 == 0 {
		return mysqld.Lock{}, nil
	}
	return b.lock, b.err
}

// lasting is a process that runs.
type lasting struct{}

func (lasting) Incarnation() string { return "1" }
func (lasting) Kill() error         { return nil }
func (lasting) Watch(ctx context.Context) iter.Seq[process.State] {
	return func(yield func(process.State) bool) {
		if yield(process.Running) {
			<-ctx.Done()
		}
	}
}

func TestACheckerKnowsWhatABlockedCommitWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		b := &blocked{}
		c := health.NewChecker(health.CheckerConfig{Instance: "db1", Every: 250 * time.Millisecond, Closely: 100 * time.Millisecond, Timeout: 300 * time.Millisecond,
			CanaryEvery: 250 * time.Millisecond, Notify: func() {}}, b)
		wg.Go(func() { _ = c.Run(ctx) })
		held := mysqld.Lock{State: "Waiting for backup lock", Session: "7", Account: "backup@10.0.0.9"}
		said := health.Lock{Waits: held.State, Session: held.Session, Account: held.Account}
		for _, step := range []struct {
			name string
			to   *blocked
			want health.Canary // without its durations
		}{
			{"nothing", &blocked{}, health.Canary{}},
			{"a lock", &blocked{lock: held}, health.Canary{Lock: said}},
			{"a lock, and it fails at once", &blocked{lock: held, full: true}, health.Canary{}},
			{"a lock again", &blocked{lock: held}, health.Canary{Lock: said}},
			{"acknowledgements", &blocked{lock: held, acks: 2}, health.Canary{WaitingForAcks: true}},
			{"a lock that nobody can be asked about", &blocked{lock: held, err: errors.New("no answer")}, health.Canary{}},
			{"a lock at last", &blocked{lock: held}, health.Canary{Lock: said}},
			{"nothing any more", &blocked{}, health.Canary{}},
		} {
			b.set(step.to.lock, step.to.acks, step.to.err, step.to.full)
			time.Sleep(5 * time.Second)
			for range 80 { // also between two canaries
				time.Sleep(50 * time.Millisecond)
				got := c.Latest().Canary
				if waits := step.to.lock != (mysqld.Lock{}); (got.BlockedMillis > 0) != waits {
					t.Errorf("%s: blocked for %d ms", step.name, got.BlockedMillis)
				}
				if got.Lock != step.want.Lock || got.WaitingForAcks != step.want.WaitingForAcks {
					t.Fatalf("%s: %+v", step.name, got)
				}
			}
			if step.name == "nothing" && b.asks != 0 {
				t.Errorf("a server whose commits get through was asked %d times what they wait for", b.asks)
			}
		}
	})
}

package agent

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/registry"
)

// rival is a registry in which somebody takes back at once whatever is announced.
type rival struct {
	mu      sync.Mutex
	taken   []time.Time
	changed chan struct{}
}

func (r *rival) State() *registry.State { return nil }

func (r *rival) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// propose, in a bubble, takes as long as a commit.
func (r *rival) propose(context.Context, registry.Command) error {
	time.Sleep(5 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = append(r.taken, time.Now())
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

func TestTwoNodesOfOneNameDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rival{changed: make(chan struct{})}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		difference := func(*registry.State) registry.Command { return &registry.PutNode{} }
		if err := announce(ctx, slog.New(slog.DiscardHandler), r, difference, r.propose); err != nil {
			t.Fatal(err)
		}
		if len(r.taken) > 100 {
			t.Errorf("%d announcements in a minute", len(r.taken))
		}
		if len(r.taken) < 50 {
			t.Errorf("%d announcements in a minute: it gave up", len(r.taken))
		}
		if first := r.taken[announceBurst-1].Sub(began); first > announceEvery {
			t.Errorf("what a start announces took %s", first)
		}
	})
}

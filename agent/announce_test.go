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
	behind  bool // this node does not hear of what is committed
}

func (r *rival) State() *registry.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.behind {
		return registry.New("prod")
	}
	st, err := registry.New("prod").Next(registry.Index(1+len(r.taken)), &registry.RemoveNode{ID: "n1"})
	if st == nil {
		panic(err) // a refused command moves the index
	}
	return st
}

func (r *rival) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// propose, in a bubble, takes as long as a commit.
func (r *rival) propose(context.Context, registry.Command) (registry.Index, error) {
	time.Sleep(5 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = append(r.taken, time.Now())
	close(r.changed)
	r.changed = make(chan struct{})
	return registry.Index(1 + len(r.taken)), nil
}

// A server that is being added hears late of what it has said, and must not take that for another node of its name.
func TestANodeThatIsBehindSaysWhatItIsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rival{changed: make(chan struct{}), behind: true}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		difference := func(*registry.State) registry.Command { return &registry.PutNode{} }
		if err := announce(ctx, slog.New(slog.DiscardHandler), r, difference, r.propose); err != nil {
			t.Fatal(err)
		}
		if len(r.taken) != 1 {
			t.Errorf("%d announcements of the same", len(r.taken))
		}
	})
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

package bubble_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// moment is when the leader is lost: at the very moment at which it, and nobody else, has the decision.
type moment struct {
	name string
	is   func(d *registry.Database, before registry.Epoch) bool
}

func inPhase(p registry.Phase) moment {
	return moment{string(p), func(d *registry.Database, before registry.Epoch) bool { return d.Phase == p && d.Epoch > before }}
}

// loss is what happens to the leader, and when it is over.
type loss struct {
	name  string
	begin func(w *world, leader *node)
	after time.Duration
	end   func(w *world, leader *node)
}

func losses() []loss {
	heal := func(w *world, _ *node) { w.healAll() }
	all := []loss{
		{"killed", func(_ *world, leader *node) { leader.kill() }, 3 * time.Second, func(_ *world, leader *node) { leader.restart() }},
		{"deaf", (*world).deafen, 3 * time.Second, heal},
		{"mute", (*world).mute, 3 * time.Second, heal},
	}
	for _, d := range []time.Duration{100 * time.Millisecond, 700 * time.Millisecond, 10 * time.Second} {
		all = append(all, loss{"cut off for " + d.String(), (*world).isolate, d, heal})
	}
	return all
}

// scene is one loss of the leader.
type scene struct {
	flavor mysqld.Flavor
	// beside says that the leader and the primary share a machine.
	beside bool
	at     moment
	loss   loss
}

// scenes are all that lose the leader at one of the moments; every tenth under the race detector.
func scenes(moments []moment) []scene {
	var all []scene
	flavors := []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB}
	for _, m := range moments {
		for _, l := range losses() {
			n := len(all)
			all = append(all, scene{flavors[n%2], n/2%2 == 0, m, l}, scene{flavors[(n+1)%2], n/2%2 == 1, m, l})
		}
	}
	return some(all)
}

// some is all of it, or every tenth under the race detector.
func some[T any](all []T) []T {
	if !raceDetector {
		return all
	}
	var few []T
	for i := 0; i < len(all); i += 10 {
		few = append(few, all[i])
	}
	return few
}

func (s scene) name() string {
	where := "elsewhere"
	if s.beside {
		where = "beside the primary"
	}
	return fmt.Sprintf("in %s, %s, %s, %s", s.at.name, s.loss.name, where, s.flavor)
}

// arrange moves the reign so that the leader is where the scene wants it.
func (w *world) arrange(beside bool) {
	w.t.Helper()
	leader := w.leader()
	if (w.primary() == leader) == beside {
		return
	}
	to := leader
	if !beside {
		to = w.nodes[(indexOf(w.nodes, leader)+1)%3]
	}
	w.switchover(to)
	if (w.primary() == w.leader()) != beside {
		w.t.Fatalf("%s leads, %s reigns", w.leader().id, w.primary().id)
	}
	w.await("everybody follows", w.notWhole)
}

func indexOf(all []*node, n *node) int {
	for i, other := range all {
		if other == n {
			return i
		}
	}
	return -1
}

// switchover hands the reign over and waits for the end of it.
func (w *world) switchover(to *node) {
	w.t.Helper()
	result, err := w.operator.Switchover(w.t.Context(), database, api.SwitchoverRequest{To: registry.InstanceID(to.server.ID)}, 30*time.Second)
	if err != nil || w.primary() != to {
		w.t.Fatalf("switchover to %s: %+v, %v", to.server.ID, result, err)
	}
}

// play loses the leader when it has decided what s says, after begin, and checks what must hold in the end.
func (s scene) play(w *world, begin func()) {
	w.arrange(s.beside)
	before := w.newest().Epoch
	struck := make(chan *node, 1)
	var winner atomic.Pointer[registry.Database] // when the leader was lost, in promoting
	var done atomic.Bool
	w.notice(func(n *node, d *registry.Database) {
		if !s.at.is(d, before) || !done.CompareAndSwap(false, true) {
			return
		}
		if d.Phase == registry.Promoting {
			winner.Store(d)
		}
		w.log.say(w.t, "%s leads and has decided: %s in epoch %d", n.id, d.Phase, d.Epoch)
		s.loss.begin(w, n)
		struck <- n
	})
	begin()
	var leader *node
	w.await("the moment comes", func() string {
		select {
		case leader = <-struck:
			return ""
		default:
			d := w.newest()
			return fmt.Sprintf("%s in epoch %d after %d: %s", d.Phase, d.Epoch, before, d.Cause)
		}
	})
	time.Sleep(s.loss.after)
	s.loss.end(w, leader)
	w.agree("all agree after the leader was lost")
	if d := w.newest(); d.Epoch < before || d.Epoch > before+4 {
		w.t.Errorf("epoch %d after %d", d.Epoch, before)
	}
	// G5: the next leader finishes what was begun with the same winner, if it can be reached.
	if d := winner.Load(); d != nil && w.nodeOf(d.Primary) != leader {
		for _, e := range w.newest().History {
			if e.Epoch == d.Epoch+1 {
				w.t.Errorf("%s was to win epoch %d and could be reached all the time, and epoch %d followed: %+v", d.Primary, d.Epoch, e.Epoch, e)
				break
			}
		}
	}
}

func TestTheLeaderIsLostAtEveryMomentOfAFailover(t *testing.T) {
	for _, s := range scenes([]moment{inPhase(registry.Fencing), inPhase(registry.Promoting), inPhase(registry.Serving)}) {
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			inBubble(t, s.flavor, 3, func(w *world) {
				s.play(w, func() {
					on := w.primary()
					on.crash()
					time.AfterFunc(2*time.Second, on.startServer)
				})
			})
		})
	}
}

func TestTheLeaderIsLostAtEveryMomentOfAHandOver(t *testing.T) {
	prepared := moment{"preparing", func(d *registry.Database, _ registry.Epoch) bool { return d.Handover != nil }}
	for _, s := range scenes([]moment{prepared, inPhase(registry.Closing), inPhase(registry.Promoting), inPhase(registry.Serving)}) {
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			inBubble(t, s.flavor, 3, func(w *world) {
				s.play(w, func() {
					to := w.nodes[(indexOf(w.nodes, w.primary())+1)%3]
					w.all.Go(func() { // its answer is lost with the leader
						ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
						defer cancel()
						_, err := w.operator.Switchover(ctx, database, api.SwitchoverRequest{To: registry.InstanceID(to.server.ID)}, 5*time.Second)
						w.log.say(w.t, "the hand-over to %s: %v", to.server.ID, err)
					})
				})
			})
		})
	}
}

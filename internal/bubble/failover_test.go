package bubble_test

import (
	"testing"
	"time"

	"github.com/baton-db/baton/registry"
)

// settle bounds how long after healing everybody agrees and every writer writes again, in simulated time.
const settle = 20 * time.Second

// agree waits until every node shows the same primary and every writer writes.
func (w *world) agree(what string) time.Duration {
	w.t.Helper()
	began := time.Now()
	w.awaitWithin(settle, what, func() string { return w.disagree(began) })
	return time.Since(began)
}

// primary is the node of who reigns.
func (w *world) primary() *node {
	w.look.Lock()
	defer w.look.Unlock()
	return w.by
}

// leader is the node that leads.
func (w *world) leader() (leader *node) {
	w.t.Helper()
	w.await("somebody leads", func() string {
		for _, n := range w.nodes {
			if n.leads() {
				leader = n
				return ""
			}
		}
		return "nobody"
	})
	return leader
}

func TestTheDeathOfThePrimarysServerIsAFailover(t *testing.T) {
	flavors(t, 3, func(w *world) {
		was := w.primary()
		time.Sleep(123 * time.Millisecond)
		began := time.Now()
		was.crash()
		w.awaitWithin(2*time.Second, "another reigns", func() string {
			if now := w.primary(); now != was {
				return ""
			}
			return string(w.newest().Phase)
		})
		w.t.Logf("another reigns after %s", time.Since(began))
		w.agree("all agree without the dead one")
		was.startServer()
		w.await("the dead one is back", func() string {
			d := w.newest()
			if d.Phase != registry.Serving {
				return string(d.Phase)
			}
			return ""
		})
		w.agree("all agree with it")
	})
}

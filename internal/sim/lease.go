package sim

import (
	"slices"
	"time"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/promote/lease"
	"github.com/baton-db/baton/promote/recall"
	"github.com/baton-db/baton/registry"
)

// tenure is what the world knows of a server that reigns by a lease, and of the machine it is on.
type tenure struct {
	skew  int    // of the machine's clock, in thousandths: as far as package lease allows
	still bool   // the machine stands still; its clock goes on
	by    string // the server process that goes on by the lease
	epoch registry.Epoch
	asked time.Duration // when that lease was asked for, as its guard believes
}

// question is a guard's question for a lease, or with a state the answer to it.
type question struct {
	from  *host
	boot  int
	asked time.Duration
	state *registry.Database
}

// clock is the machine's own.
func (h *host) clock() time.Duration {
	d := h.world.now.Sub(time.Unix(1_000_000, 0))
	return d + d*time.Duration(h.skew)/1000
}

// elapse lets time pass. What is assumed of machines is done here, and nothing more: a server does not outlive its lease by
// more than lease.Slack and lease.Fence, whatever has become of its guard or its machine.
func (w *world) elapse(d time.Duration) {
	w.now = w.now.Add(d)
	for _, h := range w.hosts {
		h.endLease()
	}
}

func (h *host) endLease() {
	if h.guard != nil {
		if by, epoch, asked := h.guard.Tenure(); by != "" {
			h.by, h.epoch, h.asked = by, epoch, asked
		}
		if d := h.sees(); d.IsLossless() && d.Epoch == h.epoch {
			h.by = "" // its ackers exclude it again
		}
	}
	if h.by == "" || h.by != h.server.Process() || !h.server.Open() {
		return
	}
	left := lease.Left(h.asked, h.clock())
	h.stale = h.stale || left == 0
	if h.clock()-h.asked >= lease.Term+lease.Slack+lease.Fence {
		h.world.tell("    %s: killed, its lease was over", h.id)
		h.server.Crash()
	}
}

// asks lets the agent ask for a lease.
func (h *host) asks() bool {
	w := h.world
	if h.guard == nil || h.deaf || h.mute || h.still || len(w.asks) > 6 || !h.guard.NeedsLease(h.sees()) {
		return false
	}
	if slices.ContainsFunc(w.asks, func(q question) bool { return q.from == h && q.boot == h.boot && h.clock()-q.asked < lease.Renew }) {
		return false
	}
	w.asks = append(w.asks, question{from: h, boot: h.boot, asked: h.clock()})
	return true
}

// answer lets a question reach the log of the leader, or an answer its guard; some get lost.
func (w *world) answer(_, _ *host) bool {
	if len(w.asks) == 0 {
		return false
	}
	i := w.draw(len(w.asks))
	q := &w.asks[i]
	if q.state == nil && w.draw(16) > 0 {
		q.state = w.truth() // as a read behind a barrier in the log sees it
		return true
	}
	if q.state != nil && w.draw(4) > 0 {
		return false // it is long on its way
	}
	h := q.from
	if q.state != nil && h.guard != nil && h.boot == q.boot && !h.still {
		h.guard.Granted(q.asked, q.state)
		h.stale = true
	}
	w.asks = slices.Delete(w.asks, i, i+1)
	return true
}

// leased gives a guard its lease at once.
func (h *host) leased() {
	if h.guard.NeedsLease(h.sees()) {
		h.guard.Granted(h.clock(), h.world.truth())
		h.stale = true
	}
}

func (h *host) standsStill() bool {
	if h.still {
		return false
	}
	h.still = true
	h.server.Freeze()
	return true
}

func (h *host) goesOn() bool {
	if !h.still {
		return false
	}
	h.still, h.stale = false, true
	h.server.Thaw()
	return true
}

// ackersGone ends every server but the primary's.
func (w *world) ackersGone(_, _ *host) bool {
	p, any := w.primary(), false
	for _, h := range w.hosts {
		if h != p && h.crash() {
			any = true
		}
	}
	return any
}

func wish(async, yields bool) (d registry.Durability, a registry.WhenAlone) {
	if async {
		d = registry.Async
	}
	if yields {
		a = registry.Yield
	}
	return d, a
}

func (w *world) anotherDurability(_, _ *host) bool {
	policy := w.truth().Policy
	policy.Durability, policy.WhenAlone = wish(w.draw(3) == 0, w.draw(2) == 0)
	return w.commit("operator", &registry.PutDatabase{Name: database, Policy: policy})
}

// acceptLoss is an operator who gives up what is lost. After a lossless reign he says that whatever is not fenced is dead,
// and so it must be: he has looked.
func (w *world) acceptLoss(a, _ *host) bool {
	d := w.truth()
	c := &registry.AcceptLoss{Database: database, Epoch: d.Epoch, Cause: registry.Cause{Code: decide.DataLossAccepted, Detail: "somebody wants it"}}
	if w.draw(2) == 0 {
		c.To = a.id
	}
	if !w.commit("operator", c) {
		return false
	}
	if d.IsLossless() {
		for _, h := range w.hosts {
			if h.guard == nil || h.guard.Report().Fenced < w.truth().Epoch {
				h.crash()
			}
		}
	}
	return true
}

// checkLossless checks that a reign which is lossless again has all that was ever answered on as many ackers as it says (G2).
// Who had it when it was proved and has crashed since is amnesiac: a fence does not count its word, and so it is no fault that
// it lacks something. Whoever a fence would believe must have it, but for |A|-K of them.
func (w *world) checkLossless(before, d *registry.Database) {
	if before.IsLossless() || !d.IsLossless() {
		return
	}
	for _, t := range w.served {
		have := 0
		for _, a := range d.Ackers {
			h := w.host(a)
			if h.server.Holds(t) || !h.remembers() {
				have++
			}
		}
		if have < d.K {
			w.fail("G2", "epoch %d is lossless again, and %d of %v have %s", d.Epoch, have, d.Ackers, t)
			return
		}
	}
}

// remembers reports whether a fence would believe what h says of its own memory. A frozen MariaDB cannot be asked which
// threads it has lost.
func (h *host) remembers() bool {
	switch {
	case !h.server.Running():
		return false
	case h.server.Answers():
		eyes := mysqldtest.NewObserver(h.server, h.world.clock) // its own may have seen less
		eyes.Look()
		return recall.Lasts(h.file.written.Whole, eyes.Latest())
	}
	return h.file.written.Whole == h.server.Process()
}

// giveUp forgets what a winner lacks that was elected with a loss.
func (w *world) giveUp() {
	w.gaveUp = false
	w.served = slices.DeleteFunc(w.served, func(t mysqldtest.Txn) bool {
		lost := !w.by.server.Holds(t)
		if lost {
			w.known[t.Origin][t.Number] = false
			w.tally.Lost++
		}
		return lost
	})
}

package promote

import (
	"fmt"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/promote/recall"
	"github.com/baton-db/baton/registry"
)

// watchMemory follows the memory of the server from one observation to the next: it lasts as long as each of them shares a
// thread with the one before. After a gap everything that the source has must be seen to arrive again. g.mu is held.
func (g *Guard) watchMemory(o health.Observation) {
	if recall.Is("", o) || recall.Is(g.done.record.Whole, o) && recall.Is(g.done.since, o) {
		return // there is nothing to compare yet, or it goes on
	}
	now := recall.Memory(o)
	if g.done.record.Whole != now && recall.Lasts(g.done.record.Whole, o) {
		g.done.record.Whole = now
	}
	switch {
	case g.done.since == now || g.done.follows != o.Incarnation:
	case recall.Lasts(g.done.since, o):
		g.done.since = now
	default:
		g.done.target, g.done.report.CaughtUp = mysqld.GTIDSet{}, false
	}
}

// remembers reports whether the server has everything that it acknowledged, as it was observed.
func (g *Guard) remembers(o health.Observation) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watchMemory(o)
	return g.done.report.CaughtUp && recall.Lasts(g.done.record.Whole, o)
}

// goOnRemembering is for a server that was whole and has applied all of it since, with its receiver stopped: MariaDB has
// deleted the relay log to follow another, and nothing was in it.
func (g *Guard) goOnRemembering(o health.Observation) error {
	g.mu.Lock()
	g.done.since = recall.Memory(o)
	g.mu.Unlock()
	return g.keep(func(r *promise.Record) { r.Whole = recall.Memory(o) })
}

// beginMemory writes down, before the server follows the winner of d, that from now on it may acknowledge in this epoch: an
// agent that is killed in the middle must not begin anew. It returns the process whose memory is whole when it follows, or "".
//
// Whoever follows from the base on acknowledges nothing it has not received in order: its memory is whole. A reign that is
// kept has no such beginning, nor has a process whose predecessor was told to follow in this epoch already, and may have
// forgotten what it acknowledged. On MariaDB it may be deleted before the threads were seen, so there it is measured.
func (g *Guard) beginMemory(d *registry.Database) (process string, err error) {
	o := g.observer.Latest()
	g.mu.Lock()
	again, before := g.done.record.Follows == d.Epoch, g.done.record.Whole
	g.mu.Unlock()
	if d.Proof != registry.ProofKept && o.Status.Flavor != mysqld.MariaDB && (!again || before == o.Incarnation) {
		process = o.Incarnation
	}
	if again {
		return process, nil
	}
	g.note(func(r *health.Guard) { r.CaughtUp = false })
	return process, g.keep(func(r *promise.Record) {
		r.Follows = d.Epoch
		if d.Proof != registry.ProofKept {
			r.Whole = process
		}
	})
}

// measurable sees whether theirs, the position of the primary of d, is one that everything can be measured by: a winner must
// have got through the base first, and in a reign nobody has written here while nobody looked.
func (g *Guard) measurable(d *registry.Database, own health.Observation, theirs mysqld.GTIDSet) error {
	if d.Phase == registry.Serving {
		return g.checkDiverged(d, own, theirs)
	}
	base, err := target(d, own.Status.Flavor)
	if err != nil {
		return fmt.Errorf("base of epoch %d: %w", d.Epoch, err)
	}
	if !theirs.Contains(base) {
		return errNotYet
	}
	return nil
}

package promote

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/registry"
)

// memory names what a server's memory of what it received hangs on: its process, and on MariaDB the two threads that replicate
// as well. There the relay log is deleted when a thread starts while neither runs; somebody who says STOP REPLICA and START
// REPLICA by hand makes that happen in a moment, and the process goes on.
func memory(o health.Observation) string {
	r := o.Status.Replication
	if o.Status.Flavor != mysqld.MariaDB || r == nil {
		return o.Incarnation
	}
	return o.Incarnation + " " + strconv.FormatUint(r.ReceiverThread, 10) + "/" + strconv.FormatUint(r.ApplierThread, 10)
}

// remembers reports whether nothing that was received when memory was before can have been deleted since: the process is the
// same, and one of the threads has run all the time. Each start of a thread has a number of its own.
func remembers(before string, o health.Observation) bool {
	if now := memory(o); before == now || o.Incarnation == "" {
		return before == now && before != ""
	}
	process, threads, replica := strings.Cut(before, " ")
	switch {
	case process != o.Incarnation:
		return false
	case o.Status.Flavor != mysqld.MariaDB:
		return true
	case !replica || o.Status.Replication == nil:
		return false // what it follows was set, or reset, since
	}
	receiver, applier, _ := strings.Cut(threads, "/")
	ran := func(before string, now uint64) bool { return now != 0 && before == strconv.FormatUint(now, 10) }
	return ran(receiver, o.Status.Replication.ReceiverThread) || ran(applier, o.Status.Replication.ApplierThread)
}

// watchMemory follows the memory of the server from one observation to the next: it lasts as long as each of them shares a
// thread with the one before. After a gap everything that the source has must be seen to arrive again. g.mu is held.
func (g *Guard) watchMemory(o health.Observation) {
	now := memory(o)
	if g.done.record.Whole != now && remembers(g.done.record.Whole, o) {
		g.done.record.Whole = now
	}
	switch {
	case g.done.since == now || g.done.follows != o.Incarnation:
	case remembers(g.done.since, o):
		g.done.since = now
	default:
		g.done.target, g.done.report.CaughtUp = mysqld.GTIDSet{}, false
	}
}

// beginMemory writes down, before the server follows the winner of d, that from now on it may acknowledge in this epoch: an
// agent that is killed in the middle must not begin anew. It returns the process whose memory is whole when it follows, or "".
//
// Whoever follows from the base on acknowledges nothing it has not received in order: its memory is whole. A reign that is
// kept has no such beginning, nor has a process whose predecessor was told to follow in this epoch already, and may have
// acknowledged what was lost with it: what was forgotten is still missing then. On MariaDB what was received may be deleted
// before anybody has seen which threads run, so there it is measured.
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

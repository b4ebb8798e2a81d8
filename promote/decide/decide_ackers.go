package decide

import (
	"fmt"
	"strings"

	"github.com/baton-db/baton/registry"
)

// change takes the next step of whatever an operator wants of the ackers: who leaves, and how many acknowledgements commits
// wait for. The order is package promote's; here one step is named when the one before is done.
func (e election) change() Decision {
	switch {
	case e.d.Policy.Paused:
		return Decision{}
	case e.d.Change != nil:
		return e.advance(*e.d.Change)
	}
	for _, m := range e.d.Members {
		if m.Leaving.Zero() || m.ID == e.d.Primary {
			continue
		}
		if e.d.IsAcker(m.ID) && !e.d.IsLossless() {
			continue // what it has acknowledged cannot be proved to be on others
		}
		if e.d.IsAcker(m.ID) {
			return e.changeAckers(registry.ChangeAckers{Retire: m.ID}, AckerRetires, m.Leaving.String())
		}
		return e.remove(m)
	}
	_, hears := e.hear(e.d.Ackers)
	switch want := e.d.Policy.K; {
	case want == e.d.K || !e.d.IsLossless():
		return Decision{}
	case want > len(e.d.Ackers):
		return waiting(AckersMissing, "commits are to wait for %d acknowledgements, and %d replicas can acknowledge. Way out: add another member, or ask for fewer",
			want, len(e.d.Ackers))
	case want > e.d.K && hears < want: // every commit would wait; where the policy is to go on alone, it would, and again
		return waiting(AckersMissing, "commits are to wait for %d acknowledgements, and %d of %v hear %s. Way out: bring the others back, or ask for fewer",
			want, hears, e.d.Ackers, e.d.Primary)
	default:
		return e.changeAckers(registry.ChangeAckers{K: want}, AcksChange, fmt.Sprintf("from %d to %d", e.d.K, want))
	}
}

func (e election) changeAckers(c registry.ChangeAckers, code, why string) Decision {
	c.Database, c.Epoch, c.AtMillis, c.Cause = e.d.Name, e.d.Epoch, e.clock.NowMillis, registry.Cause{Code: code, Detail: why}
	return Decision{Command: &c}
}

// remove forgets a member that leaves once it acknowledges for nobody.
func (e election) remove(m registry.Member) Decision {
	c := &registry.RemoveMember{Database: e.d.Name, Instance: m.ID}
	h, ok := e.fresh(m.ID)
	if ok && h.Guard.Promise == e.d.Epoch && h.Guard.Silent >= e.d.Revision {
		c.Revision = e.d.Revision
	}
	if e.d.IsArmed(m.ID) && m.Leaving.Code != registry.MemberLost && c.Revision == 0 {
		return waiting(AckersChanging, "%s leaves, but may still be acknowledging for a server that reigned before. Way out: bring it back until it follows %s; if it is gone for good, say so: baton db remove-member %s %s --lost",
			m.ID, e.d.Primary, e.d.Name, m.ID)
	}
	return Decision{Command: c}
}

// advance takes the change under way a step further when a report of the present revision says so.
func (e election) advance(c registry.Change) Decision {
	next := func(code, format string, args ...any) Decision {
		return Decision{Command: &registry.AdvanceChange{Database: e.d.Name, Epoch: e.d.Epoch, Revision: e.d.Revision, AtMillis: e.clock.NowMillis,
			Cause: registry.Cause{Code: code, Detail: fmt.Sprintf(format, args...)}}}
	}
	if c.Retire != "" && !c.Silent {
		h, ok := e.fresh(c.Retire)
		if ok && h.Guard.Promise == e.d.Epoch && h.Guard.Silent >= e.d.Revision {
			return next(AckerSilent, "%s follows %s without acknowledging", c.Retire, e.d.Primary)
		}
		return waiting(AckersChanging, "%s is to stop acknowledging (unheard for %.1f s: %s). Way out: bring it back; or hand over to a member for which it never acknowledged; or, if it is gone for good: baton db remove-member %s %s --lost",
			c.Retire, e.age(c.Retire).Seconds(), h.Guard.Problem, e.d.Name, c.Retire)
	}
	h, ok := e.fresh(e.d.Primary)
	if !ok || h.Guard.Promise != e.d.Epoch || h.Guard.Proved < e.d.Revision {
		return waiting(AckersChanging, "%s has to have a commit acknowledged by enough of %s (%s). Way out: bring back those that are missing, or undo the change",
			e.d.Primary, e.others(c), h.Guard.Problem)
	}
	if c.K > 0 {
		return next(AcksChanged, "a commit was acknowledged by %d of %v", c.K, e.d.Ackers)
	}
	return next(AckerRetired, "everything that %s has acknowledged is on %d of %s", c.Retire, e.d.K, e.others(c))
}

// others are the ackers without the one that retires.
func (e election) others(c registry.Change) string {
	var ids []string
	for _, a := range e.d.Ackers {
		if a != c.Retire {
			ids = append(ids, string(a))
		}
	}
	return strings.Join(ids, ", ")
}

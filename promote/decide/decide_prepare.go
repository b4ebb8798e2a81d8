package decide

import (
	"fmt"
	"slices"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// preparing begins the hand-over that is being prepared once everybody is where he should be, or enough time has passed:
// it then takes longer and is as safe. It is given up when the primary fails and cannot be replaced, when it may not be
// able to close, and when the wanted winner falls away, without which commits may wait for acknowledgements.
func (e election) preparing(failure, doubt registry.Cause) Decision {
	h := e.d.Handover
	to, ok := e.d.Member(h.To)
	late := e.clock.InPhase >= e.rules.Prepare
	if doubt.Zero() && !e.ready(e.d.Primary) { // too short for a failure, too long to close in time
		doubt = registry.Cause{Code: PrimaryHung, Detail: fmt.Sprintf("%s does not answer", e.d.Primary)}
	}
	switch {
	case !failure.Zero():
		return e.giveUp(fmt.Sprintf("%s, and it cannot be replaced", failure))
	case e.d.Policy.Paused:
		return e.giveUp("the database is paused")
	case late && !doubt.Zero(): // it could not close, and a fencing would follow
		return e.giveUp(doubt.String())
	case !ok || !e.mayAct(to) || e.fallen(h.To) || late && !e.ready(h.To):
		return e.giveUp(fmt.Sprintf("%s cannot take over any more (unheard for %.1f s, process %s)", h.To, e.age(h.To).Seconds(), e.view[h.To].Process))
	case !doubt.Zero() || !e.ready(h.To) || !late && slices.ContainsFunc(h.Movers, func(id registry.InstanceID) bool {
		heard, fresh := e.fresh(id)
		return !fresh || !e.moved(heard)
	}):
		return Decision{}
	}
	return e.revoke(h.To, h.Cause)
}

// moved reports whether h follows the wanted winner already: whatever it hears says nothing of the primary.
func (e election) moved(h health.Heard) bool {
	if e.d.Handover == nil || h.Replication == nil {
		return false
	}
	to, ok := e.d.Member(e.d.Handover.To)
	return ok && h.Replication.Source == to.Address && h.Replication.Receiver == "running" && h.Replication.SemiSync
}

// fallen reports whether id is certain not to answer. One that only does not answer now may be a former primary that turns
// its semi-sync source off, which takes MySQL up to a second.
func (e election) fallen(id registry.InstanceID) bool {
	h := e.view[id]
	return h.Process.Gone() || h.Process == health.ProcessStopped
}

func (e election) giveUp(why string) Decision {
	return Decision{Command: &registry.Prepare{Database: e.d.Name, Epoch: e.d.Epoch, Revision: e.d.Revision, AtMillis: e.clock.NowMillis,
		Cause: registry.Cause{Code: PreparationOver, Detail: why}}}
}

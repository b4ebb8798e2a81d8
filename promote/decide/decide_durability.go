package decide

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/lease"
	"github.com/baton-db/baton/registry"
)

// durability takes the next step of what commits are to be worth: an async policy takes effect, a lonely primary goes on
// alone where the policy lets it, and is lossless again when enough ackers have everything.
func (e election) durability() Decision {
	d := e.d
	switch lonely, why := e.lonely(); {
	case d.Policy.Paused || d.Handover != nil: // it is given up first, when it does not come about
		return Decision{}
	case d.Policy.Async() && (d.Durability != registry.Async || d.Change != nil):
		return e.degrade(registry.Async, DurabilityAsync, "the policy says so: commits wait for nobody, and can be lost in a failover")
	case d.Policy.Async():
		return Decision{}
	case lonely && d.Policy.Degrades() && (d.IsLossless() || d.Change != nil):
		return e.degrade(registry.Degraded, DurabilityDegraded, why+", and the policy is to go on alone: what is acknowledged from now on can be lost")
	case d.IsLossless() || d.Change != nil:
		return Decision{}
	}
	return e.rearm()
}

func (e election) degrade(to registry.Durability, code, why string) Decision {
	return Decision{Command: &registry.Degrade{Database: e.d.Name, Epoch: e.d.Epoch, To: to, Position: e.view[e.d.Primary].Position,
		AtMillis: e.clock.NowMillis, Cause: registry.Cause{Code: code, Detail: why}}}
}

// lonely reports whether commits wait because fewer ackers hear the primary than they wait for.
func (e election) lonely() (bool, string) {
	h, ok := e.fresh(e.d.Primary)
	k := e.d.K
	if e.d.Change != nil && e.d.Change.K > 0 {
		k = e.d.Change.K // so many the server waits for already, also where it is to be lossless again with fewer than before
	}
	_, hears := e.hear(e.d.Ackers) // who hears it and is no acker acknowledges nothing
	if !ok || !h.Canary.WaitingForAcks || millis(h.Canary.BlockedMillis) < e.rules.Lonely || hears >= k {
		return false, ""
	}
	return true, fmt.Sprintf("commits on %s have waited %d ms for %d acknowledgements, and %d of %v hear it",
		e.d.Primary, h.Canary.BlockedMillis, k, hears, e.d.Ackers)
}

// rearm begins the return to lossless once as many ackers as commits are to wait for have caught up. That is a hint: what
// proves it is the commit that the primary has acknowledged after that. Who had caught up, and does not hear the primary any
// more, does not count: it would be lonely again at once, and again. What the policy asks for and was never reached is asked for
// when it is lossless (fewest).
func (e election) rearm() Decision {
	k, there := e.d.Policy.K, 0
	for _, id := range e.d.Ackers {
		h := e.view[id]
		if e.ready(id) && h.Guard.Follows == e.d.Epoch && h.Guard.CaughtUp && h.Replication != nil && h.Replication.SemiSync && e.hears(h) {
			there++
		}
	}
	if there < k {
		k = e.fewest()
	}
	if there < k {
		return waiting(RunsAlone, "commits on %s wait for nobody since epoch %d, and can be lost: %d of %v have caught up, need %d. Way out: bring them back",
			e.d.Primary, e.d.Alone.Epoch, there, e.d.Ackers, k)
	}
	return Decision{Command: &registry.Rearm{Database: e.d.Name, Epoch: e.d.Epoch, K: k, AtMillis: e.clock.NowMillis,
		Cause: registry.Cause{Code: DurabilityRearms, Detail: fmt.Sprintf("%d of %v have caught up: commits wait for %d again, and that is to be proved", there, e.d.Ackers, k)}}}
}

// cannotReplaceAlone says what an election would lack after a reign that nobody acknowledged. A primary that was restarted
// proves it all itself. An async one is replaced by whoever is there; a degraded one by nobody.
func (e election) cannotReplaceAlone() registry.Cause {
	if e.ready(e.d.Primary) && e.view[e.d.Primary].ReadOnly {
		return registry.Cause{}
	}
	if e.d.Durability != registry.Async {
		return e.mayLose(e.d.Primary)
	}
	for _, m := range e.d.Members {
		if m.ID != e.d.Primary && e.mayAct(m) && e.ready(m.ID) {
			return registry.Cause{}
		}
	}
	return registry.Cause{Code: NoCandidate, Detail: "no replica is ready. Way out: bring one of them back, or the primary"}
}

// mayLose says what each replica is known to lack of what a primary may have acknowledged alone, and how to go on.
func (e election) mayLose(former registry.InstanceID) registry.Cause {
	detail := fmt.Sprintf("%s acknowledged writes alone since epoch %d", former, e.d.Alone.Epoch)
	known := e.known(nil)
	for _, m := range e.d.Members {
		if has, err := e.parse(e.view[m.ID].Position); err == nil && m.ID != former && e.view[m.ID].Ever() {
			detail += fmt.Sprintf("; %s lacks %s", m.ID, atLeast(known.Minus(has)))
		}
	}
	return registry.Cause{Code: WritesAtRisk, Detail: fmt.Sprintf("%s. Way out: bring %s back; or give up what is lost: %s", detail, former, e.unblock())}
}

func atLeast(lost mysqld.GTIDSet) string {
	if lost.IsEmpty() {
		return "nothing that was heard of"
	}
	return "at least " + lost.String()
}

// unblock is the command by which an operator accepts a loss.
func (e election) unblock() string {
	return fmt.Sprintf("baton db promote %s --accept-data-loss %s:%d --reason WHY", e.d.Name, e.d.Name, e.d.Epoch)
}

// known is everything that anybody was heard to have, or an election has settled.
func (e election) known(voters []voter) mysqld.GTIDSet {
	all := mysqld.GTIDSet{}
	add := func(text string) {
		if set, err := e.parse(text); err == nil {
			all = all.Union(set)
		}
	}
	for _, m := range e.d.Members {
		if e.view[m.ID].Ever() {
			add(e.view[m.ID].Position)
		}
	}
	if e.d.Alone != nil {
		add(e.d.Alone.Position)
	}
	if e.d.Settled != nil {
		add(e.d.Settled.Base)
	}
	for _, w := range voters {
		all = all.Union(w.position)
	}
	return all
}

// forfeit elects although acknowledged writes may be missing, where the reign was async or an operator accepts that: after
// the former primary is excluded, and everybody who can be heard was. lack is why there is no election without a loss.
func (e election) forfeit(voters []voter, lack registry.Cause) Decision {
	proof := registry.ProofLapsed
	switch {
	case e.d.Accepted != nil:
		proof = registry.ProofAccepted
	case e.d.Former == "" || e.d.Durability != registry.Async:
		if e.d.Former != "" && !e.d.IsLossless() {
			lack = e.mayLose(e.d.Former)
		}
		return e.patient(lack)
	}
	if !e.excluded(voters) {
		return waiting(LeaseRuns, "%s may go on until its lease is over, %.1f s after its reign was ended, or until it is seen to be closed; and "+
			"where it was not heard to go by a lease, until %d of %d ackers are fenced", e.d.Former, lease.Wait().Seconds(), e.d.Need(), len(e.d.Ackers))
	}
	if e.clock.InPhase < e.rules.Patience && e.comes(voters) {
		return Decision{} // whoever is about to be fenced may have more
	}
	winner, base, ok := e.leastLoss(voters)
	if !ok {
		return e.patient(e.refused(lack))
	}
	lost := e.known(voters).Minus(base.Union(winner.reach))
	next := e.elect(voters, winner, base, verdict{proof, Elected, fmt.Sprintf("%s has most of what %d fenced members have; it lacks %s",
		winner.member.ID, len(voters), atLeast(lost))})
	if c, ok := next.Command.(*registry.Elect); ok {
		next.Command = &registry.Forfeit{Elect: *c, Lost: lost.String()}
	}
	return next
}

// excluded reports whether the former primary can acknowledge nothing any more: its own guard, which has promised this
// epoch, has closed it or seen its process end; or its lease is over by this leader's clock. A lease binds who has gone over
// to it, as one that began alone did before it opened. Of another one that has to have been heard; one that was not may have
// missed the decision and be lossless still, and its ackers have to be fenced as well. A lossless reign had no lease; who
// accepts a loss there, or here, says that whatever is not fenced is dead.
func (e election) excluded(voters []voter) bool {
	h := e.view[e.d.Former]
	closed := h.Ever() && h.Guard.Promise >= e.d.Epoch && (h.Process.Gone() || h.Guard.Closed == e.d.Epoch)
	if e.d.IsLossless() || closed {
		return true
	}
	fenced := 0
	for _, w := range voters {
		if e.d.IsAcker(w.member.ID) {
			fenced++
		}
	}
	bound := e.d.K == 0 || e.d.Accepted != nil || h.Ever() && h.Guard.Leased >= e.d.Alone.Revision && h.Guard.Leased > 0
	return e.clock.InPhase >= lease.Wait() && (bound || fenced >= e.d.Need())
}

// comes reports whether somebody who answers is not fenced yet.
func (e election) comes(voters []voter) bool {
	return slices.ContainsFunc(e.d.Members, func(m registry.Member) bool {
		return m.ID != e.d.Former && e.ready(m.ID) && e.index(voters, m.ID) < 0
	})
}

// leastLoss is the winner that an operator wants, or else who can hold everything that the fenced members have, or else who
// has most of it.
func (e election) leastLoss(voters []voter) (candidate, mysqld.GTIDSet, bool) {
	union := mysqld.GTIDSet{}
	for _, w := range voters {
		union = union.Union(w.position.Minus(w.errant))
	}
	to := registry.InstanceID("")
	if e.d.Accepted != nil {
		to = e.d.Accepted.To
	}
	if best, ok := e.best(voters, union); ok && (to == "" || best.member.ID == to) {
		return best, union, true
	}
	var left []voter
	for _, w := range voters {
		if w.ready && e.mayAct(w.member) && (w.member.ID == to || to == "" && w.errant.IsEmpty()) {
			left = append(left, w)
		}
	}
	if len(left) == 0 || to == "" && e.d.Accepted == nil {
		return candidate{}, union, false // members contradict each other: a person must say whom to believe
	}
	w := slices.MinFunc(left, func(a, b voter) int {
		return cmp.Or(cmp.Compare(b.position.Intersect(union).Count(), a.position.Intersect(union).Count()),
			cmp.Compare(a.member.Preference.Rank(), b.member.Preference.Rank()), cmp.Compare(a.member.ID, b.member.ID))
	})
	return candidate{voter: w, reach: w.position}, w.position, true
}

// alone is k, how many acknowledgements the winner's commits are to wait for, or 0: in an async database, and where too few
// can acknowledge when an operator accepts a loss, or after a reign that was not lossless. That one had begun to wait for nobody
// by the policy of then or by an operator's word, and a restart does not take it back; who catches up makes it lossless again.
func (e election) alone(k int, enough bool) int {
	switch {
	case e.d.Durability == registry.Async && e.d.Policy.Async():
		return 0
	case !enough && (e.d.Accepted != nil || !e.d.IsLossless()):
		return 0
	}
	return k
}

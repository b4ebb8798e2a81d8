package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// voter is a member that was heard fenced or closed for the present epoch.
type voter struct {
	member   registry.Member
	text     string // position as reported, for the record
	position mysqld.GTIDSet
	executed uint64 // transactions applied: who has applied more is promoted faster
	amnesiac bool
	ready    bool
	errant   mysqld.GTIDSet
}

// closing waits for the former primary to close itself, and elects with its position as the base.
func (e election) closing() Decision {
	former, fresh := e.fresh(e.d.Former)
	limit := time.Duration(e.d.Policy.SwitchoverSeconds) * time.Second
	switch {
	case fresh && former.Guard.Closed == e.d.Epoch && former.Guard.Amnesiac:
		return e.escalate(PrimaryRestarted, fmt.Sprintf("%s restarted while it was handing over, and cannot prove that it is the server that reigned", e.d.Former))
	case fresh && former.Guard.Closed == e.d.Epoch:
		return e.bounded(e.electClosed(former, limit), limit)
	case fresh && former.Process.Gone():
		return e.escalate(PrimaryGone, fmt.Sprintf("%s ended while it was handing over", e.d.Former))
	case fresh && millis(former.UnreachableMillis) >= e.rules.Frozen: // writers wait already
		return e.escalate(PrimaryHung, fmt.Sprintf("%s stopped answering while it was handing over", e.d.Former))
	case !fresh && e.age(e.d.Former) >= e.rules.Winner:
		return e.escalate(PrimarySilent, fmt.Sprintf("the agent of %s fell silent while it was handing over", e.d.Former))
	case fresh && e.clock.InPhase >= limit:
		return Decision{Command: &registry.Elect{Database: e.d.Name, Epoch: e.d.Epoch, Winner: e.d.Former, Ackers: e.d.Ackers, K: e.d.K,
			Base: former.Executed, Proof: registry.ProofKept, AtMillis: e.clock.NowMillis, Cause: registry.Cause{Code: SwitchoverUndone,
				Detail: fmt.Sprintf("%s did not close within %s (%s) and stays primary", e.d.Former, limit, former.Guard.Problem)}}}
	}
	return waiting(Switchover, "waiting for %s to close", e.d.Former)
}

// escalate turns a hand-over into a fencing.
func (e election) escalate(code, why string) Decision {
	return Decision{Command: &registry.Escalate{Database: e.d.Name, Epoch: e.d.Epoch, AtMillis: e.clock.NowMillis,
		Cause: registry.Cause{Code: code, Detail: why}}}
}

// electClosed elects after the former primary has closed itself: everything acknowledged is in its position, and it
// goes on sending to its replicas, so a candidate may still be on its way to the base.
func (e election) electClosed(former health.Heard, limit time.Duration) Decision {
	base, err := e.parse(former.Guard.ClosedPosition)
	if err != nil {
		return waiting(Unreadable, "position of %s: %v", e.d.Former, err)
	}
	var promised []voter
	for _, m := range e.d.Members {
		w := voter{member: m, text: former.Guard.ClosedPosition, position: base, ready: e.ready(m.ID)}
		if m.ID != e.d.Former { // whose word is the proof, also when it has died since
			h, ok := e.fresh(m.ID)
			if !ok || h.Guard.Diverged != "" || h.Power.Torn != "" || !h.ReadOnly || !w.ready { // in one that takes writes commits may wait, for whoever follows it next
				continue
			}
			if h.Guard.Promise < e.d.Epoch {
				if e.d.IsAcker(m.ID) && e.clock.InPhase < e.rules.Deaf/2 {
					return waiting(Switchover, "waiting for %s to promise epoch %d", m.ID, e.d.Epoch) // it is about to
				}
				continue
			}
			w.text, w.amnesiac = h.Position, h.Guard.Amnesiac
			if w.position, err = e.parse(w.text); err != nil {
				return waiting(Unreadable, "position of %s: %v", m.ID, err)
			}
		}
		if base.Contains(w.position) { // who has more wrote it itself
			promised = append(promised, w)
		}
	}
	winner := e.index(promised, e.d.To)
	if winner < 0 && e.clock.InPhase >= limit/2 && e.ready(e.d.Former) {
		// The wanted winner fell away: the former primary is undone in favour of itself.
		winner = e.index(promised, e.d.Former)
	}
	if winner < 0 {
		return waiting(Switchover, "waiting for %s to promise epoch %d", e.d.To, e.d.Epoch)
	}
	c := candidate{voter: promised[winner], reach: base} // what it lacks the former primary goes on sending
	if !c.position.Contains(base) && !e.ready(e.d.Former) {
		s, ok := source(promised, c.voter, base)
		if !ok {
			return e.escalate(PrimaryGone, fmt.Sprintf("%s was lost after it closed, and nobody can send %s what it lacks", e.d.Former, c.member.ID))
		}
		c.source = &s
	}
	why := fmt.Sprintf("%s closed at its last transaction; %s takes over", e.d.Former, c.member.ID)
	return e.elect(promised, c, base, verdict{registry.ProofClosed, Elected, why})
}

// fencing waits until the ackers are fenced, and elects.
func (e election) fencing() Decision {
	voters, err := e.heard()
	if err != nil {
		return waiting(Unreadable, "%v", err)
	}
	if e.waitsForReturned(voters) {
		return waiting(PrimaryRestarted, "waiting for %s to report where it stands", e.d.Former)
	}
	base, proof, lack := e.base(voters)
	if !lack.Zero() {
		return e.forfeit(voters, lack)
	}
	best, ok := e.best(voters, base)
	if !ok {
		return e.forfeit(voters, e.noCandidate(voters, base))
	}
	return e.elect(voters, best, base, verdict{proof, Elected, fmt.Sprintf(
		"%s the %d fenced members received and has applied %d transactions", best, len(voters), best.executed)})
}

// waitsForReturned gives a former primary that runs again a moment to say where it stands.
func (e election) waitsForReturned(voters []voter) bool {
	return e.d.Cause.Code == PrimaryRestarted && e.clock.InPhase < e.rules.Ready && e.index(voters, e.d.Former) < 0 && e.ready(e.d.Former)
}

// patient keeps a lack quiet until it has lasted.
func (e election) patient(lack registry.Cause) Decision {
	if e.clock.InPhase < e.rules.Patience {
		return Decision{}
	}
	return Decision{Waiting: lack}
}

// heard collects who is fenced or closed for this epoch. Such a report is a fact and does not age.
func (e election) heard() ([]voter, error) {
	var voters []voter
	for _, m := range e.d.Members {
		h, ok := e.view[m.ID]
		text := h.Guard.FencedPosition
		if m.ID == e.d.Former {
			ok = ok && h.Guard.Closed == e.d.Epoch
			text = h.Guard.ClosedPosition
		} else {
			ok = ok && h.Guard.Fenced == e.d.Epoch
		}
		if !ok || h.Emptied() != "" {
			continue
		}
		p, err := e.parse(text)
		if err != nil && m.ID == e.d.Former {
			continue // another server may be in its place: the ackers need no word of it
		}
		if err != nil {
			return nil, fmt.Errorf("position of %s: %w", m.ID, err)
		}
		w := voter{member: m, text: text, position: p, amnesiac: h.Guard.Amnesiac, ready: e.ready(m.ID)}
		if x, err := e.parse(h.Executed); err == nil {
			w.executed = x.Count()
		}
		voters = append(voters, w)
	}
	for i := range voters {
		var err error
		if voters[i].errant, err = e.errant(voters, i); err != nil {
			return nil, err
		}
	}
	return voters, nil
}

// errant is what voter i originated itself since the last reign began, without having been primary, and nobody else has:
// nobody acknowledged it. What others have too came to them from a winner of an earlier epoch that was never established; of
// that it is what the last primary is known to have lacked.
func (e election) errant(voters []voter, i int) (mysqld.GTIDSet, error) {
	none, w := mysqld.GTIDSet{}, voters[i]
	if w.member.ID == e.d.Former || e.d.Former == "" || e.d.Settled != nil {
		return none, nil
	}
	since, err := e.parse(e.d.Reign.Base)
	if err != nil {
		return none, fmt.Errorf("base of the last reign: %w", err)
	}
	own := w.position.Minus(since).Only(w.member.SourceKey())
	for j, other := range voters {
		if i != j {
			own = own.Minus(other.position)
		}
	}
	known, err := e.diverged(w.member.ID)
	return own.Union(known), err
}

// base is the position that the winner must hold, and why nothing acknowledged can be missing from it. What an earlier
// Elect has settled is enough: nothing was acknowledged since, whatever somebody has received beyond it.
func (e election) base(voters []voter) (mysqld.GTIDSet, registry.Proof, registry.Cause) {
	union := mysqld.GTIDSet{}
	whole, names := 0, ""
	for _, w := range voters {
		if e.d.Former == "" || (e.d.IsAcker(w.member.ID) && !w.amnesiac && w.member.ID != e.d.Former) {
			whole++
			names += " " + string(w.member.ID)
			union = union.Union(w.position.Minus(w.errant))
		}
	}
	switch {
	case e.d.Settled != nil:
		settled, err := e.parse(e.d.Settled.Base)
		if err != nil {
			return union, "", registry.Cause{Code: Unreadable, Detail: err.Error()}
		}
		return settled, registry.ProofSettled, registry.Cause{}
	case e.d.Former == "":
		if whole < e.d.Policy.Expect {
			return union, "", registry.Cause{Code: MembersMissing, Detail: fmt.Sprintf("%d of %d members have closed:%s", whole, e.d.Policy.Expect, names)}
		}
		return union, registry.ProofFormed, registry.Cause{}
	case whole >= e.d.Need() && e.d.IsLossless():
		return union, registry.ProofFenced, registry.Cause{}
	}
	if i := e.index(voters, e.d.Former); i >= 0 && !voters[i].amnesiac && holdsAll(voters, voters[i]) {
		return voters[i].position, registry.ProofClosed, registry.Cause{}
	}
	return union, "", e.ackersMissing(voters, whole)
}

// holdsAll reports whether the former primary w has everything of its own that anybody was heard to have: it sent it, so
// without it w would be another server, or have lost its memory.
func holdsAll(voters []voter, w voter) bool {
	return !slices.ContainsFunc(voters, func(o voter) bool { return !w.position.Contains(o.position.Only(w.member.SourceKey())) })
}

func (e election) ackersMissing(voters []voter, whole int) registry.Cause {
	missing := ""
	for _, id := range e.d.Ackers {
		if i := e.index(voters, id); i < 0 {
			missing += fmt.Sprintf(" %s (unheard for %.1f s: %s);", id, e.age(id).Seconds(), e.view[id].Guard.Problem)
		} else if voters[i].amnesiac {
			missing += fmt.Sprintf(" %s (its memory has a gap);", id)
		}
	}
	return registry.Cause{Code: AckersMissing, Detail: fmt.Sprintf(
		"%d of %d ackers are fenced with whole memories, need %d; missing:%s Way out: bring one of them back, or %s; if they are gone for good: %s",
		whole, len(e.d.Ackers), e.d.Need(), missing, e.d.Former, e.unblock())}
}

// verdict is how an Elect is justified.
type verdict struct {
	proof registry.Proof
	code  string
	why   string
}

// elect builds the command; everybody who is ready and holds nothing that the winner lacks may acknowledge for it.
func (e election) elect(voters []voter, winner candidate, base mysqld.GTIDSet, why verdict) Decision {
	reach := base.Union(winner.reach) // it applies all it has before it begins
	c := &registry.Elect{Database: e.d.Name, Epoch: e.d.Epoch, Winner: winner.member.ID, Base: base.String(),
		Proof: why.proof, CatchUp: winner.detour(), AtMillis: e.clock.NowMillis, Cause: registry.Cause{Code: why.code, Detail: why.why}}
	for _, w := range voters {
		c.Evidence = append(c.Evidence, registry.Evidence{Instance: w.member.ID, Position: w.text, Amnesiac: w.amnesiac})
		if w.member.ID != winner.member.ID && w.ready && e.mayAct(w.member) && w.member.CanFollow(winner.member) && reach.Contains(w.position) {
			c.Ackers = append(c.Ackers, w.member.ID)
		}
	}
	if why.proof == registry.ProofClosed {
		// The record must show the position that is the base, in the same words.
		if i := slices.IndexFunc(c.Evidence, func(x registry.Evidence) bool { return x.Instance == e.d.Former }); i >= 0 {
			c.Evidence[i].Position = c.Base
		}
		if c.CatchUp != nil && c.CatchUp.From == e.d.Former {
			c.CatchUp.Until = c.Base
		}
	}
	c.Ackers = e.lasting(c.Ackers)
	k, enough := e.acks(c.Ackers)
	if c.K = e.alone(k, enough); c.K == 0 && len(c.Ackers) == 0 && !e.d.Policy.Async() && e.clock.InPhase < e.rules.Patience {
		return Decision{} // somebody may come who acknowledges
	}
	if c.K > 0 && !enough {
		return e.patient(registry.Cause{Code: AckersMissing, Detail: fmt.Sprintf(
			"%s could win, but %d replicas can acknowledge for it, need %d%s. Way out: bring another member back%s", winner.member.ID, len(c.Ackers), c.K, e.unfit(winner.member), e.upgrade(winner.member))})
	}
	return Decision{Command: c}
}

// promoting waits for the winner's marker, and gives up on a winner that is lost when somebody else could win.
func (e election) promoting() Decision {
	w, fresh := e.fresh(e.d.Primary)
	if fresh && w.Guard.Marked == e.d.Epoch && e.d.NextK == 0 {
		return Decision{Command: &registry.Establish{Database: e.d.Name, Epoch: e.d.Epoch, AtMillis: e.clock.NowMillis,
			Cause: registry.Cause{Code: Marked, Detail: fmt.Sprintf("%s begins alone: nobody has to acknowledge its writes, and they can be lost", e.d.Primary)}}}
	}
	if fresh && w.Guard.Marked == e.d.Epoch {
		return Decision{Command: &registry.Establish{Database: e.d.Name, Epoch: e.d.Epoch, AtMillis: e.clock.NowMillis,
			Cause: registry.Cause{Code: Marked, Detail: fmt.Sprintf("%d of %v have acknowledged the marker of %s", e.d.NextK, e.d.NextAckers, e.d.Primary)}}}
	}
	patience := 20 * e.rules.Winner // the backlog of a busy server may take its time, and others have the same
	if e.d.Proof == registry.ProofClosed {
		patience = time.Duration(e.d.Policy.SwitchoverSeconds) * time.Second // the former primary can have it back
	}
	lost := ""
	switch {
	case fresh && w.Process.Gone():
		lost = fmt.Sprintf("the process of %s is %s", e.d.Primary, w.Process)
	case fresh && millis(w.UnreachableMillis) >= e.rules.Winner:
		lost = fmt.Sprintf("%s has not answered for %d ms", e.d.Primary, w.UnreachableMillis)
	case !fresh && e.age(e.d.Primary) >= e.rules.Winner:
		lost = fmt.Sprintf("the agent of %s has been unheard for %.1f s", e.d.Primary, e.age(e.d.Primary).Seconds())
	case fresh && e.stranded(w) != "":
		lost = e.stranded(w)
	case e.clock.InPhase >= patience && e.delay(e.d.Primary) == 0: // one that was accepted for want of others takes its time
		lost = fmt.Sprintf("%s did not get its marker acknowledged within %s: %s %s", e.d.Primary, patience, w.Guard.Doing, w.Guard.Problem)
	default:
		return Decision{}
	}
	ready := 0 // the winner itself may still serve as an acker
	for _, m := range e.d.Members {
		if e.ready(m.ID) {
			ready++
		}
	}
	if ready <= e.alone(e.fewest(), ready > e.fewest()) {
		return waiting(AckersMissing, "%s, and only %d members are ready. Way out: bring another member back", lost, ready)
	}
	return Decision{Command: &registry.Revoke{Database: e.d.Name, Epoch: e.d.Epoch + 1, Winner: e.d.Primary, // which may reign when this is committed
		Cause: registry.Cause{Code: WinnerLost, Detail: lost}, AtMillis: e.clock.NowMillis}}
}

func (e election) parse(text string) (mysqld.GTIDSet, error) {
	if len(e.d.Members) == 0 {
		return mysqld.GTIDSet{}, fmt.Errorf("no members")
	}
	return mysqld.ParseGTIDSet(mysqld.Flavor(e.d.Members[0].Flavor), text)
}

func (e election) index(voters []voter, id registry.InstanceID) int {
	return slices.IndexFunc(voters, func(w voter) bool { return w.member.ID == id })
}

// noCandidate says why nobody may win.
func (e election) noCandidate(voters []voter, base mysqld.GTIDSet) registry.Cause {
	code, detail := NoCandidate, ""
	for _, w := range voters {
		switch {
		case !w.errant.IsEmpty():
			detail += fmt.Sprintf(" %s holds errant transactions %s;", w.member.ID, w.errant)
		case !w.position.Contains(base):
			code = Divergent
			detail += fmt.Sprintf(" %s lacks %s;", w.member.ID, base.Minus(w.position))
		case e.delay(w.member.ID) > 0:
			detail += fmt.Sprintf(" %s is kept %d s behind on purpose;", w.member.ID, e.delay(w.member.ID))
		case !e.mayAct(w.member):
			detail += fmt.Sprintf(" %s must never win, leaves, or may have lost rows;", w.member.ID)
		case !w.ready:
			detail += fmt.Sprintf(" %s holds everything but does not answer;", w.member.ID)
		}
	}
	return registry.Cause{Code: code, Detail: "nobody may win:" + detail + " Way out: bring back a member that holds everything, or choose whose transactions to keep: " + e.unblock() + " --to SERVER"}
}

package decide

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// candidate is who could win, and how it reaches the base.
type candidate struct {
	voter
	// source is from whom it gets what it lacks first, nil where it lacks nothing: a fenced member that grows no more and
	// holds the base and all that the candidate has.
	source *voter
	// reach is what the candidate will hold when it begins.
	reach mysqld.GTIDSet
}

// best is the winner among those who hold base or can get it: whom the most others can follow, by their versions; who leaves
// the fewest others with transactions that it lacks, for they would be diverged for ever; who has not been lost on such a detour
// before; who loses nothing with the power; then the wanted one, the preferred, who stands in the zone of the former primary, who needs no detour, who has
// applied most.
func (e election) best(voters []voter, base mysqld.GTIDSet) (candidate, bool) {
	able := e.able(voters, base)
	if len(able) == 0 {
		return candidate{}, false
	}
	leaves, passed := map[registry.InstanceID]int{}, map[registry.InstanceID]int{}
	wanted, detour := map[registry.InstanceID]int{e.d.To: 1}, map[registry.InstanceID]int{}
	for _, c := range able {
		for _, other := range voters {
			if !c.reach.Contains(other.position.Minus(other.errant)) {
				leaves[c.member.ID]++
			}
		}
		if c.source != nil {
			detour[c.member.ID] = 1
			if slices.Contains(e.d.Passed, c.member.ID) {
				passed[c.member.ID] = 1
			}
		}
	}
	return slices.MinFunc(able, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(e.outruns(a.member), e.outruns(b.member)),
			cmp.Compare(leaves[a.member.ID], leaves[b.member.ID]),
			cmp.Compare(passed[a.member.ID], passed[b.member.ID]),
			e.compareLasting(a.member, b.member),
			cmp.Compare(wanted[b.member.ID], wanted[a.member.ID]),
			cmp.Compare(a.member.Preference.Rank(), b.member.Preference.Rank()),
			cmp.Compare(e.away(a.member), e.away(b.member)),
			cmp.Compare(detour[a.member.ID], detour[b.member.ID]),
			cmp.Compare(b.executed, a.executed),
			cmp.Compare(a.member.ID, b.member.ID))
	}), true
}

// able are all who may win. Where somebody holds the base already, a detour must be short: it is outage.
func (e election) able(voters []voter, base mysqld.GTIDSet) []candidate {
	var there, behind []candidate
	for _, w := range voters {
		switch {
		case !w.ready || !w.errant.IsEmpty() || !e.mayAct(w.member):
		case w.position.Contains(base):
			there = append(there, candidate{voter: w, reach: w.position})
		default:
			if s, ok := source(voters, w, base); ok {
				behind = append(behind, candidate{voter: w, source: &s, reach: s.position})
			}
		}
	}
	if len(there) > 0 {
		behind = slices.DeleteFunc(behind, func(c candidate) bool { return c.reach.Minus(c.position).Count() > e.rules.CatchUpTransactions })
	}
	return append(there, behind...)
}

// source is from whom w can get the base: who holds most, so that as few as possible are left diverged.
func source(voters []voter, w voter, base mysqld.GTIDSet) (voter, bool) {
	var best voter
	found := false
	for _, s := range voters {
		if s.member.ID == w.member.ID || !s.ready || !s.errant.IsEmpty() || !s.position.Contains(base.Union(w.position)) {
			continue
		}
		if !found || s.position.Contains(best.position) && !best.position.Contains(s.position) {
			best, found = s, true
		}
	}
	return best, found
}

// detour is the record of how c reaches the base.
func (c candidate) detour() *registry.CatchUp {
	if c.source == nil {
		return nil
	}
	return &registry.CatchUp{From: c.source.member.ID, Until: c.source.text}
}

func (c candidate) String() string {
	if c.source == nil {
		return fmt.Sprintf("%s holds everything", c.member.ID)
	}
	return fmt.Sprintf("%s catches up from %s, which holds everything", c.member.ID, c.source.member.ID)
}

// behind says from whom the winner still has to get something, and what it must hold: nobody's name when it lacks nothing.
func (e election) behind(w health.Heard) (from registry.InstanceID, until mysqld.GTIDSet) {
	text := e.d.Base
	switch {
	case e.d.CatchUp != nil:
		from, text = e.d.CatchUp.From, e.d.CatchUp.Until
	case e.d.Proof == registry.ProofClosed && e.d.Former != e.d.Primary:
		from = e.d.Former
	default:
		return "", until
	}
	until, err := e.parse(text)
	has, errHas := e.parse(w.Position)
	if err != nil || errHas != nil || has.Contains(until) {
		return "", until
	}
	return from, until
}

// stranded says why a winner will not get what it lacks, or "": its source is lost, or it takes long and another member
// holds the base already.
func (e election) stranded(w health.Heard) string {
	from, until := e.behind(w)
	if from == "" {
		return ""
	}
	h, fresh := e.fresh(from)
	switch {
	case fresh && h.Process.Gone():
		return fmt.Sprintf("%s was to catch up from %s, whose process is %s", e.d.Primary, from, h.Process)
	case fresh && millis(h.UnreachableMillis) >= e.rules.Winner:
		return fmt.Sprintf("%s was to catch up from %s, which has not answered for %d ms", e.d.Primary, from, h.UnreachableMillis)
	case !fresh && e.age(from) >= e.rules.Winner:
		return fmt.Sprintf("%s was to catch up from %s, unheard for %.1f s", e.d.Primary, from, e.age(from).Seconds())
	case e.d.CatchUp == nil || e.clock.InPhase < e.rules.CatchUp:
		return ""
	}
	base, err := e.parse(e.d.Base)
	if err != nil {
		return ""
	}
	for _, m := range e.d.Members {
		has, err := e.parse(e.view[m.ID].Position)
		if err == nil && m.ID != e.d.Primary && e.mayAct(m) && e.ready(m.ID) && has.Contains(base) {
			return fmt.Sprintf("%s did not get %s from %s within %s, and %s has it", e.d.Primary, until.Minus(e.has(w)), from, e.rules.CatchUp, m.ID)
		}
	}
	return ""
}

// has is the position of a report that behind has read before.
func (e election) has(w health.Heard) mysqld.GTIDSet {
	set, _ := e.parse(w.Position)
	return set
}

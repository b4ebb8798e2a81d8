package decide

import (
	"fmt"

	"github.com/baton-db/baton/registry"
)

// mayAct reports whether m may win or acknowledge. One that is kept behind on purpose may not: it would be primary, or
// follow the next one, only when its delay is over. Of a torn one nobody knows what it holds. An operator who accepts a loss accepts that as well.
func (e election) mayAct(m registry.Member) bool {
	return e.view[m.ID].Emptied() == "" && m.Preference != registry.Never && m.Leaving.Zero() && (e.delay(m.ID) == 0 && e.view[m.ID].Power.Torn == "" || e.d.Accepted != nil)
}

// refused says of the winner that an operator wants why it cannot be it, where that is because it was emptied.
func (e election) refused(lack registry.Cause) registry.Cause {
	if e.d.Accepted == nil {
		return lack
	}
	if why := e.view[e.d.Accepted.To].Emptied(); why != "" {
		lack.Detail = fmt.Sprintf("%s, which is wanted, holds nothing: %s; %s", e.d.Accepted.To, why, lack.Detail)
	}
	return lack
}

// delay is by how many seconds id is kept behind on purpose.
func (e election) delay(id registry.InstanceID) int {
	if r := e.view[id].Replication; r != nil {
		return r.DelaySeconds
	}
	return 0
}

// delays names who is kept behind, for people.
func (e election) delays() (text string) {
	for _, m := range e.d.Members {
		if s := e.delay(m.ID); s > 0 {
			text += fmt.Sprintf(" %s (kept %d s behind on purpose);", m.ID, s)
		}
	}
	return text
}

// outruns is how many members could not follow m, because it is of a newer series than they are.
func (e election) outruns(m registry.Member) (n int) {
	for _, other := range e.d.Members {
		if !other.CanFollow(m) {
			n++
		}
	}
	return n
}

// unfit names who answers and cannot follow the winner, for people, and upgrade the way out of that.
func (e election) unfit(winner registry.Member) (text string) {
	for _, m := range e.d.Members {
		if e.ready(m.ID) && !m.CanFollow(winner) {
			text += fmt.Sprintf("; %s runs %s and cannot follow %s", m.ID, m.Version, winner.Version)
		}
	}
	return text
}

func (e election) upgrade(winner registry.Member) string {
	if e.unfit(winner) == "" {
		return ""
	}
	return ", or upgrade those that cannot follow; to begin without them: " + e.unblock()
}

// away is 1 for who stands in another zone than the former primary, where both are known.
func (e election) away(m registry.Member) int {
	former, ok := e.d.Member(e.d.Former)
	if ok && former.Zone != "" && m.Zone != "" && m.Zone != former.Zone {
		return 1
	}
	return 0
}

package decide

import (
	"fmt"
	"time"

	"github.com/baton-db/baton/registry"
)

// fewest is how many acknowledgements commits must wait for at least in the next reign: what is asked for, but not more than
// the last reign had. More than that was asked for and never reached; in serving nobody is refused for it either.
func (e election) fewest() int {
	if e.d.K == 0 { // there was no reign
		return e.d.Policy.K
	}
	return min(e.d.Policy.K, e.d.K)
}

// acks is how many acknowledgements a reign with these ackers begins with; ok is false when they are too few.
func (e election) acks(ackers []registry.InstanceID) (k int, ok bool) {
	if len(ackers) >= e.d.Policy.K {
		return e.d.Policy.K, true
	}
	return e.fewest(), len(ackers) >= e.fewest()
}

// bounded ends a hand-over that nobody could take over in time: the former primary has closed, so every moment is outage, and
// among fenced members others may win, or be acknowledged by others, than the one who was asked for.
func (e election) bounded(d Decision, limit time.Duration) Decision {
	if d.Command != nil || e.clock.InPhase < limit {
		return d
	}
	return e.escalate(SwitchoverFailed, fmt.Sprintf("nobody took over from %s within %s: %s", e.d.Former, limit, d.Waiting))
}

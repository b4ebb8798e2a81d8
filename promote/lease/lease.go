// Package lease is the arithmetic of a reign that nobody acknowledges: how long a primary may go on that has not asked for
// its reign, and how long a leader waits before it elects another.
//
// In lossless durability the ackers exclude a former primary, and no clock is trusted. A degraded or an async primary has
// none; what excludes it is time. Its guard reads the registry through the log of the leader, again and again. An answer
// that still shows the reign was asked for before the reign was ended, so the guard may count from the moment of asking,
// and the leader from the moment at which it has seen the end:
//
//	guard:  closed, or killed, by asked + Term + Slack + Fence by its own clock
//	leader: elects nobody before ended + Wait by its own clock, a new leader beginning anew
//
// with asked <= ended, whoever answered. That is exclusion if, and only if, both clocks run at the same rate within Drift,
// the guard is not held up for longer than Slack, also by a pause of its whole machine, and its fence takes no longer than
// Fence. Nobody can prove that of a machine; docs/durability.md says what helps. A clock must count while the machine is
// suspended (Now).
package lease

import "time"

// The terms of every lease. They are the same in all versions of baton that speak with each other: a guard that believed in
// a longer one than the leader would be a second primary.
const (
	// Term is how long a guard may let its server go on after it asked for its reign.
	Term = 3 * time.Second
	// Renew is the pause between two questions: several may be lost.
	Renew = 500 * time.Millisecond
	// Slack is how late a guard may notice that its lease is over, and Fence how long closing or killing may take.
	Slack = 400 * time.Millisecond
	Fence = 300 * time.Millisecond
	// drift is the bound on how much the rate of two clocks differs, in parts of a thousand.
	drift = 1
)

// Wait is how long a leader waits after it has seen the end of a reign: (1+d) * (Term/(1-d) + Slack + Fence), where d is
// the bound on drift.
func Wait() time.Duration {
	return (Term*1000/(1000-drift) + Slack + Fence) * (1000 + drift) / 1000
}

// Left is how much of a lease is left at now that was asked for at asked; asked is negative where none was granted.
func Left(asked, now time.Duration) time.Duration {
	if asked < 0 {
		return 0
	}
	return max(0, asked+Term-now)
}

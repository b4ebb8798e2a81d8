package health

import "time"

// The longest pauses between two reports, while nothing happens and while something does; every notable change is reported
// at once. A leader takes reports for the present up to decide.Rules.Fresh, one more pause and the time on the way.
const (
	reportEvery   = 500 * time.Millisecond
	reportClosely = 100 * time.Millisecond
)

// The same for a server that takes writes: how long its agent is silent before it is missed, and how old the news of a failure
// are, is part of how long writers wait.
const (
	primaryEvery   = 125 * time.Millisecond
	primaryClosely = 25 * time.Millisecond
)

// Pauses are how long at most an agent rests after this report, while all is calm and while something is in doubt.
func (r Report) Pauses() (calm, doubtful time.Duration) {
	if r.Incarnation != "" && r.Member.Flavor != "" && !r.ReadOnly { // it took writes when it last answered
		return primaryEvery, primaryClosely
	}
	return reportEvery, reportClosely
}

package health

import (
	"time"

	"github.com/baton-db/baton/mysqld"
)

// Observation is what a Checker knows of its server now. It is a copy and may be kept.
type Observation struct {
	Process     Process
	Incarnation string // of the server process: changes with every start
	// Status is the newest answer of this Incarnation; Good says that there is one.
	Status mysqld.Status
	Good   bool
	// Unreachable is 0 while the server answers, else for how long it has not.
	Unreachable time.Duration
	Err         error // why it did not answer
	// Silence is how long ago the receiver last got an event or a heartbeat.
	Silence time.Duration
	Canary  Canary
}

// doubtful is how long a primary is silent or a commit blocked before that is looked at closely. Heartbeats come every
// 200 ms, and are seen at the next look.
const doubtful = 500 * time.Millisecond

// Calm says that nothing here needs a close look: the server runs, answers, hears its source and commits.
func (o Observation) Calm() bool {
	blocked := time.Duration(o.Canary.BlockedMillis) * time.Millisecond
	return o.Good && o.Err == nil && o.Process == ProcessRunning && blocked < doubtful &&
		(o.Status.Replication == nil || o.Status.Replication.Receiver == mysqld.ReceiverRunning && o.Silence < doubtful)
}

// Lost reports whether a server that has not answered for so long is taken for one that does not answer.
func Lost(unreachable time.Duration) bool { return unreachable >= 500*time.Millisecond }

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

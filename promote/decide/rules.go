package decide

import "time"

// Rules are the thresholds of Decide. They bound how fast a failure is believed, never whether it is safe to act.
type Rules struct {
	// Fresh is the age up to which a report speaks for the present. Agents report every 500 ms at rest.
	Fresh time.Duration
	// Ready is how long a server may leave its agent without an answer and still be one that can be fenced or win.
	Ready time.Duration
	// Silence is how long an agent must be unheard before its server can be called silent. That of a primary reports every 125 ms.
	Silence time.Duration
	// Closed is how long an agent must be unheard before its server, which says that it takes no writes, is replaced. Agents are
	// started again sooner than that.
	Closed time.Duration
	// Deaf is how long an acker must have heard nothing from the primary. Heartbeats come every 200 ms.
	Deaf time.Duration
	// Frozen is how long a server whose process is stopped must not have answered its own agent, and Hung one whose process
	// runs: that may have too much to do, and one that is stopped has not.
	Frozen, Hung time.Duration
	// Stalled is how long a commit must be blocked by a disk that hangs or is full, and Stuck by anything else: overload blocks for a
	// while too, and is no failure. For as long a disk must hang while somebody holds a lock, and a lock be held to be said.
	Stalled, Stuck time.Duration
	// CutOff is how long commits must have waited, and their ackers have heard nothing from the primary, before these are asked to
	// serve. Where a third of the packets is lost TCP is silent for three seconds now and then.
	CutOff time.Duration
	// Lonely is how long commits must have waited for ackers that do not hear the primary before it may go on alone.
	Lonely time.Duration
	// Winner is how long an unheard or unreachable winner is waited for.
	Winner time.Duration
	// CatchUp is how long a winner may take to get what it lacks while another member has it, and CatchUpTransactions
	// how much it may lack: a preference is worth that much outage.
	CatchUp             time.Duration
	CatchUpTransactions uint64
	// Prepare is how long the replicas may take to follow the wanted winner of a hand-over before it begins without them.
	Prepare time.Duration
	// Patience is how long an election may lack something before that is recorded as a refusal.
	Patience time.Duration
}

// DefaultRules fit one site: round trips below 10 ms.
func DefaultRules() Rules {
	return Rules{
		Fresh:    700 * time.Millisecond,
		Ready:    500 * time.Millisecond,
		Silence:  1250 * time.Millisecond,
		Closed:   3 * time.Second,
		Deaf:     500 * time.Millisecond,
		Frozen:   1100 * time.Millisecond,
		Hung:     3 * time.Second,
		Stalled:  time.Second,
		Stuck:    3 * time.Second,
		CutOff:   4 * time.Second,
		Lonely:   5 * time.Second,
		Winner:   1500 * time.Millisecond,
		Patience: time.Second,
		Prepare:  1500 * time.Millisecond,
		CatchUp:  2 * time.Second, CatchUpTransactions: 2000,
	}
}

// Clock is what Decide may know of time. All durations are measured by the leader itself.
type Clock struct {
	// Watching is how long this leader has been leading, and so could hear anybody.
	Watching time.Duration
	// InPhase is how long this leader has seen the database in its present epoch and phase.
	InPhase time.Duration
	// NowMillis is the wall clock in milliseconds since 1970, for the record only.
	NowMillis int64
}

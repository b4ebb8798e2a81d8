package mysqldtest

// Quirk is one of the measured habits of the servers that a schedule can meet.
type Quirk int

// The quirks that are counted; what each is stands in the package comment.
const (
	UnacknowledgedVisibleAfterRestart Quirk = iota
	RelayLogLostInRestart
	RelayLogKeptInRestart
	RelayLogLostByStart
	FenceOutlivesStart
	DivergedJoinsInSilence
	DivergedIsRefused
	CloseRefusedWhileCommitsWait
	DrainedBeforeForgotten
	// Quirks is how many there are.
	Quirks
)

func (q Quirk) String() string {
	return [Quirks]string{
		"unacknowledged visible after restart", "relay log lost in restart", "relay log kept in restart", "relay log lost by start",
		"fence outlives start", "diverged joins in silence", "diverged is refused", "close refused while commits wait",
		"drained before forgotten",
	}[q]
}

func (g *Group) reached(q Quirk) { g.quirks[q]++ }

// Reached says how often each quirk was met.
func (g *Group) Reached() [Quirks]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.quirks
}

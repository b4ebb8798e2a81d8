package api

import (
	"context"
	"errors"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// ErrNotLeader says that this server does not lead: nothing was proposed, another server may be asked.
var ErrNotLeader = errors.New("not the leader")

// ErrNoQuorum says that there is no leader, or that the leader hears no majority: nothing was proposed.
var ErrNoQuorum = errors.New("no quorum")

// ErrInDoubt says that a command may or may not have been committed: read the state before asking again.
var ErrInDoubt = errors.New("outcome not known")

// Backend is the server behind the door. All methods may be called by any number of goroutines at once; those without a
// context return at once. What they return is not changed by either side.
type Backend interface {
	// State is the newest state this server has applied, never nil.
	State() *registry.State
	// Changed returns a channel that is closed at the next change of State. Take it before State or Since.
	Changed() <-chan struct{}
	// Since returns every committed command after index after, in order, and true; no commands when after is the newest
	// index or beyond it. It returns false when some of them are no longer held. Commands that State contains are
	// in it by the time Changed wakes.
	Since(after registry.Index) ([]Committed, bool)

	// Propose has c committed and applied here and returns its index, on the leader. The error is the one of c.Apply,
	// or wraps ErrNotLeader or ErrNoQuorum when c certainly was not taken into the log, and ErrInDoubt otherwise.
	Propose(ctx context.Context, c registry.Command) (registry.Index, error)
	// Barrier returns once State contains every command that was acknowledged anywhere before the call, on the leader.
	// The error wraps ErrNotLeader or ErrNoQuorum. Barriers that overlap may share one entry of the log.
	Barrier(ctx context.Context) error
	// Leader names the leader as far as this server knows and the host:port of its API; empty when not known.
	Leader() (id registry.NodeID, apiAddr string)
	// LastContact is how long ago this server heard the leader, 0 on the leader.
	LastContact() time.Duration
	// Raft is this server's view of the consensus.
	Raft() RaftStatus

	// Members is what gossip says of every node.
	Members() []Member
	// View is what is known here of one database; empty when nothing was ever reported.
	View(registry.DatabaseName) health.View
	// Receive takes a report from an agent. Older ones than what is known are dropped by it.
	Receive(health.Report)
}

// Committed is one command of the log as registry.Encode wrote it.
type Committed struct {
	Index registry.Index
	Bytes []byte
}

// RaftStatus is one server's view of the consensus.
type RaftStatus struct {
	Leader  registry.NodeID `json:"leader,omitempty"` // empty: not known
	Term    uint64          `json:"term"`
	Applied registry.Index  `json:"applied"`
	Peers   []RaftPeer      `json:"peers,omitempty"`
}

// RaftPeer is one member of the consensus.
type RaftPeer struct {
	Node    registry.NodeID `json:"node"`
	Address string          `json:"address"` // host:port
	Voter   bool            `json:"voter"`
	// ContactMillis is since when the leader has not heard it; -1: not known, as on every server but the leader.
	ContactMillis int64 `json:"contact_ms"`
}

// Member is what gossip says of one node.
type Member struct {
	Name    registry.NodeID `json:"name"`
	Address string          `json:"address"`
	Role    registry.Role   `json:"role"`
	State   string          `json:"state"` // alive, suspect, dead, left
	Zone    string          `json:"zone,omitempty"`
	Version string          `json:"version,omitempty"`
}

package server

import (
	"context"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

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
	Since(after registry.Index) ([]api.Committed, bool)

	// Propose has c committed and applied here and returns its index, on the leader. The error is the one of c.Apply,
	// or wraps api.ErrNotLeader or api.ErrNoQuorum when c certainly was not taken into the log, and api.ErrInDoubt otherwise.
	Propose(ctx context.Context, c registry.Command) (registry.Index, error)
	// Barrier returns once State contains every command that was acknowledged anywhere before the call, on the leader.
	// The error wraps api.ErrNotLeader or api.ErrNoQuorum. Barriers that overlap may share one entry of the log.
	Barrier(ctx context.Context) error
	// Leader names the leader as far as this server knows and the host:port of its API; empty when not known.
	Leader() (id registry.NodeID, apiAddr string)
	// LastContact is how long ago this server heard the leader, 0 on the leader.
	LastContact() time.Duration
	// Raft is this server's view of the consensus.
	Raft() api.RaftStatus

	// AddServer makes the server id at addr a voter, once it has caught up, on the leader. RemoveServer takes one out.
	// The errors are those of Propose.
	AddServer(ctx context.Context, id registry.NodeID, addr string) error
	RemoveServer(ctx context.Context, id registry.NodeID) error

	// Members is what gossip says of every node.
	Members() []api.Member
	// View is what is known here of one database; empty when nothing was ever reported.
	View(registry.DatabaseName) health.View
	// Receive takes a report from an agent. Older ones than what is known are dropped by it.
	Receive(health.Report)
}

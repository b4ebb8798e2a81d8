package api

import (
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// Meta says from what state an answer is; the client fills it from the headers.
type Meta struct {
	Index registry.Index
	// Stale says that it was read with ?stale; then KnownLeader and LastContact say how old it may be.
	Stale       bool
	KnownLeader registry.NodeID
	LastContact time.Duration
}

// Health is the answer of the probes.
type Health struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// Status is the cluster in one answer.
type Status struct {
	Meta      Meta               `json:"-"`
	Cluster   registry.ClusterID `json:"cluster"`
	Node      registry.NodeID    `json:"node"` // who answers
	Version   string             `json:"version"`
	Verdict   Verdict            `json:"verdict"`
	Reasons   []string           `json:"reasons,omitempty"` // for a verdict that is not healthy
	Raft      RaftStatus         `json:"raft"`
	Nodes     int                `json:"nodes"`
	Databases []DatabaseSummary  `json:"databases"`
}

// Verdict is the cluster in one word.
type Verdict string

// The verdicts: Down when a database has no primary, Degraded when something else is wrong.
const (
	Healthy  Verdict = "healthy"
	Degraded Verdict = "degraded"
	Down     Verdict = "down"
)

// DatabaseSummary is a database in one line.
type DatabaseSummary struct {
	Name       registry.DatabaseName `json:"name"`
	Phase      registry.Phase        `json:"phase"`
	Epoch      registry.Epoch        `json:"epoch"`
	Primary    registry.InstanceID   `json:"primary,omitempty"`
	Durability registry.Durability   `json:"durability"`
	Members    int                   `json:"members"`
	Heard      int                   `json:"heard"` // members that reported within the last 2 s
	Why        string                `json:"why"`
	Refusal    registry.Cause        `json:"refusal,omitzero"`
	Paused     bool                  `json:"paused,omitempty"`
	Pause      registry.Pause        `json:"pause,omitzero"` // since when and why it is paused
}

// MemberList is what gossip says.
type MemberList struct {
	Meta    Meta     `json:"-"`
	Members []Member `json:"members"`
}

// DatabaseList is every database in a line, in order of their names.
type DatabaseList struct {
	Meta      Meta              `json:"-"`
	Databases []DatabaseSummary `json:"databases"`
}

// DatabaseView is one database: what is decided and what is seen.
type DatabaseView struct {
	Meta      Meta               `json:"-"`
	Database  *registry.Database `json:"database"`
	Why       string             `json:"why"`
	Instances []InstanceView     `json:"instances"` // members and whoever else reports, in order of their ids
}

// Part is what an instance is to its database now.
type Part string

// The parts. A winner is being promoted; a former primary is being replaced; a stranger reports but is no member.
const (
	PartPrimary  Part = "primary"
	PartWinner   Part = "winner"
	PartFormer   Part = "former"
	PartAcker    Part = "acker"
	PartReplica  Part = "replica"
	PartStranger Part = "stranger"
)

// InstanceView is one instance as this server hears it.
type InstanceView struct {
	Instance registry.InstanceID `json:"instance"`
	Part     Part                `json:"part"`
	// AgeMillis is how long ago it reported; null: never.
	AgeMillis *int64         `json:"age_ms"`
	Probed    health.Probe   `json:"probed,omitempty"`
	Report    *health.Report `json:"report,omitempty"`
}

// Topology is who follows whom.
type Topology struct {
	Meta    Meta                  `json:"-"`
	Name    registry.DatabaseName `json:"name"`
	Phase   registry.Phase        `json:"phase"`
	Epoch   registry.Epoch        `json:"epoch"`
	Primary registry.InstanceID   `json:"primary,omitempty"`
	Nodes   []TopologyNode        `json:"nodes"`
}

// TopologyNode is one instance and the edge to whom it follows.
type TopologyNode struct {
	Instance registry.InstanceID `json:"instance"`
	Node     registry.NodeID     `json:"node,omitempty"`
	Zone     string              `json:"zone,omitempty"`
	Address  string              `json:"address,omitempty"`
	Part     Part                `json:"part"`
	// Follows is the member at the other end of Source, empty when it is none or replication is off.
	Follows       registry.InstanceID `json:"follows,omitempty"`
	Source        string              `json:"source,omitempty"`   // host:port
	Receiver      string              `json:"receiver,omitempty"` // stopped, connecting, running
	CaughtUp      bool                `json:"caught_up"`
	LagSeconds    *int                `json:"lag_s"` // null: not known
	SilenceMillis int64               `json:"silence_ms,omitempty"`
	AgeMillis     *int64              `json:"age_ms"` // of the report this comes from; null: never
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
	// Registered says that it has made itself known under its name, as a server does that has come up once.
	Registered bool `json:"registered"`
	// ContactMillis is how long ago it last answered the leader; -1: not known, as on every server but the leader.
	ContactMillis int64 `json:"contact_ms"`
}

// Member is what gossip says of one node.
type Member struct {
	Name    registry.NodeID `json:"name"`
	Address string          `json:"address"`
	Role    registry.Role   `json:"role"`
	State   string          `json:"state"` // alive, failed, left
	Zone    string          `json:"zone,omitempty"`
	Version string          `json:"version,omitempty"`
}

// SwitchoverRequest asks for a planned hand-over.
type SwitchoverRequest struct {
	To     registry.InstanceID `json:"to,omitempty"`     // empty: the best acker
	Reason string              `json:"reason,omitempty"` // for the history: one line
}

// AckersRequest asks for a change of whose acknowledgements count: a replica to remove, or how many a commit waits for.
type AckersRequest struct {
	Remove registry.InstanceID `json:"remove,omitempty"`
	Lost   bool                `json:"lost,omitempty"` // Remove and its disk are gone for good and cannot be asked to stop
	Undo   bool                `json:"undo,omitempty"` // Remove stays, or may come back
	K      int                 `json:"k,omitempty"`
	Reason string              `json:"reason,omitempty"` // for the history: one line
}

// AckersResult is how far the change has come: OutcomeRunning or OutcomeDone.
type AckersResult struct {
	Meta     Meta                  `json:"-"`
	Database registry.DatabaseName `json:"database"`
	Index    registry.Index        `json:"index"`
	Outcome  Outcome               `json:"outcome"`
	Ackers   []registry.InstanceID `json:"ackers"`
	K        int                   `json:"k"`
	Detail   string                `json:"detail,omitempty"` // what it waits for
}

// DurabilityRequest asks for another durability, or another way to be alone; empty: as it is.
type DurabilityRequest struct {
	Durability registry.Durability `json:"durability,omitempty"` // lossless or async
	WhenAlone  registry.WhenAlone  `json:"when_alone,omitempty"` // block or degrade
}

// DurabilityResult is how far the change has come: OutcomeRunning or OutcomeDone.
type DurabilityResult struct {
	Meta       Meta                  `json:"-"`
	Database   registry.DatabaseName `json:"database"`
	Index      registry.Index        `json:"index"`
	Outcome    Outcome               `json:"outcome"`
	Wanted     registry.Durability   `json:"wanted"`
	WhenAlone  registry.WhenAlone    `json:"when_alone"`
	Durability registry.Durability   `json:"durability"`       // now
	Detail     string                `json:"detail,omitempty"` // what it waits for
}

// PromoteRequest is an operator's word that acknowledged writes may be lost.
type PromoteRequest struct {
	Epoch  registry.Epoch      `json:"epoch"` // the present one, as the operator believes
	To     registry.InstanceID `json:"to,omitempty"`
	Reason string              `json:"reason,omitempty"` // for the history: one line; only a plan needs none
	By     string              `json:"by,omitempty"`     // the account at the operator's machine; the certificate is recorded as well
	Plan   bool                `json:"plan,omitempty"`   // say what would be lost, and do nothing
}

// PromoteResult says what is lost as far as is known, and what became of it. Of a plan the Outcome is OutcomePlan.
type PromoteResult struct {
	Meta     Meta                  `json:"-"`
	Database registry.DatabaseName `json:"database"`
	From     registry.InstanceID   `json:"from,omitempty"`
	Epoch    registry.Epoch        `json:"epoch"` // in which the loss was accepted
	Index    registry.Index        `json:"index,omitempty"`
	Outcome  Outcome               `json:"outcome"`
	Primary  registry.InstanceID   `json:"primary,omitempty"`
	Phase    registry.Phase        `json:"phase"`
	Losses   []PromoteLoss         `json:"losses,omitempty"`  // of each replica that is heard
	Unheard  []registry.InstanceID `json:"unheard,omitempty"` // who cannot be asked: it may have more, or go on
	Lost     string                `json:"lost,omitempty"`    // GTID set that the winner is known to lack
	Detail   string                `json:"detail,omitempty"`
}

// PromoteLoss is what is known to be lost when Instance wins.
type PromoteLoss struct {
	Instance registry.InstanceID `json:"instance"`
	Lacks    string              `json:"lacks"` // GTID set; empty: nothing that was heard of
}

// OutcomePlan: nothing was done.
const OutcomePlan Outcome = "plan"

// Outcome says how a switchover ended.
type Outcome string

// The outcomes.
const (
	OutcomeRunning Outcome = "running" // accepted; nobody waited for the end
	OutcomeDone    Outcome = "done"    // To is primary
	OutcomeUndone  Outcome = "undone"  // From is primary again
	OutcomeOther   Outcome = "other"   // somebody else is
)

// SwitchoverResult says what became of a switchover. Status 202 goes with OutcomeRunning, 200 with the others.
type SwitchoverResult struct {
	Meta     Meta                  `json:"-"`
	Database registry.DatabaseName `json:"database"`
	From     registry.InstanceID   `json:"from"`
	To       registry.InstanceID   `json:"to"`
	Epoch    registry.Epoch        `json:"epoch"` // the one that began
	Index    registry.Index        `json:"index"` // of the command that began it
	Outcome  Outcome               `json:"outcome"`
	Primary  registry.InstanceID   `json:"primary,omitempty"` // now
	Phase    registry.Phase        `json:"phase"`             // now
	Detail   string                `json:"detail,omitempty"`  // why it stands where it stands
	Timings  Timings               `json:"timings"`
}

// Timings are milliseconds since the request was accepted, by the clock of the server that answers; 0: not seen. A
// phase that passed between two looks is not seen.
type Timings struct {
	Revoked   float64 `json:"revoked_ms,omitempty"`   // the name is withdrawn
	Promoting float64 `json:"promoting_ms,omitempty"` // the winner is elected
	Serving   float64 `json:"serving_ms,omitempty"`   // the name is published again
}

// Proposed says where in the log a command stands.
type Proposed struct {
	Index registry.Index `json:"index"`
}

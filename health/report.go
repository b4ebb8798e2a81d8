package health

import (
	"time"

	"github.com/baton-db/baton/registry"
)

// Process is what is known of the operating system process behind a database server.
type Process string

// The states of a process. Dying has a SIGKILL pending or its main thread gone: it runs no user code any more, although
// its sockets may stay open until its memory has been torn down.
const (
	ProcessUnknown Process = "unknown"
	ProcessRunning Process = "running"
	ProcessStopped Process = "stopped" // SIGSTOP
	ProcessDying   Process = "dying"
	ProcessExited  Process = "exited"
)

// Gone reports whether the process can never acknowledge anything again.
func (p Process) Gone() bool { return p == ProcessDying || p == ProcessExited }

// Report is what one node says of its database server. Durations are milliseconds by the reporter's own clock.
type Report struct {
	Database registry.DatabaseName `json:"database"`
	Instance registry.InstanceID   `json:"instance"`
	Node     registry.NodeID       `json:"node"`
	Boot     string                `json:"boot"` // changes with every start of the agent
	Seq      uint64                `json:"seq"`  // grows by one with every report of a Boot

	Process     Process `json:"process"`
	Incarnation string  `json:"incarnation"` // changes with every start of the server
	// UnreachableMillis is 0 while the server answers, else for how long it has not.
	UnreachableMillis int64  `json:"unreachable_ms,omitempty"`
	ServerError       string `json:"server_error,omitempty"`

	Member   registry.Member `json:"member"` // identity and address as the server itself gives them
	ReadOnly bool            `json:"read_only"`
	Position string          `json:"position,omitempty"` // GTID set received and executed
	Executed string          `json:"executed,omitempty"` // GTID set executed

	Replication *Replication `json:"replication,omitempty"`
	Canary      Canary       `json:"canary,omitzero"`
	Guard       Guard        `json:"guard"`
	// Returning is nil for a server that need not be brought back. Archived is what is kept of it, newest last.
	Returning *Returning `json:"returning,omitempty"`
	Archived  []Archived `json:"archived,omitempty"`
	// Preflight says that the settings were looked at, and Findings what is wrong with them.
	Preflight bool      `json:"preflight"`
	Findings  []Finding `json:"findings,omitempty"`
	Power     Power     `json:"power,omitzero"`
}

// Replication is how the server follows its source.
type Replication struct {
	Source        string `json:"source"`   // host:port
	Receiver      string `json:"receiver"` // stopped, connecting, running
	Applier       bool   `json:"applier"`
	Error         string `json:"error,omitempty"`
	ErrorNumber   int    `json:"error_number,omitempty"` // the server's own number of Error
	SilenceMillis int64  `json:"silence_ms"`             // since an event or heartbeat was last received
	LagSeconds    int    `json:"lag_s"`                  // -1: not known
	DelaySeconds  int    `json:"delay_s,omitempty"`      // by how much applying is held back on purpose
	SemiSync      bool   `json:"semi_sync"`
	// SourceClosed: the source has just said that it takes no writes. It is asked only when nothing has come from it for a while.
	SourceClosed bool `json:"source_closed,omitempty"`
}

// Canary is the commit that goes through the primary's whole write path every moment.
type Canary struct {
	// BlockedMillis is for how long the present canary has not returned; 0: the last one did.
	BlockedMillis int64 `json:"blocked_ms,omitempty"`
	// StillMillis is for how long of that nothing else was seen to be committed either.
	StillMillis int64 `json:"still_ms,omitempty"`
	// DiskMillis is for how long of that one of the server's threads has been in one wait for a device, or the disk was full.
	DiskMillis int64 `json:"disk_ms,omitempty"`
	// WaitingForAcks says that commits wait for ackers: a lonely primary, not a stuck one.
	WaitingForAcks bool `json:"waiting_for_acks,omitempty"`
	// Lock is what it waits for because somebody else holds it: nothing is wrong with the server.
	Lock  Lock   `json:"lock,omitzero"`
	Error string `json:"error,omitempty"`
}

// Guard is what the guard beside the server has done. Epochs only grow, and each is on disk before it is reported (G3).
type Guard struct {
	Promise registry.Epoch `json:"promise"`
	// Revision is the registry's revision that was promised together with Promise.
	Revision uint64 `json:"revision,omitempty"`
	// Fenced is the highest epoch for which the receiver is durably stopped, at FencedPosition.
	Fenced         registry.Epoch `json:"fenced,omitempty"`
	FencedPosition string         `json:"fenced_position,omitempty"`
	// Amnesiac says that FencedPosition may lack transactions that this server has acknowledged.
	Amnesiac bool `json:"amnesiac,omitempty"`
	// Closed is the highest epoch for which this server, being the former primary, is closed at ClosedPosition.
	Closed         registry.Epoch `json:"closed,omitempty"`
	ClosedPosition string         `json:"closed_position,omitempty"`
	// Marked is the epoch whose marker has been acknowledged, and Open the one in which applications are let in.
	Marked registry.Epoch `json:"marked,omitempty"`
	Open   registry.Epoch `json:"open,omitempty"`
	// Follows is the epoch whose primary this server follows, and CaughtUp says that it has since held everything
	// that primary had when it connected.
	Follows  registry.Epoch `json:"follows,omitempty"`
	CaughtUp bool           `json:"caught_up,omitempty"`
	// Silent is the registry's revision at which this server was seen to follow without acknowledging, 0: it may acknowledge.
	Silent uint64 `json:"silent,omitempty"`
	// Proved is the revision at which a commit was begun here that has been acknowledged since.
	Proved uint64 `json:"proved,omitempty"`
	// Diverged is the GTID set that this server has and its primary lacks, and DivergedIn the epoch whose primary that was.
	Diverged   string         `json:"diverged,omitempty"`
	DivergedIn registry.Epoch `json:"diverged_in,omitempty"`
	// Leased is the promised revision of the registry with which this server process, the primary, goes by a lease: its guard
	// closes it when that is over. 0: it does not.
	Leased uint64 `json:"leased,omitempty"`
	// Strangers says who acknowledges to this primary without being an acker: what only they have is not safe.
	Strangers string `json:"strangers,omitempty"`
	// Doing is the action under way and Problem why the last one failed.
	Doing   string `json:"doing,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Stuck is what a replica is at that should have been over long ago: it follows, and does not acknowledge yet.
	Stuck string `json:"stuck,omitempty"`
}

// Finding is a setting that lossless durability rests on and that is wrong.
type Finding struct {
	Code    string `json:"code"`
	Setting string `json:"setting"`
	Have    string `json:"have"`
	Want    string `json:"want"`
	Why     string `json:"why"`
	Fix     string `json:"fix"`
	Fatal   bool   `json:"fatal"` // the server may not acknowledge while this is so
	// Volatile: what it has acknowledged or committed may be gone, or not be sent on, after it was started again.
	Volatile bool `json:"volatile,omitempty"`
}

// Heard is the newest report of one instance and how long ago it came.
type Heard struct {
	Report
	// Age of the report, or for how long one could have come where none has.
	Age time.Duration
	// Probed is the result of the last direct probe of the server from here; see Probe.
	Probed Probe
}

// Ever reports whether the instance was heard at all: every report names its Boot.
func (h Heard) Ever() bool { return h.Boot != "" }

// Probe is what a direct connection to a database server's port found.
type Probe string

// The results of a probe; none was made while it is empty.
const (
	ProbeAlive    Probe = "alive"
	ProbeRefusing Probe = "refusing" // it answers, but lets nobody in: alive
	ProbeDead     Probe = "dead"
)

// View is one database as this server sees it now.
type View map[registry.InstanceID]Heard

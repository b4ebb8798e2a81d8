package mysqld

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Status is what a server says of itself at one moment. It is a copy and may be kept.
type Status struct {
	Flavor  Flavor
	Version string
	// UUID is server_uuid on MySQL. It is empty on MariaDB, whose server_uid is the same for all servers of one host that
	// use one port number: ServerID tells them apart.
	UUID     string
	ServerID uint32
	// ReadOnly says that applications cannot write: read_only or super_read_only is set. It is an observation and no
	// fence: the variable reads ON already while the statement that sets it still waits, and writes go on. Only a
	// CloseWrites that returned nil is a fence.
	ReadOnly bool
	// Offline is MySQL's offline_mode: applications cannot log in.
	Offline bool
	// Executed is what is committed here, Received what replication brought here, committed or not. Received is what the
	// server still knows: it forgets it with the source.
	Executed, Received GTIDSet
	// Replication is nil on a server that is not set to follow anybody.
	Replication *Replication
	SemiSync    SemiSync
	// Loose are the settings with which a loss of power could take what was committed or received here, as "sync_binlog = 0".
	Loose []string
}

// Position is everything this server holds, committed or not: what counts in an election.
func (st Status) Position() GTIDSet { return st.Received.Union(st.Executed) }

// Replication is how a server follows its source.
type Replication struct {
	SourceHost string
	SourcePort uint16
	SourceUser string
	Receiver   ReceiverState
	Applier    bool // it runs
	// ReceiverThread and ApplierThread are the connection ids of the two on MariaDB, 0 while one does not run; a receiver that is
	// connecting for the first time shows none yet (10.11.19). Each start of one has a new number: while either stays the same
	// the relay log cannot have been deleted.
	ReceiverThread, ApplierThread uint64
	// The errors by which the two stopped or cannot go on; empty and 0 without one.
	ReceiverError, ApplierError             string
	ReceiverErrorNumber, ApplierErrorNumber int
	// Channels is how many sources are set; with more than 1 every verb refuses.
	Channels int
	// Heard changes whenever an event or a heartbeat was received. It means nothing else.
	Heard string
	// LagSeconds is the server's own guess, nil when it has none. Nothing that has to be right may depend on it.
	LagSeconds *int
	// Delay is by how many seconds applying is held back on purpose.
	Delay int
	// SemiSyncActive says that this replica acknowledges what it receives.
	SemiSyncActive bool

	channel      string
	autoPosition bool
}

// ReceiverState is what the thread does that fetches events.
type ReceiverState string

// The states of a receiver. A connecting one is not stopped: it may go on at any moment.
const (
	ReceiverStopped    ReceiverState = "stopped"
	ReceiverConnecting ReceiverState = "connecting"
	ReceiverRunning    ReceiverState = "running"
)

// SemiSync is how commits wait for replicas.
type SemiSync struct {
	SourceEnabled, ReplicaEnabled bool
	// SourceWaits says that commits do wait: enabled, and not given up after a timeout.
	SourceWaits bool
	// K is how many acknowledgements a commit waits for; MariaDB knows only 1.
	K int
	// ConnectedAckers is how many replicas that acknowledge are connected.
	ConnectedAckers int
	// Waiting is how many commits wait at this moment; those that a group commit waits for together count once.
	Waiting       int
	WaitPoint     string
	Timeout       time.Duration // the longest possible one where the server's is longer
	WaitNoReplica bool          // commits wait also while no replica is connected
	// Followers are the replicas connected to a source that waits, also those that do not acknowledge.
	Followers []Follower
}

// Status asks the server in three or four short questions on a connection of its own, within Config.ProbeTimeout. It answers
// while commits wait and, on MySQL, while a disk is full; a server that hangs makes it fail by the timeout, and no other question is
// put before the one that hangs has ended there.
func (s *Server) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ProbeTimeout)
	defer cancel()
	var st Status
	ask := func(ctx context.Context, c *session) (err error) { st, err = c.status(ctx); return err }
	err := s.once(ctx, ask)
	if code(err) == errUnknownVariable {
		s.forget() // a plugin was loaded or taken away
		err = s.once(ctx, ask)
	}
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	return st, nil
}

// status is self and whom the server follows. Received is read after Executed: what moves from one to the other in
// between is in the union either way.
func (c *session) status(ctx context.Context) (Status, error) {
	st, err := c.self(ctx)
	if err != nil {
		return Status{}, err
	}
	if st.Replication, st.Received, err = c.follows(ctx); err != nil {
		return Status{}, err
	}
	if st.SemiSync.SourceEnabled {
		if st.SemiSync.Followers, err = c.followers(ctx); err != nil {
			return Status{}, err
		}
	}
	if st.Replication != nil {
		st.Replication.Heard += " " + st.beats
		st.Replication.SemiSyncActive = st.heedful
		if err := c.threads(ctx, st.Replication); err != nil {
			return Status{}, err
		}
	}
	return st.Status, nil
}

// threads reads which threads replicate, after what they received: one that is the same now has not lost it.
func (c *session) threads(ctx context.Context, out *Replication) error {
	if c.flavor != MariaDB {
		return nil
	}
	all, err := c.rows(ctx, textThreads)
	for _, r := range all {
		id, _ := strconv.ParseUint(r["id"], 10, 64)
		switch r["command"] {
		case "Slave_IO":
			out.ReceiverThread = id
		case "Slave_SQL":
			out.ApplierThread = id
		}
	}
	return err
}

// self is what a server says of itself, without whom it follows, and what only verbs ask for.
type self struct {
	Status
	heedful bool   // the receiver acknowledges
	beats   string // changes with every heartbeat, where that is counted
	unacked int    // commits that were answered without the acknowledgements they should have had
}

func (c *session) self(ctx context.Context) (self, error) {
	r, err := c.one(ctx, c.state)
	if err != nil {
		return self{}, err
	}
	counters, err := c.settings(ctx, c.counters)
	if err != nil {
		return self{}, err
	}
	out := self{
		Status: Status{
			Flavor: c.flavor, Version: c.version, UUID: r["uuid"], ReadOnly: r.on("read_only"), Offline: r.on("offline"),
			SemiSync: semiSync(r, counters), Loose: loosened(r),
		},
		heedful: counters.on("rpl_semi_sync_replica_status"), beats: r["beats"], unacked: counters.number("rpl_semi_sync_source_no_tx"),
	}
	id, err := strconv.ParseUint(r["server_id"], 10, 32)
	if err != nil {
		return self{}, fmt.Errorf("server id %q: %w", r["server_id"], err)
	}
	out.ServerID = uint32(id)
	out.Executed, err = c.executed(r)
	return out, err
}

func semiSync(r, counters row) SemiSync {
	const prefix = "rpl_semi_sync_"
	out := SemiSync{
		SourceEnabled: r.on(prefix + "source_enabled"), ReplicaEnabled: r.on(prefix + "replica_enabled"),
		SourceWaits: counters.on(prefix + "source_status"), ConnectedAckers: counters.number(prefix + "source_clients"),
		Waiting: counters.number(prefix + "source_wait_sessions"), WaitPoint: r[prefix+"source_wait_point"],
		WaitNoReplica: r.on(prefix + "source_wait_no_replica"), K: max(1, r.number(prefix+"source_wait_for_replica_count")),
	}
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	ms, err := strconv.ParseUint(r[prefix+"source_timeout"], 10, 64)
	if err == nil {
		out.Timeout = time.Duration(min(ms, uint64(longest))) * time.Millisecond
	}
	return out
}

// executed is the set committed on the server that the row describes.
func (c *session) executed(r row) (GTIDSet, error) {
	done, err := ParseGTIDSet(c.flavor, r["executed"])
	if err != nil {
		return GTIDSet{}, err
	}
	applied, err := ParseGTIDSet(c.flavor, r["applied"])
	if err != nil {
		return GTIDSet{}, err
	}
	return done.Union(applied), nil
}

// follows reads whom the server follows, and what it has received.
func (c *session) follows(ctx context.Context) (*Replication, GTIDSet, error) {
	channels, err := c.rows(ctx, c.replication)
	if err != nil || len(channels) == 0 {
		return nil, GTIDSet{}, err
	}
	var received GTIDSet
	for _, r := range channels {
		if err := r.complete(); err != nil {
			return nil, GTIDSet{}, err
		}
		text := r["Retrieved_Gtid_Set"]
		if c.flavor == MariaDB {
			text = r["Gtid_IO_Pos"]
		}
		set, err := ParseGTIDSet(c.flavor, text)
		if err != nil {
			return nil, GTIDSet{}, fmt.Errorf("received: %w", err)
		}
		received = received.Union(set)
	}
	out := replication(channels[0])
	out.Channels = len(channels)
	return &out, received, nil
}

// complete returns an error for a row that does not say whether and whom a server follows: it would be taken for one that follows
// somebody else, and be stopped.
func (r row) complete() error {
	for _, name := range []string{"Replica_IO_Running", "Replica_SQL_Running"} {
		if _, ok := r[name]; !ok {
			return fmt.Errorf("replication: no %s", name)
		}
	}
	if text := r["Source_Port"]; text != "0" && r.port("Source_Port") == 0 {
		return fmt.Errorf("replication: port %q", text)
	}
	return nil
}

func replication(r row) Replication {
	out := Replication{
		SourceHost: r["Source_Host"], SourcePort: r.port("Source_Port"), SourceUser: r["Source_User"],
		Receiver: ReceiverConnecting, Applier: r.on("Replica_SQL_Running"),
		ReceiverError: r["Last_IO_Error"], ReceiverErrorNumber: r.number("Last_IO_Errno"),
		ApplierError: r["Last_SQL_Error"], ApplierErrorNumber: r.number("Last_SQL_Errno"),
		Heard: strings.Join([]string{r["Source_Log_File"], r["Read_Source_Log_Pos"], r["Relay_Log_Space"], r["Replica_received_heartbeats"]}, " "),
		Delay: r.number("SQL_Delay"), channel: r["Channel_Name"] + r["Connection_name"],
		autoPosition: r.on("Auto_Position") || r["Using_Gtid"] == "Slave_Pos" || r["Using_Gtid"] == "Replica_Pos",
	}
	switch r["Replica_IO_Running"] {
	case "Yes":
		out.Receiver = ReceiverRunning
	case "No":
		out.Receiver = ReceiverStopped
	}
	if n, err := strconv.Atoi(r["Seconds_Behind_Source"]); err == nil {
		out.LagSeconds = &n
	}
	return out
}

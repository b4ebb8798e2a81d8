package raft

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/raft/vendorlog"
	"github.com/baton-db/baton/registry"
)

// Server is one server and where the others reach its stream layer.
type Server struct {
	ID   registry.NodeID
	Addr string // host:port
}

// Timing holds the durations of the consensus. All servers of a cluster should have the same.
type Timing struct {
	Heartbeat time.Duration
	Election  time.Duration
	Lease     time.Duration
	Commit    time.Duration
	RPC       time.Duration
	Stall     time.Duration
}

// LAN is the preset for servers within a few milliseconds of each other.
func LAN() Timing {
	return Timing{
		// A follower that hears nothing for one to two times this asks for votes; heartbeats come two to four times in it.
		// They wait behind the follower's disk (see transport), so half of this must exceed its worst sync.
		Heartbeat: 300 * time.Millisecond,
		// A candidate without a majority tries again after one to two times this; at least Heartbeat.
		Election: 300 * time.Millisecond,
		// A leader that has not heard a majority for this long steps down; at most Heartbeat, and well above the longest
		// pause between two heartbeats, half of that, and a slow sync. Nothing safe depends on it.
		Lease: 300 * time.Millisecond,
		// An idle leader tells followers the newest commit index after one to two times this; urgent commands do not wait.
		// It is a message to each follower each time, and what a node at rest costs.
		Commit: 200 * time.Millisecond,
		// A call between servers, including the sync on the other side, fails after this.
		RPC: time.Second,
		// A leader whose own disk takes this long for one append goes silent and hands over; after twice this it fails.
		Stall: time.Second,
	}
}

// Config says who this server is and how it keeps its state.
type Config struct {
	ID      registry.NodeID
	Cluster registry.ClusterID
	// Dir is the data directory, made when it is missing. It belongs to ID in Cluster for ever.
	Dir string
	// Mark, when set, is a file outside Dir that is made before the first vote. A server whose Dir is empty although the
	// file is there lost its votes, and is refused.
	Mark string
	// Advertise is where the others reach this server, host:port.
	Advertise string
	// Bootstrap is the first set of voters, the same on each of them. It counts only when Dir is empty; empty means that
	// this server waits to be added by a leader.
	Bootstrap []Server
	// Timing is LAN() when zero.
	Timing Timing
	// Logger must not be nil.
	Logger *slog.Logger
	// SnapshotThreshold is after how many commands a snapshot is made; 0 means 8192.
	SnapshotThreshold uint64
	// TrailingLogs is how many entries are kept behind a snapshot for followers that lag a little; 0 means 10240.
	TrailingLogs uint64
	// AddressOf, when set, knows better than the stored configuration where a server is now, so that servers may change
	// their addresses. It is called on the vendor's goroutines and must not block.
	AddressOf func(registry.NodeID) (addr string, known bool)
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Timing == (Timing{}) {
		c.Timing = LAN()
	}
	c.SnapshotThreshold = cmp.Or(c.SnapshotThreshold, 8192)
	c.TrailingLogs = cmp.Or(c.TrailingLogs, 10240)
	return c
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	t := c.withDefaults().Timing
	switch {
	case c.ID == "" || c.Cluster == "" || c.Dir == "" || c.Advertise == "":
		return errors.New("raft: ID, Cluster, Dir and Advertise are needed")
	case c.Logger == nil:
		return errors.New("raft: a logger is needed")
	case t.Lease > t.Heartbeat || t.Heartbeat > t.Election:
		return fmt.Errorf("raft: lease %s <= heartbeat %s <= election %s must hold", t.Lease, t.Heartbeat, t.Election)
	case t.RPC <= 0 || t.Stall <= 0:
		return errors.New("raft: RPC and Stall must be positive")
	}
	if len(c.Bootstrap) > 0 && !slices.Contains(c.Bootstrap, Server{c.ID, c.Advertise}) {
		return fmt.Errorf("raft: this server, %s at %s, is not among the first voters", c.ID, c.Advertise)
	}
	for i, s := range c.Bootstrap {
		for _, other := range c.Bootstrap[:i] {
			if s.ID == other.ID || s.Addr == other.Addr {
				return fmt.Errorf("raft: first voters %s and %s share an id or an address", other.ID, s.ID)
			}
		}
	}
	return nil
}

// vendor is the configuration in the vendor's words.
func (c Config) vendor(notify chan<- bool) *hraft.Config {
	v := hraft.DefaultConfig()
	v.LocalID = hraft.ServerID(c.ID)
	v.HeartbeatTimeout = c.Timing.Heartbeat
	v.ElectionTimeout = c.Timing.Election
	v.LeaderLeaseTimeout = c.Timing.Lease
	v.CommitTimeout = c.Timing.Commit
	v.SnapshotThreshold = c.SnapshotThreshold
	v.TrailingLogs = c.TrailingLogs
	v.SnapshotInterval = 30 * time.Second // how often the threshold is looked at
	v.ShutdownOnRemove = false            // a removed server goes on answering from its last state
	v.NoLegacyTelemetry = true
	v.RestoreCommittedLogs = true // makes the vendor stage commit indexes; see store.GetCommitIndex
	v.NotifyCh = notify
	v.Logger = vendorlog.New(c.Logger)
	return v
}

// firstVoters is the bootstrap configuration, in the same order on every server, because it becomes the first log entry of
// each of them.
func (c Config) firstVoters() hraft.Configuration {
	var all hraft.Configuration
	for _, s := range c.Bootstrap {
		all.Servers = append(all.Servers, hraft.Server{ID: hraft.ServerID(s.ID), Address: hraft.ServerAddress(s.Addr)})
	}
	slices.SortFunc(all.Servers, func(a, b hraft.Server) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

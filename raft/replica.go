package raft

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/raft/raftlog"
	"github.com/baton-db/baton/raft/vendorlog"
	"github.com/baton-db/baton/registry"
)

// ErrNotLeader is returned when this server does not lead, or is handing over: nothing was proposed, ask the leader.
var ErrNotLeader = errors.New("not the leader")

// ErrUncertain is returned when a command was proposed and it is not known whether it was or will be committed. Commands
// carry their epoch, so proposing again is safe.
var ErrUncertain = errors.New("outcome unknown")

// ErrDamaged, ErrForeign, ErrNewer and ErrLocked are wrapped by errors of Open about a directory that cannot be used.
var (
	ErrDamaged = raftlog.ErrDamaged
	ErrForeign = raftlog.ErrForeign
	ErrNewer   = raftlog.ErrNewer
	ErrLocked  = raftlog.ErrLocked
)

// ErrClosed is returned after Close and after the replica has failed.
var ErrClosed = errors.New("replica is closed")

// A Replica is one server's copy of the registry and its part in the consensus. Its methods may be called from any
// goroutine.
type Replica struct {
	config    Config
	opened    time.Time
	store     *raftlog.Store
	machine   *machine
	feed      *registry.Feed
	streams   *streams
	transport *transport
	raft      *hraft.Raft
	// end shuts the vendor down, once: only its first future waits for the goroutines.
	end func() hraft.Future

	notify   chan bool              // the vendor tells here whether it leads
	observed chan hraft.Observation // and here who does
	fatal    chan error             // capacity 1: the first failure, for Failed
	broken   chan struct{}          // closed by the first failure
	stop     chan struct{}          // closed by Close
	watch    sync.WaitGroup

	reloading sync.Mutex // of the vendor's configuration

	// mu guards what follows; calls are the goroutines that wait for the vendor, waiting is how many they are.
	mu      sync.Mutex
	calls   sync.WaitGroup
	waiting int
	ending  bool // Close was called
	closing bool // and takes no more calls
	failure error
	reign   int
	leading bool
	since   time.Time     // since when it leads
	changed chan struct{} // closed when the leadership changes
}

// Open starts the server on its data directory. State answers with everything that is known to be committed as soon as
// Open returns, also when no other server can be reached. An error that wraps ErrDamaged, ErrForeign or ErrNewer says
// that the directory must not be used as it is, and what to do. The replica closes stream, also when Open fails.
func Open(c Config, stream StreamLayer) (*Replica, error) {
	return open(c, stream, nil)
}

// open is Open with faults of the disk.
func open(c Config, stream StreamLayer, wrap func(raftlog.File) raftlog.File) (*Replica, error) {
	c = c.withDefaults()
	if err := c.Validate(); err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	r := &Replica{
		config: c, opened: time.Now(), feed: registry.NewFeed(registry.New(c.Cluster)), streams: newStreams(stream, c.Advertise),
		notify: make(chan bool, 8), observed: make(chan hraft.Observation, 64),
		fatal: make(chan error, 1), broken: make(chan struct{}), stop: make(chan struct{}), changed: make(chan struct{}),
	}
	r.machine = &machine{cluster: c.Cluster, feed: r.feed, log: c.Logger, fatal: r.fail}
	if err := r.openStore(wrap); err != nil {
		return nil, errors.Join(remedy(c, err), r.streams.Close())
	}
	if err := r.start(); err != nil {
		return nil, errors.Join(remedy(c, err), r.streams.Close(), r.store.Close())
	}
	r.watch.Go(r.run)
	return r, nil
}

// Begun reports whether a server has ever been opened on the data directory dir, as far as dir and the mark outside tell.
func Begun(dir, mark string) (bool, error) { return raftlog.Begun(dir, mark) }

// remedy adds the way out to an error about stored state.
func remedy(c Config, err error) error {
	switch {
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("open raft state: %w; this server must not vote from it. While a majority of the other servers runs: "+
			"baton server remove %s (at one of them), then move %s away, start this node, and baton server add %s %s",
			err, c.ID, strings.TrimSpace(c.Dir+" "+c.Mark), c.ID, c.Advertise)
	case errors.Is(err, ErrForeign):
		return fmt.Errorf("open raft state: %w; give this node its own data directory instead of %s", err, c.Dir)
	case errors.Is(err, ErrNewer):
		return fmt.Errorf("open raft state: %w; start the newer baton again", err)
	}
	return fmt.Errorf("open raft state in %s: %w", c.Dir, err)
}

func (r *Replica) openStore(wrap func(raftlog.File) raftlog.File) error {
	if err := os.MkdirAll(r.config.Dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	s, err := raftlog.Open(raftlog.Config{
		Dir: r.config.Dir, Cluster: string(r.config.Cluster), Node: string(r.config.ID), Mark: r.config.Mark, Wrap: wrap, Log: r.config.Logger,
	})
	if err != nil {
		return err
	}
	r.store = s
	r.machine.restored = func(i registry.Index) { s.SawSnapshot(uint64(i)) }
	return nil
}

// start applies what is committed and starts the vendor.
func (r *Replica) start() error {
	snapshots, err := hraft.NewFileSnapshotStoreWithLogger(r.config.Dir, 2, vendorlog.New(r.config.Logger))
	if err != nil {
		return fmt.Errorf("open snapshots below %s: %w", r.config.Dir, err)
	}
	if err := r.recover(snapshots); err != nil {
		return err
	}
	r.transport = newTransport(r.config, r.streams, func() bool { return r.store.Stalled() > r.config.Timing.Stall })
	vendor := r.config.vendor(r.notify)
	err = r.bootstrap(vendor, snapshots)
	logs := &haltingStore{Store: r.store}
	if err == nil {
		err = notPanicking(func() error {
			r.raft, err = hraft.NewRaft(vendor, r.machine, logs, logs, snapshots, r.transport)
			return err
		})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start raft: %w", err), r.transport.Close())
	}
	logs.running.Store(true)
	r.end = sync.OnceValue(func() hraft.Future { return r.raft.Shutdown() })
	reigns := func(term uint64) bool { return r.raft.State() == hraft.Leader && r.raft.CurrentTerm() == term }
	r.transport.reigns.Store(&reigns)
	r.raft.RegisterObserver(hraft.NewObserver(r.observed, false, func(o *hraft.Observation) bool {
		_, ok := o.Data.(hraft.LeaderObservation)
		return ok
	}))
	return nil
}

// recover brings the machine to the last entry known to be committed, from the newest readable snapshot and the log.
func (r *Replica) recover(snapshots hraft.SnapshotStore) error {
	all, err := snapshots.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	var newest uint64
	for _, meta := range all {
		_, from, err := snapshots.Open(meta.ID)
		if err == nil {
			err = r.machine.Restore(from)
		}
		if err == nil {
			newest = meta.Index
			break
		}
		if errors.Is(err, ErrForeign) {
			return err
		}
		r.config.Logger.Warn("a snapshot is not readable, trying the one before", "snapshot", meta.ID, "error", err)
	}
	first, err := r.store.CheckSnapshot(newest)
	if err != nil {
		return err
	}
	r.machine.applied = max(r.machine.applied, newest)
	var batch []*hraft.Log
	for i := max(first, newest+1); i <= r.store.Committed(); i++ {
		var l hraft.Log
		if err := r.store.GetLog(i, &l); err != nil {
			return err
		}
		batch = append(batch, &l)
	}
	r.machine.ApplyBatch(batch)
	return r.machine.halted
}

// bootstrap writes the first configuration into an empty directory.
func (r *Replica) bootstrap(vendor *hraft.Config, snapshots hraft.SnapshotStore) error {
	existing, err := hraft.HasExistingState(r.store, r.store, snapshots)
	if err != nil || existing || len(r.config.Bootstrap) == 0 {
		return err
	}
	return hraft.BootstrapCluster(vendor, r.store, r.store, snapshots, r.transport, r.config.firstVoters())
}

// notPanicking turns a panic of the vendor over stored state into an error.
func notPanicking(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v: %w", p, ErrDamaged)
		}
	}()
	return f()
}

// A haltingStore ends the vendor's goroutine where the vendor would panic, when the store fails under a running server.
// The main loop's deferred calls give up leadership, the watch shuts the rest down and Failed tells the agent, which ends
// the process in order. A panic would take the process down in the middle of everything.
type haltingStore struct {
	*raftlog.Store
	running atomic.Bool
}

func (h *haltingStore) check(err error) error {
	if err != nil && h.running.Load() && h.Failure() != nil {
		runtime.Goexit()
	}
	return err
}

// GetLog reads an entry.
func (h *haltingStore) GetLog(index uint64, l *hraft.Log) error {
	return h.check(h.Store.GetLog(index, l))
}

// SetUint64 makes a stable number durable.
func (h *haltingStore) SetUint64(key []byte, v uint64) error {
	return h.check(h.Store.SetUint64(key, v))
}

// State is the newest state that this server knows to be committed, never nil.
func (r *Replica) State() *registry.State { return r.feed.State() }

// Changed is closed at the next change of State. Take it before State.
func (r *Replica) Changed() <-chan struct{} { return r.feed.Changed() }

// Since returns the commands that changed the state after index after, in order; false when some are no longer held.
func (r *Replica) Since(after registry.Index) ([]raftlog.Committed, bool) {
	return r.machine.recent.Since(uint64(after))
}

// Failed delivers one error when the server cannot go on: its disk failed or is stalled for good, or it read an entry that
// it does not understand. It has then stopped taking part; State still answers. The process should end.
func (r *Replica) Failed() <-chan error { return r.fatal }

// fail ends the server's part in the consensus. It does not block.
func (r *Replica) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil || r.closing {
		return
	}
	r.failure = err
	r.config.Logger.Error("raft cannot go on", "error", err)
	r.fatal <- err
	close(r.broken)
}

// Close hands leadership over when this server has it, stops, and gives the directory back. When ctx ends first, as it
// may with a stalled disk, the directory stays locked until the process ends.
func (r *Replica) Close(ctx context.Context) error {
	r.mu.Lock()
	again, failed := r.ending, r.failure != nil
	r.ending = true
	r.mu.Unlock()
	if again {
		return ErrClosed
	}
	if !failed && r.raft.State() == hraft.Leader && len(r.voters()) > 1 {
		if err := r.TransferLeadership(ctx); err != nil {
			r.config.Logger.Warn("closing without a successor", "error", err)
		}
	}
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	done := make(chan error, 1)
	r.watch.Go(func() { done <- r.shutdown() })
	select {
	case err := <-done:
		r.watch.Wait()
		return err
	case <-ctx.Done():
		return fmt.Errorf("close raft: %w", ctx.Err())
	}
}

func (r *Replica) shutdown() error {
	answered := r.drain()
	stopped := r.end()
	err := r.transport.Close()
	r.transport.CloseStreams()
	err = errors.Join(err, stopped.Error())
	close(r.stop)
	if answered {
		r.calls.Wait()
	}
	return errors.Join(err, r.store.Close())
}

// drain waits until the vendor has answered every call; no new ones come. Once it is shut down it never answers those
// whose entries are committed but not yet applied, and their goroutines would wait for ever. A leader answers soon: it
// commits, or its lease ends. Only a stalled disk can make drain give up, after the time of an RPC.
func (r *Replica) drain() bool {
	const poll = time.Millisecond
	for began := time.Now(); time.Since(began) < r.config.Timing.RPC; {
		r.mu.Lock()
		waiting := r.waiting
		r.mu.Unlock()
		if waiting == 0 {
			return true
		}
		<-time.After(poll)
	}
	return false
}

// Stats are numbers about a server for people and metrics.
type Stats struct {
	Role         string // Follower, Candidate, Leader or Shutdown
	Term         uint64
	LastIndex    uint64
	CommitIndex  uint64
	AppliedIndex uint64
	FirstIndex   uint64 // of the log; what is before is in a snapshot
	LogBytes     int64  // on disk
	// SinceContact is how long ago the leader was heard, or since Open when none was; 0 on the leader.
	SinceContact time.Duration
	// Stalled is how long the append to the own disk that is under way has taken.
	Stalled time.Duration
}

// Stats returns the present numbers.
func (r *Replica) Stats() Stats {
	first, _ := r.store.FirstIndex()
	s := Stats{
		Role: r.raft.State().String(), Term: r.raft.CurrentTerm(), LastIndex: r.raft.LastIndex(),
		CommitIndex: r.raft.CommitIndex(), AppliedIndex: r.raft.AppliedIndex(), FirstIndex: first,
		LogBytes: r.store.Size(), Stalled: r.store.Stalled(),
	}
	if s.Role != hraft.Leader.String() {
		last := r.raft.LastContact()
		if last.IsZero() {
			last = r.opened // what it has on disk may be much older: nobody can say
		}
		s.SinceContact = time.Since(last)
	}
	return s
}

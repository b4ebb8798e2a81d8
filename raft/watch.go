package raft

import (
	"errors"
	"fmt"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/registry"
)

// ErrStalled is delivered by Failed when the disk of a leader took too long and leadership could not be handed over.
var ErrStalled = errors.New("disk is stalled")

// logLimit is how large the log may grow on disk, in bytes, before a snapshot is made out of turn and nothing but the last
// few entries is kept.
const logLimit = 48 << 20

// run watches the vendor and the disk until Close. It never waits for the vendor, which waits for it.
func (r *Replica) run() {
	every := r.config.Timing.Stall / 4
	tick := time.NewTimer(every)
	defer tick.Stop()
	disk := r.store.Failed()
	broken := r.broken
	var warned, compacting bool
	compacted := make(chan struct{}, 1)
	for {
		select {
		case <-r.stop:
			return
		case leading := <-r.notify:
			r.begin(leading)
		case <-r.observed:
			r.announce()
		case <-disk:
			disk = nil
			r.fail(r.store.Failure())
		case <-broken:
			broken = nil
			r.watch.Go(func() { r.drain(); r.end() })
		case <-compacted:
			compacting = false
		case <-tick.C:
			tick.Reset(beat.Until(every))
			warned = r.checkDisk(warned)
			if !compacting && r.store.Size() > logLimit {
				compacting = r.call(func() { r.compact(); compacted <- struct{}{} })
			}
		}
	}
}

// begin notes that this server starts or ceases to lead. It leads for others to see once it has applied everything that
// was committed before its reign.
func (r *Replica) begin(leading bool) {
	r.mu.Lock()
	r.reign++
	reign := r.reign
	r.setLeading(false)
	r.mu.Unlock()
	if !leading {
		r.watch.Go(func() { r.hasten(reign) })
		r.config.Logger.Info("this server does not lead any more", "term", r.raft.CurrentTerm())
		return
	}
	r.pace(leading)
	r.call(func() {
		if err := r.raft.Barrier(0).Error(); err != nil {
			return // it ceased to lead, which is announced
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.reign == reign && r.failure == nil {
			r.config.Logger.Info("this server leads", "term", r.raft.CurrentTerm(), "index", r.State().Index())
			r.since = time.Now()
			r.setLeading(true)
			r.calls.Go(func() { r.raft.Barrier(r.config.Timing.RPC) }) // tells followers that all of it is committed
		}
	})
}

// calm is how much longer the vendor's timeouts are while this server leads. The vendor sends heartbeats after a tenth to a
// fifth of a timeout that only followers wait for: 75 to 150 ms with LAN, which is a quarter to half of what they wait.
const calm = 2.5

// hasten gives who ceased to lead the timeouts of a follower, when one would be over that began then: the vendor looks at that
// moment whether it was called within it, and asks for votes if not.
func (r *Replica) hasten(reign int) {
	timer := time.NewTimer(r.config.Timing.Heartbeat)
	defer timer.Stop()
	select {
	case <-r.stop:
		return
	case <-timer.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reign == reign {
		r.pace(false)
	}
}

// pace slows heartbeats down on a leader and makes timeouts those of a follower on others.
func (r *Replica) pace(leading bool) {
	t := r.config.Timing
	if leading {
		t.Heartbeat, t.Election = time.Duration(calm*float64(t.Heartbeat)), time.Duration(calm*float64(t.Election))
	}
	err := r.reload(func(c *hraft.ReloadableConfig) { c.HeartbeatTimeout, c.ElectionTimeout = t.Heartbeat, t.Election })
	if err != nil {
		r.config.Logger.Warn("could not change the pace of heartbeats", "leading", leading, "error", err)
	}
}

// reload changes the vendor's configuration.
func (r *Replica) reload(change func(*hraft.ReloadableConfig)) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	c := r.raft.ReloadableConfig()
	change(&c)
	return r.raft.ReloadConfig(c)
}

// announce wakes those who wait for a change of leadership.
func (r *Replica) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setLeading(r.leading)
}

// setLeading wakes those who wait; the caller holds mu.
func (r *Replica) setLeading(leading bool) {
	r.leading = leading
	close(r.changed)
	r.changed = make(chan struct{})
}

// Leading reports whether this server leads and has applied everything that was committed before its reign. It may be
// wrong at any instant: a leader that was paused learns late that it is none, so nothing but a committed command acts.
func (r *Replica) Leading() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leading
}

// LeadershipChanged is closed at the next change of Leading or Leader. Take it before asking.
func (r *Replica) LeadershipChanged() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Leader is the server that this one believes to lead, and its address; empty when it knows none.
func (r *Replica) Leader() (registry.NodeID, string) {
	addr, id := r.raft.LeaderWithID()
	return registry.NodeID(id), string(addr)
}

// checkDisk looks how long the append under way takes. A leader whose disk is stalled goes silent by itself (see
// transport), which hands over without needing its main loop, and that loop may be stuck in the write for good. When it is
// still stuck after twice the limit, the leader fails. A server without other voters waits: nobody could do better. warned
// says whether this stall was noticed before.
func (r *Replica) checkDisk(warned bool) bool {
	limit := r.config.Timing.Stall
	stalled := r.store.Stalled()
	if stalled <= limit {
		return false
	}
	leads := r.raft.State() == hraft.Leader && len(r.voters()) > 1
	if !warned {
		r.config.Logger.Warn("the disk under the raft log is stalled", "for", stalled, "leader", leads)
	}
	if leads && stalled > 2*limit {
		r.fail(fmt.Errorf("one append to the raft log has taken %s: %w", stalled.Round(time.Millisecond), ErrStalled))
	}
	return true
}

// compact makes a snapshot and drops nearly all of the log behind it: entries are up to 1 MiB, so their number alone does
// not bound the disk.
func (r *Replica) compact() {
	keep := func(n uint64) error { return r.reload(func(c *hraft.ReloadableConfig) { c.TrailingLogs = n }) }
	err := keep(64)
	if err == nil {
		err = r.raft.Snapshot().Error()
	}
	if err = errors.Join(err, keep(r.config.TrailingLogs)); err != nil && !errors.Is(err, hraft.ErrNothingNewToSnapshot) {
		r.config.Logger.Warn("could not make the raft log smaller", "bytes", r.store.Size(), "error", err)
	}
}

package raft

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/baton-db/baton/raft/raftlog"
	"github.com/baton-db/baton/registry"
)

// disk is a disk whose syncs can be stalled or made to fail.
type disk struct {
	mu   sync.Mutex
	gate chan struct{} // syncs wait for it to close
	err  error
}

type diskFile struct {
	raftlog.File
	on *disk
}

func (d *disk) wrap(f raftlog.File) raftlog.File { return diskFile{f, d} }

func (f diskFile) Sync() error {
	f.on.mu.Lock()
	gate, err := f.on.gate, f.on.err
	f.on.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err != nil {
		return err
	}
	return f.File.Sync()
}

// stall makes syncs wait until the function that it returns is called.
func (d *disk) stall() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gate := make(chan struct{})
	d.gate = gate
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		close(gate)
		d.gate = nil
	}
}

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// onDisks gives every server of the cluster a disk with faults.
func (c *cluster) onDisks() map[registry.NodeID]*disk {
	disks := map[registry.NodeID]*disk{}
	for _, s := range c.servers {
		disks[s.ID] = &disk{}
		c.wraps[s.ID] = disks[s.ID].wrap
	}
	return disks
}

// failure is what Failed has delivered, or nil.
func failure(r *Replica) error {
	select {
	case err := <-r.Failed():
		return err
	default:
		return nil
	}
}

// proposeInBackground starts a proposal whose outcome does not matter.
func (c *cluster) proposeInBackground(wg *sync.WaitGroup, r *Replica, command registry.Command) {
	wg.Go(func() {
		ctx, cancel := c.context()
		defer cancel()
		r.Propose(ctx, command)
	})
}

func TestALeaderWithAStalledDiskIsReplaced(t *testing.T) {
	for _, short := range []bool{true, false} {
		t.Run(map[bool]string{true: "for a while", false: "for good"}[short], func(t *testing.T) {
			inBubble(t, 3, func(c *cluster) {
				disks := c.onDisks()
				old := c.startAll()
				id := old.config.ID
				release := disks[id].stall()
				began := time.Now()
				var wg sync.WaitGroup
				defer wg.Wait()
				c.proposeInBackground(&wg, old, node("x"))
				next := c.leader(c.others(id)...)
				took := time.Since(began)
				t.Log("successor after", took)
				if limit := LAN().Stall + 10*LAN().Election; took > limit {
					t.Errorf("successor after %s, limit %s", took, limit)
				}
				c.propose(next, "a")
				if !short {
					c.until("the old leader to fail", func() bool { return time.Since(began) > 2*LAN().Stall+LAN().Stall })
					if err := failure(old); !errors.Is(err, ErrStalled) {
						t.Errorf("failed with: %v", err)
					}
					release()
					return
				}
				release()
				c.until("the old leader to follow", func() bool { return has(old.State(), "a") })
				if old.Leading() || failure(old) != nil {
					t.Error("the old leader leads or has failed")
				}
			})
		})
	}
}

func TestAFollowerWithAStalledDiskDisturbsNobody(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		disks := c.onDisks()
		leader := c.startAll()
		id := c.others(leader.config.ID)[0]
		term := leader.Stats().Term
		release := disks[id].stall()
		for range 10 {
			c.commit(leader, node("x"))
			time.Sleep(time.Second)
		}
		release()
		want := leader.State().Index()
		c.until("the follower", func() bool { return c.running[id].State().Index() >= want })
		if got := leader.Stats().Term; got != term {
			t.Errorf("term %d became %d", term, got)
		}
		if err := failure(c.running[id]); err != nil {
			t.Error(err)
		}
	})
}

func TestAServerWhoseDiskFailsStopsAndTheOthersGoOn(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(cause.Error(), func(t *testing.T) {
			inBubble(t, 3, func(c *cluster) {
				disks := c.onDisks()
				old := c.startAll()
				id := old.config.ID
				disks[id].fail(cause)
				if _, err := old.Propose(c.t.Context(), node("x")); !errors.Is(err, ErrUncertain) {
					t.Errorf("propose: %v", err)
				}
				next := c.leader(c.others(id)...)
				c.propose(next, "a")
				c.until("the failure", func() bool { return old.Stats().Role == "Shutdown" })
				if err := failure(old); !errors.Is(err, cause) {
					t.Errorf("failed with: %v", err)
				}
				if has(old.State(), "a") || old.State().Index() == 0 {
					t.Errorf("state at %d after the failure", old.State().Index())
				}
				if err := old.Barrier(c.t.Context()); !errors.Is(err, ErrClosed) {
					t.Errorf("barrier: %v", err)
				}
				c.close(id)
				disks[id].fail(nil)
				r := c.start(id)
				c.until("the server to be back", func() bool { return has(r.State(), "a") })
			})
		})
	}
}

// A vote is written in the vendor's main loop, which would panic.
func TestAServerThatCannotWriteItsVoteStops(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		disks := c.onDisks()
		leader := c.startAll()
		id := c.others(leader.config.ID)
		disks[id[0]].fail(syscall.EIO)
		c.crash(leader.config.ID)
		c.until("the failure", func() bool { return c.running[id[0]].Stats().Role == "Shutdown" })
		if err := failure(c.running[id[0]]); !errors.Is(err, syscall.EIO) {
			t.Errorf("failed with: %v", err)
		}
		c.start(leader.config.ID)
		c.propose(c.leader(leader.config.ID, id[1]), "a")
	})
}

func TestAServerThatCannotReadADecisionHalts(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		c.propose(leader, "a")
		index := leader.State().Index()
		leader.raft.Apply([]byte("\x07 from the future"), 0)
		halted := func() (all []*Replica) {
			for _, r := range c.running {
				if r.Stats().Role == "Shutdown" {
					all = append(all, r)
				}
			}
			return all
		}
		// The last of three may never learn that the entry is committed: it is alone.
		c.until("the halt", func() bool { return len(halted()) >= 2 })
		for _, r := range halted() {
			if err := failure(r); !errors.Is(err, registry.ErrUnknown) || !strings.Contains(err.Error(), "entry ") {
				t.Errorf("failed with: %v", err)
			}
			if r.State().Index() != index {
				t.Errorf("at index %d, want %d", r.State().Index(), index)
			}
			if err := r.Barrier(c.t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("barrier: %v", err)
			}
			id := r.config.ID
			c.close(id)
			switch again, err := c.open(id); {
			case err == nil: // it does not know yet that the entry is committed
				c.running[id] = again
			case !errors.Is(err, registry.ErrUnknown):
				t.Errorf("open again: %v", err)
			}
		}
	})
}

func TestABadSnapshotIsPassedOver(t *testing.T) {
	inBubble(t, 1, func(c *cluster) {
		leader := c.startAll()
		id := leader.config.ID
		for _, name := range []string{"a", "b"} {
			c.propose(leader, name)
			if err := leader.Snapshot(c.t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want := encoded(t, leader.State())
		c.close(id)
		files, err := filepath.Glob(filepath.Join(c.dir, string(id), "snapshots", "*", "state.bin"))
		if err != nil || len(files) != 2 {
			t.Fatal(files, err)
		}
		flip := func(file string) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		flip(files[1])
		r := c.start(id)
		if got := encoded(t, r.State()); got != want {
			t.Errorf("starts with %s, want %s", got, want)
		}
		c.crash(id)
	})
}

func TestALogThatDoesNotReachItsSnapshotIsRefused(t *testing.T) {
	inBubble(t, 1, func(c *cluster) {
		c.change = func(c *Config) { c.TrailingLogs = 1 }
		leader := c.startAll()
		id := leader.config.ID
		for _, name := range []string{"a", "b", "c", "d"} {
			c.propose(leader, name)
		}
		if err := leader.Snapshot(c.t.Context()); err != nil {
			t.Fatal(err)
		}
		c.close(id)
		dir := filepath.Join(c.dir, string(id))
		// The segment still holds every entry, so only the certificate can know: lose both.
		for _, name := range []string{"snapshots", "log"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := c.open(id)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "move "+dir+" away") {
			t.Errorf("open: %v", err)
		}
		c.net.Host(string(id)).Crash()
	})
}

func TestADirectoryOfSomebodyElseIsRefused(t *testing.T) {
	inBubble(t, 1, func(c *cluster) {
		leader := c.startAll()
		dir := leader.config.Dir
		_, err := Open(Config{ID: "n9", Cluster: "c1", Dir: dir, Advertise: "x:1", Logger: c.log}, idle{})
		if !errors.Is(err, ErrLocked) {
			t.Errorf("a directory in use: %v", err)
		}
		c.close(leader.config.ID)
		_, err = Open(Config{ID: "n9", Cluster: "c1", Dir: dir, Advertise: "x:1", Logger: c.log}, idle{})
		if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "own data directory") {
			t.Errorf("another node's directory: %v", err)
		}
	})
}

// TestClosingUnderLoadEnds: the vendor leaves proposals without an answer that are committed but not applied when it is
// shut down.
func TestClosingUnderLoadEnds(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		c.startAll()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for _, r := range c.running {
			for range 16 {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Millisecond):
						}
						if _, err := r.Propose(c.t.Context(), service("x")); errors.Is(err, ErrClosed) {
							return
						}
					}
				})
			}
		}
		time.Sleep(100 * time.Millisecond)
		for _, s := range c.servers {
			c.crash(s.ID)
			time.Sleep(20 * time.Millisecond)
		}
		close(stop)
		wg.Wait()
	})
}

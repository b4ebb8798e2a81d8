package raft

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/registry"
)

func TestALeaderIsElectedAndReplaced(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		first := c.startAll()
		c.propose(first, "a")
		c.net.Isolate(string(first.config.ID))
		others := c.others(first.config.ID)
		second := c.leader(others...)
		c.propose(second, "b")
		c.until("the old leader to learn", func() bool { return !first.Leading() })
		if has(first.State(), "b") {
			t.Error("a server that was cut off has the new command")
		}
		c.net.Rejoin(string(first.config.ID))
		c.until("the old leader to follow", func() bool { return has(first.State(), "b") })
		want := encoded(t, second.State())
		for _, r := range c.running {
			c.until("equal states", func() bool { return encoded(t, r.State()) == want })
			if id, addr := r.Leader(); id != second.config.ID || addr != second.config.Advertise {
				t.Errorf("%s believes in %s at %s", r.config.ID, id, addr)
			}
		}
	})
}

// The time to a new leader is simulated: message delay 0, sync delay 0. It shows what the timeouts cost.
func TestANewLeaderFollowsACrash(t *testing.T) {
	for range 20 {
		inBubble(t, 3, func(c *cluster) {
			first := c.startAll()
			id := first.config.ID
			c.crash(id)
			took := c.until("a successor", func() bool {
				return slices.ContainsFunc(c.others(id), func(o registry.NodeID) bool { return c.running[o].Leading() })
			})
			if limit := 10 * LAN().Election; took > limit {
				t.Errorf("%s until the next leader, limit %s", took, limit)
			}
			t.Log(took)
		})
	}
}

func TestUrgentCommandsAreOnFollowersAtOnce(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		c.change = func(c *Config) { c.Timing = LAN(); c.Timing.Commit = 50 * time.Millisecond }
		leader := c.startAll()
		lag := func(command registry.Command) (worst time.Duration) {
			time.Sleep(300 * time.Millisecond) // until the leader is idle
			index := c.commit(leader, command)
			began := time.Now()
			for _, r := range c.running {
				c.until("the command", func() bool { return r.State().Index() >= index })
				worst = max(worst, time.Since(began))
			}
			return worst
		}
		for i := range 20 {
			if got := lag(service(fmt.Sprint("s", i))); got > time.Millisecond {
				t.Errorf("urgent command visible after %s of simulated time", got)
			}
		}
		if got := lag(node("x")); got < 10*time.Millisecond {
			t.Errorf("another command was visible after %s: the test shows nothing", got)
		}
	})
}

func TestARestartedServerAnswersBeforeItHearsAnybody(t *testing.T) {
	for _, end := range []string{"closed", "killed"} {
		t.Run(end, func(t *testing.T) {
			inBubble(t, 3, func(c *cluster) {
				leader := c.startAll()
				for i := range 50 {
					c.propose(leader, fmt.Sprint("s", i))
				}
				want := encoded(t, leader.State())
				for _, r := range c.running {
					c.until("equal states", func() bool { return encoded(t, r.State()) == want })
				}
				time.Sleep(time.Second)
				for _, s := range c.servers {
					if end == "killed" || s.ID == leader.config.ID {
						c.crash(s.ID)
					} else {
						c.close(s.ID)
					}
				}
				for _, s := range c.servers {
					r := c.start(s.ID)
					if got := encoded(t, r.State()); got != want {
						t.Errorf("%s starts with %s, want %s", s.ID, got, want)
					}
					time.Sleep(11 * time.Second)
					if since := r.Stats().SinceContact; since < 10*time.Second {
						t.Errorf("%s has heard nobody and says that it heard a leader %s ago", s.ID, since)
					}
					if len(r.Peers()) != 3 {
						t.Errorf("%s starts with peers %v", s.ID, r.Peers())
					}
					c.crash(s.ID)
				}
				for _, s := range c.servers {
					c.start(s.ID)
				}
				c.propose(c.leader(), "after")
			})
		})
	}
}

// TestBarrierReadsAreNeverStale freezes leaders at random while one client writes and another reads through the barrier of
// whichever server believes to lead.
func TestBarrierReadsAreNeverStale(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, 3, func(c *cluster) {
				c.startAll()
				rng := rand.New(rand.NewPCG(seed, 1))
				reads, refused := 0, 0
				for step := range 40 {
					id := c.leader().config.ID
					c.net.Pause(string(id))
					writer := c.leader(c.others(id)...)
					for w := range 1 + rng.IntN(3) {
						c.propose(writer, fmt.Sprintf("s%d-%d", step, w))
					}
					acked := writer.State().Index()
					if rng.IntN(2) == 0 {
						c.net.Resume(string(id))
					}
					time.Sleep(time.Duration(rng.IntN(int(400 * time.Millisecond))))
					for _, r := range c.running {
						ctx, cancel := context.WithTimeout(c.t.Context(), time.Duration(rng.IntN(int(200*time.Millisecond))))
						if err := r.Barrier(ctx); err != nil {
							refused++
						} else if reads++; r.State().Index() < acked {
							t.Errorf("step %d: %s read index %d after %d was acknowledged", step, r.config.ID, r.State().Index(), acked)
						}
						cancel()
					}
					c.net.Resume(string(id))
					time.Sleep(time.Duration(rng.IntN(int(time.Second))))
				}
				if reads == 0 || refused == 0 {
					t.Errorf("%d reads, %d refused: the test shows nothing", reads, refused)
				}
			})
		})
	}
}

func TestRefusedCommandsChangeNothing(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		before := leader.State()
		_, err := leader.Propose(c.t.Context(), &registry.RemoveNode{ID: "nobody"})
		if err == nil {
			_, err = leader.Propose(c.t.Context(), &registry.PutService{})
		}
		if !errors.Is(err, registry.ErrInvalid) && !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("propose: %v", err)
		}
		if leader.State() != before {
			t.Error("a refused command changed the state")
		}
		for _, id := range c.others(leader.config.ID) {
			if _, err := c.running[id].Propose(c.t.Context(), node("y")); !errors.Is(err, ErrNotLeader) {
				t.Errorf("propose to a follower: %v", err)
			}
			if err := c.running[id].Barrier(c.t.Context()); !errors.Is(err, ErrNotLeader) {
				t.Errorf("barrier on a follower: %v", err)
			}
		}
	})
}

func TestAProposalThatCannotBeCommittedIsUncertain(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		c.net.Isolate(string(leader.config.ID))
		ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := leader.Propose(ctx, node("y")); !errors.Is(err, ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		if _, err := leader.Propose(c.t.Context(), node("z")); !errors.Is(err, ErrUncertain) {
			t.Errorf("leadership lost: %v", err)
		}
	})
}

func TestClosingHandsLeadershipOver(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		id := leader.config.ID
		began := time.Now()
		c.close(id)
		next := c.leader(c.others(id)...)
		if took := time.Since(began); took >= LAN().Heartbeat {
			t.Errorf("%s without a leader, as long as a crash", took)
		}
		c.propose(next, "after")
		if _, err := leader.Propose(c.t.Context(), node("y")); !errors.Is(err, ErrClosed) {
			t.Errorf("propose after close: %v", err)
		}
		if err := leader.Close(c.t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestALeaderKnowsWhoDoesNotAnswer(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		silent := c.others(leader.config.ID)[0]
		time.Sleep(time.Minute) // in the bubble
		c.net.Isolate(string(silent))
		time.Sleep(10 * time.Second) // in the bubble
		for _, p := range leader.Peers() {
			least, most := time.Duration(0), time.Second
			if p.ID == silent {
				least, most = 9*time.Second, 11*time.Second
			}
			if p.Silence < least || p.Silence > most {
				t.Errorf("%s has not answered for %s, want %s to %s", p.ID, p.Silence, least, most)
			}
		}
		follower := c.running[c.others(leader.config.ID)[1]]
		for _, p := range follower.Peers() {
			if p.Silence >= 0 {
				t.Errorf("a follower says that %s has not answered for %s", p.ID, p.Silence)
			}
		}
		c.net.Rejoin(string(silent))
	})
}

// The agent closes a replica that has failed, and a signal may come in the same moment.
func TestOneOfTwoClosesAtOnceCloses(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		delete(c.running, leader.config.ID)
		errs := make(chan error, 2)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { errs <- leader.Close(c.t.Context()) })
		}
		both.Wait()
		if a, b := <-errs, <-errs; (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), ErrClosed) {
			t.Errorf("closed with %v and %v", a, b)
		}
	})
}

func TestASnapshotBringsALateServerUpToDate(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		c.change = func(c *Config) { c.TrailingLogs = 4 }
		leader := c.startAll()
		late := c.others(leader.config.ID)[0]
		c.crash(late)
		for i := range 100 {
			c.propose(leader, fmt.Sprint("s", i))
		}
		for _, r := range c.running {
			if err := r.Snapshot(c.t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if err := leader.Snapshot(c.t.Context()); err != nil {
			t.Errorf("a second snapshot: %v", err)
		}
		if first := leader.Stats().FirstIndex; first < 90 {
			t.Errorf("the log still begins at %d", first)
		}
		want := encoded(t, leader.State())
		r := c.start(late)
		c.until("the late server", func() bool { return encoded(t, r.State()) == want })
		c.propose(leader, "after")
		want = encoded(t, leader.State())
		c.until("the late server again", func() bool { return encoded(t, r.State()) == want })
		time.Sleep(time.Second)
		for _, s := range c.servers {
			c.crash(s.ID)
		}
		for _, s := range c.servers {
			r := c.start(s.ID)
			if got := encoded(t, r.State()); got != want {
				t.Errorf("%s restarts with\n%s, want\n%s", s.ID, got, want)
			}
			c.crash(s.ID)
		}
	})
}

// TestAReturningServerCatchesUpAtOnce: the vendor alone backs off up to 10 s.
func TestAReturningServerCatchesUpAtOnce(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		late := c.others(leader.config.ID)[0]
		c.crash(late)
		for i := range 60 {
			c.propose(leader, fmt.Sprint("s", i))
			time.Sleep(time.Second)
		}
		r := c.start(late)
		want := leader.State().Index()
		if took := c.until("the late server", func() bool { return r.State().Index() >= want }); took > 2*LAN().Heartbeat {
			t.Errorf("caught up after %s", took)
		}
	})
}

func TestMembersComeAndGo(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		ctx := c.t.Context()
		n4 := c.start("n4")
		if n4.Leading() || len(n4.Peers()) != 0 {
			t.Errorf("a server that nobody added has peers %v", n4.Peers())
		}
		self := Server{"n4", n4.config.Advertise}
		for _, bad := range []Server{{"n4", leader.config.Advertise}, {leader.config.ID, n4.config.Advertise}} {
			if err := leader.AddVoter(ctx, bad); !errors.Is(err, ErrConflict) {
				t.Errorf("add %v: %v", bad, err)
			}
		}
		if err := c.running[c.others(leader.config.ID)[0]].AddVoter(ctx, self); !errors.Is(err, ErrNotLeader) {
			t.Errorf("add through a follower: %v", err)
		}
		if err := leader.AddNonvoter(ctx, self); err != nil {
			t.Fatal(err)
		}
		index := c.propose(leader, "a")
		c.until("the new member", func() bool { return n4.State().Index() >= index })
		if err := leader.AddVoter(ctx, self); err != nil {
			t.Fatal(err)
		}
		want := append(slices.Clone(c.servers), self)
		for _, p := range leader.Peers() {
			if !slices.Contains(want, p.Server) || !p.Voter || p.Leader != (p.ID == leader.config.ID) {
				t.Errorf("peer %+v", p)
			}
		}
		gone := c.others(leader.config.ID)[0]
		if err := leader.Remove(ctx, gone); err != nil {
			t.Fatal(err)
		}
		if len(leader.Peers()) != 3 {
			t.Errorf("peers %+v", leader.Peers())
		}
		term := leader.Stats().Term
		time.Sleep(10 * time.Second)
		if got := leader.Stats(); got.Term != term || got.Role != "Leader" {
			t.Errorf("the removed server disturbs: term %d -> %d, now %s", term, got.Term, got.Role)
		}
		c.propose(leader, "b")
	})
}

func TestTransferPassesOverServersThatAreGone(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		others := c.others(leader.config.ID)
		c.crash(others[0])
		time.Sleep(time.Second)
		began := time.Now()
		if err := leader.TransferLeadership(c.t.Context()); err != nil {
			t.Fatal(err)
		}
		if next := c.leader(others[1]); next.config.ID != others[1] {
			t.Error(next.config.ID)
		}
		if took := time.Since(began); took > LAN().Heartbeat {
			t.Errorf("took %s", took)
		}
		if err := leader.TransferLeadership(c.t.Context()); !errors.Is(err, ErrNotLeader) {
			t.Errorf("transfer by a follower: %v", err)
		}
	})
}

func TestAServerAloneLeadsItself(t *testing.T) {
	inBubble(t, 1, func(c *cluster) {
		leader := c.startAll()
		c.propose(leader, "a")
		if err := leader.Barrier(c.t.Context()); err != nil {
			t.Error(err)
		}
		if err := leader.TransferLeadership(c.t.Context()); !errors.Is(err, ErrNoSuccessor) {
			t.Errorf("transfer: %v", err)
		}
		c.close(leader.config.ID)
		c.start(leader.config.ID)
		c.propose(c.leader(), "b")
	})
}

package raft

import (
	"context"
	"testing"
	"time"
)

// TestALeaderCallsSeldomAndWaitsLikeOthersWhenItFollows: what is slow on a leader must not make a follower wait for its
// next leader.
func TestALeaderCallsSeldomAndWaitsLikeOthersWhenItFollows(t *testing.T) {
	inBubble(t, 3, func(c *cluster) {
		leader := c.startAll()
		time.Sleep(time.Second) // in the bubble: until its reign is known here
		usual := LAN().Heartbeat
		waits := func(r *Replica) time.Duration { return r.raft.ReloadableConfig().HeartbeatTimeout }
		if got := waits(leader); got <= usual {
			t.Errorf("the leader sends heartbeats as for timeouts of %s", got)
		}
		for _, id := range c.others(leader.config.ID) {
			if got := waits(c.running[id]); got != usual {
				t.Errorf("follower %s waits for %s, want %s", id, got, usual)
			}
		}
		if err := leader.TransferLeadership(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * usual) // in the bubble
		if got := waits(leader); leader.Leading() || got != usual {
			t.Errorf("the former leader waits for %s, want %s", got, usual)
		}
	})
}

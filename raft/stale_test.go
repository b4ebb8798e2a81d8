package raft

import (
	"context"
	"sync"
	"testing"
	"time"

	hraft "github.com/hashicorp/raft"
)

// An answer to a heartbeat that was sent before the question says nothing of the time after it. Here n3 gives one, helps to
// elect another leader and to commit, and only then does the old leader hear its answer, and is asked to read.
func TestALeaderThatHasBeenReplacedReadsNothing(t *testing.T) {
	asked := 0
	for range 8 {
		inBubble(t, 3, func(c *cluster) {
			old := c.startAll()
			time.Sleep(time.Second) // in the bubble: everybody has everything, and may win
			ids := c.others(old.config.ID)
			next, third := c.running[ids[0]], string(ids[1])
			id := string(old.config.ID)
			c.net.Cut(id, string(ids[0]))
			c.net.CutOneWay(third, id)
			time.Sleep(130 * time.Millisecond) // in the bubble: a heartbeat is sent within that, and the lease is not over
			err := next.transport.TimeoutNow(hraft.ServerID(ids[0]), hraft.ServerAddress(c.net.Host(string(ids[0])).Addr(port)),
				&hraft.TimeoutNowRequest{RPCHeader: hraft.RPCHeader{ProtocolVersion: hraft.ProtocolVersionMax}}, &hraft.TimeoutNowResponse{})
			if err != nil {
				t.Fatalf("let %s stand for election: %v", ids[0], err)
			}
			written := c.commit(c.leader(ids[0]), node("new"))
			if !old.Leading() {
				return // it has noticed already, and is asked nothing
			}
			asked++
			var answer error
			var asking sync.WaitGroup
			ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
			defer cancel()
			asking.Go(func() { answer = old.Barrier(ctx) })
			time.Sleep(time.Millisecond) // in the bubble: until the question waits
			c.net.Heal(third, id)
			asking.Wait()
			if answer == nil && old.State().Index() < written {
				t.Errorf("%s read index %d after %d was acknowledged", id, old.State().Index(), written)
			}
		})
	}
	if asked == 0 {
		t.Error("no leader that has been replaced was asked")
	}
}

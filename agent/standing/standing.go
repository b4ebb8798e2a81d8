// Package standing says what a server that holds no votes is to the cluster: one that founds it, one that lost its votes, or
// one that waits to be let in. It asks the other servers; what is on this node's disk is for the raft room to judge.
package standing

import (
	"context"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// Standing is what a server is to a cluster.
type Standing int

// The standings.
const (
	Founding Standing = iota // nobody has begun, or others have and wait for this one
	Lost                     // it has voted once, and holds nothing: it must not vote again
	Stranger                 // others have begun without it
)

// askFor bounds the question whether the cluster is there already. Servers that begin together do not answer each other
// yet, so it is what the first start of a cluster waits for.
const askFor = 500 * time.Millisecond

// Asker asks one server, at addr (host:port), what it knows.
type Asker interface {
	StatusAt(ctx context.Context, addr string) (api.Status, error)
}

// Of asks all of others at once and returns what the newest answer makes of the server self, and who gave it; Founding when
// nobody answers within half a second.
func Of(ctx context.Context, self registry.NodeID, others []string, asker Asker) (Standing, registry.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	var (
		asked  sync.WaitGroup
		mu     sync.Mutex
		newest api.Status
	)
	for _, addr := range others {
		asked.Go(func() {
			s, err := asker.StatusAt(ctx, addr)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if s.Raft.Term > newest.Raft.Term || s.Raft.Term == newest.Raft.Term && s.Raft.Applied >= newest.Raft.Applied {
				newest = s
			}
		})
	}
	asked.Wait()
	return judge(self, newest.Raft.Peers), newest.Node
}

// judge reads the standing of self off the members of the consensus. A member that never registered has never come up: it
// may have been named by the founders and be late.
func judge(self registry.NodeID, members []api.RaftPeer) Standing {
	if len(members) == 0 {
		return Founding
	}
	for _, p := range members {
		switch {
		case p.Node != self:
		case p.Registered:
			return Lost
		default:
			return Founding
		}
	}
	return Stranger
}

package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/raft"
	"github.com/baton-db/baton/registry"
)

// serverParts opens the replica and returns what a voter runs: the replica, the API, and the leader's loop.
func (a *Agent) serverParts(raftPort, http net.Listener) ([]part, error) {
	voters, err := a.founders()
	if err != nil {
		return nil, err
	}
	replica, err := raft.Open(raft.Config{ID: a.cfg.Node, Cluster: a.cfg.Cluster, Dir: filepath.Join(a.cfg.DataDir, "raft"),
		Mark: a.votedMark(), Advertise: a.cfg.API, Bootstrap: voters, Timing: raft.LAN(), Logger: a.room("raft")},
		raftStream{raftPort, a})
	if err != nil {
		return nil, err
	}
	a.replica = replica
	a.door, err = server.New(server.Config{Node: a.cfg.Node, Version: a.version, Backend: backend{a}, Identify: whoAsks,
		Forward: a.transport, Log: a.room("api")})
	if err != nil {
		return nil, err // release closes the replica
	}
	return []part{
		{"replica", a.watchReplica},
		{"api", func(ctx context.Context) error { return a.door.Serve(ctx, http) }},
		{"leader", a.leadWhileLeading},
	}, nil
}

// watchReplica ends when the replica cannot go on, and closes it in the end.
func (a *Agent) watchReplica(ctx context.Context) error {
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-a.replica.Failed():
	}
	closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(failed, a.replica.Close(closeCtx))
}

// handOver gives leadership away before anything else of this node stops.
func (a *Agent) handOver(ctx context.Context) error {
	<-ctx.Done()
	if leader, _ := a.replica.Leader(); leader != a.cfg.Node {
		return nil
	}
	moveCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := a.replica.TransferLeadership(moveCtx); err != nil {
		a.log.Info("leadership was not handed over", "err", err)
	}
	return nil
}

// leadWhileLeading is inside decide.Leader.Run exactly while this server leads.
func (a *Agent) leadWhileLeading(ctx context.Context) error {
	leader := &decide.Leader{Feed: a.replica, Board: a.board, Proposer: a.replica, Probe: a.probe, Rules: decide.DefaultRules(), Logger: a.room("promote")}
	for {
		changed := a.replica.LeadershipChanged()
		if !a.replica.Leading() {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
				continue
			}
		}
		a.log.Info("leading")
		if err := a.term(ctx, leader); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		a.log.Info("not leading any more")
	}
}

// term runs the leader's loop until this server leads no more.
func (a *Agent) term(ctx context.Context, leader *decide.Leader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		defer cancel()
		for changed := a.replica.LeadershipChanged(); ctx.Err() == nil && a.replica.Leading(); changed = a.replica.LeadershipChanged() {
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	})
	watch.Go(func() { a.door.FinishRemovals(ctx) })
	return leader.Run(ctx)
}

// alsoHere makes this server's reports known to itself as well. Through the door that would be a third of all reports that
// it sends and receives, and of what a node at rest costs. What is refused is said once until the next that is not.
func (a *Agent) alsoHere(others func(health.Report)) func(health.Report) {
	me := api.Peer{Role: registry.RoleServer, Name: string(a.cfg.Node)}
	said := ""
	return func(r health.Report) {
		others(r)
		switch err := a.door.Receive(me, r); {
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			a.room("api").Warn("own report refused", "error", err)
		}
	}
}

// probe asks a database server's port directly.
func (a *Agent) probe(ctx context.Context, addr string) health.Probe {
	switch err := a.machine.Probe(ctx, addr); {
	case err == nil:
		return health.ProbeAlive
	case errors.Is(err, mysqld.ErrRefusing):
		return health.ProbeRefusing
	}
	return health.ProbeDead
}

// whoAsks says who is at the other end of a request.
func whoAsks(cs tls.ConnectionState) (api.Peer, error) {
	n, err := identity.PeerName(cs)
	if errors.Is(err, identity.ErrNoCertificate) {
		return api.Peer{}, nil
	}
	if err != nil {
		return api.Peer{}, fmt.Errorf("who asks: %w", err)
	}
	return api.Peer{Role: registry.Role(n.Role), Name: n.Node}, nil
}

// raftStream is the raft room's way to other servers: the shared port, under its own protocol.
type raftStream struct {
	net.Listener
	of *Agent
}

// Dial connects to another server's port as this server.
func (s raftStream) Dial(ctx context.Context, address string) (net.Conn, error) {
	plain, err := s.of.machine.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, s.of.id.ClientTLS("", identity.ALPNRaft))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("handshake with %s: %w", address, err), plain.Close())
	}
	return conn, nil
}

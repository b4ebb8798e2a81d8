package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/raft"
	"github.com/baton-db/baton/registry"
)

// backend is what the API of a server may ask of this node.
type backend struct{ *Agent }

var _ server.Backend = backend{}

func (b backend) State() *registry.State   { return b.replica.State() }
func (b backend) Changed() <-chan struct{} { return b.replica.Changed() }

func (b backend) Since(after registry.Index) ([]api.Committed, bool) {
	found, ok := b.replica.Since(after)
	all := make([]api.Committed, 0, len(found))
	for _, c := range found {
		all = append(all, api.Committed{Index: registry.Index(c.Index), Bytes: c.Bytes})
	}
	return all, ok
}

func (b backend) Propose(ctx context.Context, c registry.Command) (registry.Index, error) {
	index, err := b.replica.Propose(ctx, c)
	return index, raftError(err)
}

func (b backend) Barrier(ctx context.Context) error { return barrierError(b.replica.Barrier(ctx)) }

// barrierError is raftError for a barrier. It changes nothing, so nothing is in doubt when it fails: whoever waited for
// it may ask the next leader.
func barrierError(err error) error {
	if errors.Is(err, raft.ErrUncertain) {
		return fmt.Errorf("%w: %w", api.ErrNotLeader, err)
	}
	return raftError(err)
}

// raftError gives an error of the raft room the name it has at the door.
func raftError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return fmt.Errorf("%w: %w", api.ErrNotLeader, err)
	case errors.Is(err, raft.ErrUncertain):
		return fmt.Errorf("%w: %w", api.ErrInDoubt, err)
	}
	return err
}

func (b backend) Leader() (registry.NodeID, string) { return b.replica.Leader() }
func (b backend) LastContact() time.Duration        { return b.replica.Stats().SinceContact }

func (b backend) Raft() api.RaftStatus {
	st := b.replica.Stats()
	leader, _ := b.replica.Leader()
	r := api.RaftStatus{Leader: leader, Term: st.Term, Applied: registry.Index(st.AppliedIndex)}
	for _, p := range b.replica.Peers() {
		peer := api.RaftPeer{Node: p.ID, Address: p.Addr, Voter: p.Voter, ContactMillis: -1}
		if p.Silence >= 0 {
			peer.ContactMillis = p.Silence.Milliseconds()
		}
		r.Peers = append(r.Peers, peer)
	}
	return r
}

// lookAtJoining is how often a server that joins is asked how far it has come.
const lookAtJoining = 50 * time.Millisecond

// AddServer lets id follow without a vote until it holds what this leader held when it was added: a majority with an
// empty server in it could not commit before.
func (b backend) AddServer(ctx context.Context, id registry.NodeID, addr string) error {
	there, err := b.client.StatusAt(ctx, addr)
	switch {
	case err != nil:
		return api.NewProblem(api.CodeServers, "start baton there; it waits to be added", "%s does not answer at %s: %v", id, addr, err)
	case there.Node != id || there.Cluster != b.cfg.Cluster:
		return api.NewProblem(api.CodeServers, "name it by its name", "%s of cluster %s answers at %s", there.Node, there.Cluster, addr)
	}
	if in := there.Raft.Peers; len(in) > 0 && !slices.ContainsFunc(in, func(p api.RaftPeer) bool { return p.Node == b.cfg.Node }) {
		return api.NewProblem(api.CodeServers, "if nothing of it is needed, stop it and move raft and voter out of its data_dir", "%s at %s has founded a cluster of its own", id, addr)
	}
	joining := raft.Server{ID: id, Addr: addr}
	if err := b.replica.AddNonvoter(ctx, joining); err != nil {
		return raftError(err)
	}
	want := b.replica.State().Index()
	tick := time.NewTicker(lookAtJoining)
	defer tick.Stop()
	for there.Raft.Applied < want {
		select {
		case <-ctx.Done():
			return api.NewProblem(api.CodeServers, "it goes on catching up, without a vote: add it again", "%s has caught up to %d of %d", id, there.Raft.Applied, want)
		case <-tick.C:
		}
		if now, err := b.client.StatusAt(ctx, addr); err == nil {
			there = now
		}
	}
	return raftError(b.replica.AddVoter(ctx, joining))
}

func (b backend) RemoveServer(ctx context.Context, id registry.NodeID) error {
	return raftError(b.replica.Remove(ctx, id))
}

func (b backend) Members() []api.Member {
	var all []api.Member
	for _, m := range b.gossip.Members() {
		all = append(all, api.Member{Name: registry.NodeID(m.Name), Address: m.Addr.String(), Role: registry.Role(m.Meta.Role),
			State: m.State.String(), Zone: m.Meta.Zone, Version: m.Meta.Version})
	}
	return all
}

func (b backend) View(db registry.DatabaseName) health.View { return b.board.View(db) }
func (b backend) Receive(r health.Report)                   { b.board.Receive(r) }

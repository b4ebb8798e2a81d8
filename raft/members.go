package raft

import (
	"context"
	"errors"
	"fmt"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/registry"
)

// ErrConflict is returned by AddVoter and AddNonvoter for an id or an address that another member has.
var ErrConflict = errors.New("conflicts with a member")

// ErrNoSuccessor is returned by TransferLeadership when this server still leads.
var ErrNoSuccessor = errors.New("no successor")

// Peer is one member of the cluster as this server knows it, itself included.
type Peer struct {
	Server
	Voter  bool
	Leader bool
	// Silence is how long ago it last answered this leader, or for how long this server leads when it has not yet; 0 for the
	// leader itself, below zero on every other server: not known.
	Silence time.Duration
}

// Peers returns the members.
func (r *Replica) Peers() []Peer {
	leader, _ := r.Leader()
	r.mu.Lock()
	leading, since := r.leading, r.since
	r.mu.Unlock()
	var all []Peer
	for _, s := range r.members().Servers {
		id := registry.NodeID(s.ID)
		p := Peer{Server: Server{id, string(s.Address)}, Voter: s.Suffrage == hraft.Voter, Leader: id == leader, Silence: -1}
		switch heard := r.transport.lastHeard(s.ID); {
		case !leading:
		case id == r.config.ID:
			p.Silence = 0
		case heard.After(since):
			p.Silence = time.Since(heard)
		default:
			p.Silence = time.Since(since)
		}
		all = append(all, p)
	}
	return all
}

// members is the newest configuration, committed or not.
func (r *Replica) members() hraft.Configuration { return r.raft.GetConfiguration().Configuration() }

func (r *Replica) voters() []hraft.Server {
	var all []hraft.Server
	for _, s := range r.members().Servers {
		if s.Suffrage == hraft.Voter {
			all = append(all, s)
		}
	}
	return all
}

// AddVoter makes s a member whose vote counts, or promotes it. Only the leader can. ErrConflict is returned when the id
// belongs to a member at another address or the address to another member: remove that one first.
func (r *Replica) AddVoter(ctx context.Context, s Server) error {
	return r.change(ctx, "add voter", s, r.raft.AddVoter)
}

// AddNonvoter makes s a member that follows without a vote. Only the leader can.
func (r *Replica) AddNonvoter(ctx context.Context, s Server) error {
	return r.change(ctx, "add nonvoter", s, r.raft.AddNonvoter)
}

type addition func(hraft.ServerID, hraft.ServerAddress, uint64, time.Duration) hraft.IndexFuture

func (r *Replica) change(ctx context.Context, what string, s Server, add addition) error {
	err := r.await(ctx, func() error {
		f := r.raft.GetConfiguration()
		for _, m := range f.Configuration().Servers {
			if sameID, sameAddr := m.ID == hraft.ServerID(s.ID), m.Address == hraft.ServerAddress(s.Addr); sameID != sameAddr {
				return fmt.Errorf("member %s is at %s: %w", m.ID, m.Address, ErrConflict)
			}
		}
		return ours(add(hraft.ServerID(s.ID), hraft.ServerAddress(s.Addr), f.Index(), remaining(ctx)).Error())
	})
	if err != nil {
		return fmt.Errorf("%s %s at %s: %w", what, s.ID, s.Addr, err)
	}
	return nil
}

// Remove takes a member out. Only the leader can.
func (r *Replica) Remove(ctx context.Context, id registry.NodeID) error {
	err := r.await(ctx, func() error {
		f := r.raft.GetConfiguration()
		return ours(r.raft.RemoveServer(hraft.ServerID(id), f.Index(), remaining(ctx)).Error())
	})
	if err != nil {
		return fmt.Errorf("remove %s: %w", id, err)
	}
	return nil
}

// TransferLeadership makes another voter lead, one that answered its last call. It returns nil when this server does not
// lead any more.
func (r *Replica) TransferLeadership(ctx context.Context) error {
	if r.raft.State() != hraft.Leader {
		return fmt.Errorf("transfer leadership: %w", ErrNotLeader)
	}
	for _, s := range r.voters() {
		if s.ID == hraft.ServerID(r.config.ID) || r.transport.isLost(s.ID) {
			continue
		}
		// The future is not waited for: it has no answer when the vendor stops with the request in its queue.
		r.raft.LeadershipTransferToServer(s.ID, s.Address)
		if r.waitForSuccessor(ctx) {
			return nil
		}
	}
	return fmt.Errorf("transfer leadership: %w: no other voter that answers took over", ErrNoSuccessor)
}

// waitForSuccessor waits until another server leads, for as long as the vendor tries, and says whether this one has ceased
// to: who stops before the next leader is known leaves an election behind.
func (r *Replica) waitForSuccessor(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*r.config.Timing.Election)
	defer cancel()
	for {
		changed := r.LeadershipChanged()
		leads := r.raft.State() == hraft.Leader
		if leader, _ := r.Leader(); !leads && leader != "" && leader != r.config.ID {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return !leads
		}
	}
}

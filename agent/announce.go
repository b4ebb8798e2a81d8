package agent

import (
	"context"
	"errors"
	"time"

	"github.com/baton-db/baton/raft"
	"github.com/baton-db/baton/registry"
)

// announceEvery is the pause between two looks at whether the registry says of this node what the node says.
const announceEvery = time.Second

// announce makes the registry agree with what this node is. It is level-triggered: it looks, proposes one difference,
// and looks again, for as long as the node runs.
func (a *Agent) announce(ctx context.Context) error {
	said := ""
	for ctx.Err() == nil {
		wait := announceEvery
		changed := a.feed().Changed()
		if c := a.difference(a.feed().State()); c != nil {
			wait = 100 * time.Millisecond
			err := a.propose(ctx, c)
			switch {
			case err == nil:
				said = ""
				wait = 0
			case ctx.Err() == nil && err.Error() != said:
				said = err.Error()
				a.log.Warn("the registry does not take what this node says of itself", "err", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(max(wait, time.Millisecond)):
		}
	}
	return nil
}

// difference is the command that makes the registry agree, or nil.
func (a *Agent) difference(s *registry.State) registry.Command {
	self := registry.Node{ID: a.cfg.Node, Address: a.cfg.Advertise.String(), API: a.cfg.API, Role: a.cfg.Role, Zone: a.cfg.Zone, Version: a.version}
	if known, ok := s.Node(self.ID); !ok || known != self {
		return &registry.PutNode{Node: self}
	}
	if a.keeper == nil {
		return nil
	}
	d, ok := s.Database(a.cfg.Database.Name)
	if !ok {
		return &registry.PutDatabase{Name: a.cfg.Database.Name, Policy: a.cfg.Database.Policy}
	}
	m := a.keeper.member()
	if m.Flavor == "" {
		return nil // the server was never asked successfully: what it is, is not known
	}
	if known, ok := d.Member(m.ID); ok {
		m.OutOf, m.Leaving = known.OutOf, known.Leaving
		if known == m {
			return nil
		}
	}
	return &registry.PutMember{Database: d.Name, Member: m}
}

// propose commits c, by this server when it leads and by the leader otherwise.
func (a *Agent) propose(ctx context.Context, c registry.Command) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if a.replica == nil {
		_, err := a.client.Propose(ctx, c)
		return err
	}
	_, err := a.replica.Propose(ctx, c)
	if leader, addr := a.replica.Leader(); errors.Is(err, raft.ErrNotLeader) && leader != "" && leader != a.cfg.Node {
		_, err = a.client.ProposeTo(ctx, addr, c)
	}
	return err
}

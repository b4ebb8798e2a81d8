package agent

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/raft"
	"github.com/baton-db/baton/registry"
)

// announceEvery is the pause between two looks at whether the registry says of this node what the node says.
const announceEvery = time.Second

// announceBurst is how many announcements are made without a pause: more than a start needs. A second node with the same
// name takes each one back, and each is a commit of the whole cluster.
const announceBurst = 6

// announce makes the registry agree with what this node is.
func (a *Agent) announce(ctx context.Context) error {
	return announce(ctx, a.log, a.feed(), a.difference, a.propose)
}

// announce is level-triggered: it looks, proposes one difference, and looks again, until ctx ends.
func announce(ctx context.Context, log *slog.Logger, feed promote.Feed, difference func(*registry.State) registry.Command,
	propose func(context.Context, registry.Command) (registry.Index, error)) error {
	said := ""
	complain := func(what string, err error) {
		if err.Error() != said {
			said = err.Error()
			log.Warn(what, "err", err)
		}
	}
	var taken []time.Time    // of late
	var known registry.Index // what of this was said: a server that catches up sees it late
	for ctx.Err() == nil {
		wait := beat.Until(announceEvery)
		changed := feed.Changed()
		if st := feed.State(); st.Index() < known {
			wait = announceEvery
		} else if c := difference(st); c != nil {
			wait = 100 * time.Millisecond
			index, err := propose(ctx, c)
			switch {
			case err == nil:
				wait, known = 0, index
				taken = append(slices.DeleteFunc(taken, func(t time.Time) bool { return time.Since(t) > announceBurst*announceEvery }), time.Now())
				if len(taken) <= announceBurst {
					said = ""
					break
				}
				complain("what this node says of itself is taken back again and again", errTwin)
				wait, changed = announceEvery, nil
			case ctx.Err() == nil:
				complain("the registry does not take what this node says of itself", err)
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

// errTwin is the likely reason why the registry forgets what it was told.
var errTwin = errors.New("another node with this name is running: rename or stop one of the two")

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
		m.OutOf, m.Leaving, m.Rejoin = known.OutOf, known.Leaving, known.Rejoin
		if known == m {
			return nil
		}
	}
	return &registry.PutMember{Database: d.Name, Member: m}
}

// propose commits c, by this server when it leads and by the leader otherwise.
func (a *Agent) propose(ctx context.Context, c registry.Command) (registry.Index, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if a.replica == nil {
		return a.client.Propose(ctx, c)
	}
	index, err := a.replica.Propose(ctx, c)
	if leader, addr := a.replica.Leader(); errors.Is(err, raft.ErrNotLeader) && leader != "" && leader != a.cfg.Node {
		index, err = a.client.ProposeTo(ctx, addr, c)
	}
	return index, err
}

package promote

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
)

// moves reports whether this acker is to follow the wanted winner while the primary goes on serving. One that is not known
// to hold what it has acknowledged stays where it is.
func (g local) moves() bool {
	own, _ := g.d.Member(g.me)
	return g.d.Handover != nil && slices.Contains(g.d.Handover.Movers, g.me) && own.Leaving.Zero() && g.Record.Follows == g.d.Epoch && g.CaughtUp
}

func (g local) move() Step {
	to, _ := g.d.Member(g.d.Handover.To)
	if g.follows(to, Acknowledges) && g.Connected {
		return wait("following " + string(to.ID) + ", which is to take over")
	}
	return Step{Verb: Move, Source: to, Acks: Acknowledges, Why: fmt.Sprintf("%s is to take over: %s", to.ID, g.d.Handover.Cause)}
}

// move points a replica at the wanted winner, which follows the primary. It holds nothing but what the primary wrote, so
// nothing can diverge; but what it has received may not have reached the wanted winner yet, and MariaDB refuses a replica
// that is ahead.
func (g *Guard) move(ctx context.Context, s Step) error {
	ctx, cancel := g.within(ctx, 5*time.Second)
	defer cancel()
	src, err := g.source(s)
	if err != nil {
		return err
	}
	own := g.refresh(ctx)
	if own.Err == nil && pointedAt(own, s.Source.Address) {
		return connected(own)
	}
	if err := g.server.StopReceiver(ctx); err != nil {
		return fmt.Errorf("stop receiver: %w", err)
	}
	if own = g.refresh(ctx); own.Err != nil {
		return fmt.Errorf("read own position: %w", own.Err)
	}
	theirs, err := g.server.SourcePosition(ctx, src)
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", s.Source.ID, err)
	}
	if lacks := own.Status.Position().Minus(theirs); !lacks.IsEmpty() {
		g.note(func(r *health.Guard) { r.Doing = fmt.Sprintf("%s: %s still lacks %s", Move, s.Source.ID, lacks) })
		return errNotYet
	}
	whole := g.remembers(own)
	g.loud(s)
	if err := g.server.Follow(ctx, src); err != nil {
		return fmt.Errorf("follow %s: %w", s.Source.ID, err)
	}
	o := g.refresh(ctx)
	if whole && o.Err == nil && o.Incarnation == own.Incarnation && o.Status.Executed.Contains(own.Status.Position()) {
		if err := g.goOnRemembering(o); err != nil {
			return err
		}
	}
	return connected(o)
}

func pointedAt(o health.Observation, address string) bool {
	r := o.Status.Replication
	return r != nil && r.Receiver != mysqld.ReceiverStopped && sourceAddress(r) == address && o.Status.SemiSync.ReplicaEnabled
}

func connected(o health.Observation) error {
	if r := o.Status.Replication; o.Err != nil || r == nil || r.Receiver != mysqld.ReceiverRunning {
		return errNotYet
	}
	return nil
}

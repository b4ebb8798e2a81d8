package promote

import (
	"context"
	"fmt"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// target is what a winner must hold before it becomes a source: the base, and on a detour what its source holds besides,
// because whoever holds more than the winner is diverged.
func target(d *registry.Database, flavor mysqld.Flavor) (mysqld.GTIDSet, error) {
	base, err := mysqld.ParseGTIDSet(flavor, d.Base)
	if err != nil || d.CatchUp == nil {
		return base, err
	}
	until, err := mysqld.ParseGTIDSet(flavor, d.CatchUp.Until)
	return base.Union(until), err
}

// catchUp makes a winner that has not received what it needs get it: from the member that Elect names, which is fenced and
// holds it, or else from the former primary, which closed at the base and goes on sending. It does nothing when everything
// has arrived, or is on its way.
func (g *Guard) catchUp(ctx context.Context, d *registry.Database, o health.Observation, needs mysqld.GTIDSet) error {
	id := d.Former
	switch {
	case d.CatchUp != nil:
		id = d.CatchUp.From
	case d.Proof != registry.ProofClosed:
		return nil
	}
	from, ok := d.Member(id)
	if !ok || o.Status.Position().Contains(needs) {
		return nil
	}
	if r := o.Status.Replication; r != nil && r.Receiver != mysqld.ReceiverStopped && sourceAddress(r) == from.Address {
		return nil
	}
	g.phase("catching up from " + string(id))
	src, err := g.source(Step{Source: from, Acks: Silent})
	if err != nil {
		return err
	}
	if err := g.server.Follow(ctx, src); err != nil {
		return fmt.Errorf("catch up from %s: %w", id, err)
	}
	return nil
}

// letCatchUp keeps a replica from following a winner that still lacks something of what it has itself. The winner may be
// getting it from here; and MariaDB refuses a replica that is ahead.
func (g *Guard) letCatchUp(ctx context.Context, d *registry.Database, src mysqld.Source) error {
	if d.CatchUp == nil {
		return nil
	}
	own := g.refresh(ctx)
	if own.Err != nil {
		return fmt.Errorf("read own position: %w", own.Err)
	}
	theirs, err := g.server.SourcePosition(ctx, src)
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", d.Primary, err)
	}
	if lacks := own.Status.Position().Minus(theirs); !lacks.IsEmpty() {
		g.note(func(r *health.Guard) { r.Doing = fmt.Sprintf("%s: %s still lacks %s", Follow, d.Primary, lacks) })
		return errNotYet
	}
	return nil
}

package promote

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/promote/recall"
	"github.com/baton-db/baton/registry"
)

// errNotYet says that a step has to be looked at again soon, without being a problem.
var errNotYet = errors.New("not yet")

// ErrDiverged is why a server is not brought back: it holds transactions that the primary lacks.
var ErrDiverged = errors.New("holds transactions that the primary lacks")

// perform does one step.
func (g *Guard) perform(ctx context.Context, d *registry.Database, s Step) error {
	switch s.Verb {
	case Promise:
		return g.keep(func(r *promise.Record) { r.Promise, r.Revision = d.Epoch, d.Revision })
	case Fence:
		return g.fence(ctx, d)
	case Close:
		return g.closeWrites(ctx, d)
	case Attest:
		return g.attest(ctx, d)
	case Shut:
		return g.shut(ctx)
	case Kill:
		return g.kill(ctx)
	case Lead:
		return g.lead(ctx, d)
	case Follow:
		return g.follow(ctx, d, s)
	case Move:
		return g.move(ctx, s)
	case Rejoin:
		return g.rejoin(ctx, d, s)
	case Measure:
		return g.measure(ctx, d, s)
	case Apply:
		return g.apply(ctx)
	case Open:
		return g.open(ctx, d)
	case Ask:
		return g.ask(ctx, s)
	case Prove:
		return g.prove(ctx, d, s)
	case Suspend:
		return g.suspend(ctx)
	}
	return fmt.Errorf("no such step %q", s.Verb)
}

// fence stops the receiver so that it stays stopped, and only then reads the position.
func (g *Guard) fence(ctx context.Context, d *registry.Database) error {
	ctx, cancel := g.within(ctx, 10*time.Second)
	defer cancel()
	if err := g.server.StopReceiver(ctx); err != nil {
		return fmt.Errorf("stop receiver: %w", err)
	}
	if err := g.server.FenceReceiver(ctx, strconv.FormatUint(uint64(d.Epoch), 10)); err != nil {
		return fmt.Errorf("make the stop durable: %w", err)
	}
	o := g.refresh(ctx)
	if o.Err != nil {
		return fmt.Errorf("read position: %w", o.Err)
	}
	if r := o.Status.Replication; r != nil && r.Receiver != mysqld.ReceiverStopped {
		return fmt.Errorf("the receiver is %s after it was stopped", r.Receiver)
	}
	g.mu.Lock()
	g.done.fencedBy = o.Incarnation
	g.mu.Unlock()
	g.note(func(r *health.Guard) { r.Fenced, r.FencedPosition = d.Epoch, o.Status.Position().String() })
	return nil
}

// closeWrites hands over: writes are refused first, so that what commits still gets its answer, then clients are cut,
// so that they look the name up again.
func (g *Guard) closeWrites(ctx context.Context, d *registry.Database) error {
	limit := time.Duration(d.Policy.SwitchoverSeconds) * time.Second
	ctx, cancel := g.within(ctx, limit)
	defer cancel()
	if err := g.attest(ctx, d); err != nil {
		return err
	}
	if err := g.server.CutClients(ctx); err != nil {
		g.log.Warn("cut clients", "err", err)
	}
	return nil
}

// attest proves that a server is closed, and reads its position. That it reads as closed proves nothing: the variable is
// set while the statement still waits.
func (g *Guard) attest(ctx context.Context, d *registry.Database) error {
	if err := g.server.CloseWrites(ctx); err != nil {
		return fmt.Errorf("refuse writes: %w", err)
	}
	o := g.refresh(ctx)
	if o.Err != nil {
		return fmt.Errorf("read position: %w", o.Err)
	}
	if !o.Status.ReadOnly {
		return fmt.Errorf("still takes writes")
	}
	if g.reignedHere(d, o) {
		if err := g.keep(func(r *promise.Record) { r.Whole = recall.Memory(o) }); err != nil {
			return err
		}
	}
	g.mu.Lock()
	g.done.closedBy = o.Incarnation
	g.mu.Unlock()
	g.lives("")
	g.note(func(r *health.Guard) { r.Closed, r.ClosedPosition = d.Epoch, o.Status.Position().String() })
	return nil
}

// reignedHere reports whether the former primary, restarted, still has the disk on which it reigned. Then it has everything
// that it acknowledged, because its binary log was synced before any replica heard of it. A server that was copied or
// emptied meanwhile lacks what the last reign began with, its own transactions up to the marker, or what was seen of it.
func (g *Guard) reignedHere(d *registry.Database, o health.Observation) bool {
	g.mu.Lock()
	own, seen := g.done.record.Holds, g.done.seen
	g.mu.Unlock()
	base, errBase := mysqld.ParseGTIDSet(o.Status.Flavor, d.Reign.Base)
	holds, errHolds := mysqld.ParseGTIDSet(o.Status.Flavor, own)
	return errBase == nil && errHolds == nil && !holds.IsEmpty() && o.Status.Executed.Contains(base.Union(holds).Union(seen))
}

func (g *Guard) shut(ctx context.Context) error {
	ctx, cancel := g.within(ctx, 2*time.Second)
	defer cancel()
	g.log.Warn("the server takes writes although it may not: closing it")
	if err := g.server.CloseWrites(ctx); err != nil {
		return fmt.Errorf("refuse writes: %w", err)
	}
	g.refresh(ctx)
	return nil
}

// kill ends the server: no thread of it returns to user code, so no waiting commit can be answered with OK.
func (g *Guard) kill(ctx context.Context) error {
	if err := g.observer.Kill(); err != nil {
		return fmt.Errorf("kill server: %w", err)
	}
	g.refresh(ctx)
	return errNotYet // until the process is seen to be gone
}

// lead reaches the base, becomes a source and has the marker acknowledged, all of it closed to applications.
func (g *Guard) lead(ctx context.Context, d *registry.Database) error {
	o := g.refresh(ctx) // a step that was cancelled may have left the receiver stopped since the last look
	if o.Err != nil {
		return fmt.Errorf("see where it stands: %w", o.Err)
	}
	if g.keepsReigning(d, o) {
		// Nobody was stopped, so nothing has to be proved again: the same process goes on with the same ackers.
		return g.keep(func(r *promise.Record) { r.Marked, r.Led, r.LedBy = d.Epoch, d.Epoch, o.Incarnation })
	}
	changed, err := g.becomeSource(ctx, d, o)
	if err != nil {
		return err
	}
	ready := changed || sourceFor(d, o)
	if changed && o.Status.SemiSync.ConnectedAckers < d.NextK {
		if o = g.refresh(ctx); o.Err != nil {
			return fmt.Errorf("see who is connected: %w", o.Err)
		}
		ready = sourceFor(d, o)
	}
	// A marker that waits can only be got rid of with its process, and one that nobody else has makes this server
	// diverge: it is written when there is somebody to acknowledge it, and never forgotten.
	if !ready || o.Status.SemiSync.ConnectedAckers < d.NextK {
		g.phase(fmt.Sprintf("%d of %d ackers are connected", o.Status.SemiSync.ConnectedAckers, d.NextK))
		return errNotYet
	}
	if err := g.keep(func(r *promise.Record) { r.Led, r.LedBy = d.Epoch, o.Incarnation }); err != nil {
		return err
	}
	g.phase("waiting for acknowledgement of the marker")
	if err := g.mark(ctx, d); err != nil {
		return fmt.Errorf("write the marker: %w", err)
	}
	after := g.refresh(ctx)
	if after.Err != nil {
		return fmt.Errorf("see the marker: %w", after.Err)
	}
	if after.Incarnation != o.Incarnation || !sourceFor(d, after) {
		return errNotYet // another process has written it, and may have asked nobody
	}
	return g.marked(d, after)
}

// baseWait is how long a winner waits for its applier before it looks at everything again.
const baseWait = 2 * time.Second

// keepsReigning reports whether a hand-over is undone that never closed this server.
func (g *Guard) keepsReigning(d *registry.Database, o health.Observation) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return d.Proof == registry.ProofKept && g.done.record.MarkedBy == o.Incarnation && !o.Status.ReadOnly
}

// becomeSource reports whether anything had to be done, so that what was seen before holds no more.
func (g *Guard) becomeSource(ctx context.Context, d *registry.Database, o health.Observation) (bool, error) {
	base, err := target(d, o.Status.Flavor)
	if err != nil {
		return false, fmt.Errorf("base of epoch %d: %w", d.Epoch, err)
	}
	if o.Status.Executed.Contains(base) && o.Status.Replication == nil && sourceFor(d, o) {
		return false, nil
	}
	if !o.Status.Executed.Contains(base) {
		if err := g.catchUp(ctx, d, o, base); err != nil {
			return false, err
		}
		g.phase("waiting until the base is applied")
		waitCtx, cancel := g.within(ctx, baseWait)
		defer cancel()
		if err := g.server.WaitApplied(waitCtx, base); err != nil {
			if waitCtx.Err() != nil && ctx.Err() == nil {
				return false, errNotYet // look again: what it waits for may have stopped coming
			}
			return false, fmt.Errorf("reach the base: %w", err)
		}
	}
	g.phase("becoming a source")
	if err := g.server.BecomeSource(ctx, d.NextK); err != nil { // in a hand-over it stops the receiver: nobody was fenced
		return false, fmt.Errorf("become a source: %w", err)
	}
	return true, nil
}

// sourceFor reports whether the server waits for as many acknowledgements as the epoch asks for.
func sourceFor(d *registry.Database, o health.Observation) bool {
	if d.NextK == 0 {
		return !o.Status.SemiSync.SourceEnabled
	}
	return o.Status.SemiSync.SourceEnabled && o.Status.SemiSync.K == d.NextK && o.Status.SemiSync.Weak() == ""
}

// marked reports the marker before it is written down: forgetting it costs a needless epoch, never a write.
func (g *Guard) marked(d *registry.Database, o health.Observation) error {
	g.mu.Lock()
	g.done.record.Marked, g.done.record.MarkedBy = d.Epoch, o.Incarnation
	g.mu.Unlock()
	g.note(func(r *health.Guard) { r.Marked = d.Epoch })
	g.cfg.Notify()
	me, _ := d.Member(g.cfg.Instance)
	holds := o.Status.Executed.Only(me.SourceKey()).String()
	if len(holds) > maxHolds { // then a restart leaves the proof to the ackers
		holds = ""
	}
	return g.keep(func(r *promise.Record) {
		r.Marked, r.MarkedBy, r.Whole, r.Holds = d.Epoch, o.Incarnation, recall.Memory(o), holds
	})
}

// maxHolds is how much of a Record.Holds fits into a slot of the promise file with everything else.
const maxHolds = 2048

// phase names what a long step is doing.
func (g *Guard) phase(what string) {
	g.note(func(r *health.Guard) { r.Doing = string(Lead) + ": " + what })
}

// follow points the server at the winner. Elect has proved that it holds nothing beyond the base.
func (g *Guard) follow(ctx context.Context, d *registry.Database, s Step) error {
	ctx, cancel := g.within(ctx, 30*time.Second)
	defer cancel()
	src, err := g.source(s)
	if err != nil {
		return err
	}
	if lost, err := lostOwn(d, g.cfg.Instance, g.observer.Latest().Status); err != nil || !lost.IsEmpty() {
		return errors.Join(err, g.lostOwn(lost))
	}
	if err := g.letCatchUp(ctx, d, src); err != nil {
		return err
	}
	process, err := g.beginMemory(d)
	if err != nil {
		return err
	}
	g.loud(s)
	if err := g.server.Follow(ctx, src); err != nil {
		return fmt.Errorf("follow %s: %w", s.Source.ID, err)
	}
	o := g.refresh(ctx)
	if o.Err != nil {
		return fmt.Errorf("see that it follows %s: %w", s.Source.ID, o.Err)
	}
	whole := process != "" && process == o.Incarnation
	g.mu.Lock()
	g.done.follows, g.done.target, g.done.since = o.Incarnation, mysqld.GTIDSet{}, recall.Memory(o)
	g.mu.Unlock()
	err = g.keep(func(r *promise.Record) {
		if whole {
			r.Whole = recall.Memory(o)
		}
		r.ReignOver(o.Incarnation, d.Epoch)
	})
	g.note(func(r *health.Guard) { r.CaughtUp, r.Diverged, r.DivergedIn = whole, "", 0 })
	return err
}

// rejoin follows the reigning primary after proving that this server has nothing that the primary lacks: MySQL would
// take it back silently and leave it different for ever.
func (g *Guard) rejoin(ctx context.Context, d *registry.Database, s Step) error {
	ctx, cancel := g.within(ctx, 30*time.Second)
	defer cancel()
	src, err := g.source(s)
	if err != nil {
		return err
	}
	// What is compared must not grow: it may still hear another source.
	if err := g.server.StopReceiver(ctx); err != nil {
		return fmt.Errorf("stop receiver: %w", err)
	}
	own := g.refresh(ctx) // own set first, the primary's after: a replica may be ahead of what was read before
	if own.Err != nil {
		return fmt.Errorf("read own position: %w", own.Err)
	}
	theirs, err := g.server.SourcePosition(ctx, src)
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", s.Source.ID, err)
	}
	if err := g.checkDiverged(d, own, theirs); err != nil {
		return err
	}
	g.note(func(r *health.Guard) { r.Diverged, r.DivergedIn = "", 0 })
	g.loud(s)
	if err := g.server.Follow(ctx, src); err != nil {
		return fmt.Errorf("follow %s: %w", s.Source.ID, err)
	}
	g.silence(s, own.Incarnation)
	o := g.refresh(ctx)
	// Read after the connection was made, and after it was seen how: what was acknowledged before must still arrive.
	target, err := g.server.SourcePosition(ctx, src)
	if err != nil {
		return fmt.Errorf("read the position of %s: %w", s.Source.ID, err)
	}
	g.mu.Lock()
	known := g.done.report.CaughtUp && g.done.follows == o.Incarnation && g.done.record.Follows == d.Epoch && recall.Lasts(g.done.since, o)
	g.done.follows, g.done.target, g.done.since = o.Incarnation, target, recall.Memory(o)
	g.mu.Unlock()
	if !known {
		g.note(func(r *health.Guard) { r.CaughtUp = false })
	}
	return g.keep(func(r *promise.Record) {
		r.Follows = d.Epoch
		r.ReignOver(o.Incarnation, d.Epoch)
	})
}

// checkDiverged returns ErrDiverged when own has what theirs, the position of the primary of d, read later, lacks. Received
// counts: it would be applied. What the primary originated itself may still wait there for an acknowledgement.
func (g *Guard) checkDiverged(d *registry.Database, own health.Observation, theirs mysqld.GTIDSet) error {
	source, _ := d.Member(d.Primary)
	extra := own.Status.Position().Minus(theirs).Without(source.SourceKey())
	if own.Err != nil || extra.IsEmpty() {
		return nil
	}
	g.note(func(r *health.Guard) { r.Diverged, r.DivergedIn = extra.String(), d.Epoch })
	return fmt.Errorf("%s %w: %s has not %s. It is kept out. Way out: save what they changed, then give this server a fresh copy of %s",
		g.cfg.Instance, ErrDiverged, source.ID, extra, source.ID)
}

// measure sees whether the target has arrived.
func (g *Guard) measure(ctx context.Context, d *registry.Database, s Step) error {
	o := g.refresh(ctx)
	g.mu.Lock()
	g.watchMemory(o)
	target := g.done.target
	g.mu.Unlock()
	if target.IsEmpty() {
		// This agent was started after the server began to follow: ask again.
		src, err := g.source(s)
		if err != nil {
			return err
		}
		if target, err = g.server.SourcePosition(ctx, src); err != nil {
			return fmt.Errorf("read the position of %s: %w", s.Source.ID, err)
		}
		if err := g.measurable(d, o, target); err != nil {
			return err
		}
		g.mu.Lock()
		g.done.target, g.done.follows, g.done.since = target, o.Incarnation, recall.Memory(o)
		g.mu.Unlock()
	}
	if o.Err != nil {
		return errNotYet
	}
	if lacks := target.Minus(o.Status.Position()); !lacks.IsEmpty() {
		g.note(func(r *health.Guard) { r.Doing = fmt.Sprintf("%s: still lacks %s", Measure, lacks) })
		return errNotYet
	}
	if err := g.keep(func(r *promise.Record) { r.Whole = recall.Memory(o) }); err != nil {
		return err
	}
	g.note(func(r *health.Guard) { r.CaughtUp = true })
	return nil
}

func (g *Guard) open(ctx context.Context, d *registry.Database) error {
	ctx, cancel := g.within(ctx, 5*time.Second)
	defer cancel()
	if err := g.openAs(ctx, d); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	g.refresh(ctx)
	g.note(func(r *health.Guard) { r.Open = d.Epoch })
	return nil
}

// source is the replication account pointed at a member.
func (g *Guard) source(s Step) (mysqld.Source, error) {
	ap, err := netip.ParseAddrPort(s.Source.Address)
	if err != nil {
		return mysqld.Source{}, fmt.Errorf("address of %s: %w", s.Source.ID, err)
	}
	src := g.cfg.Replication
	src.Host, src.Port, src.SemiSync = ap.Addr().String(), ap.Port(), bool(s.Acks)
	return src, nil
}

func sourceAddress(r *mysqld.Replication) string {
	ip, err := netip.ParseAddr(r.SourceHost)
	if err != nil || ip.Is4() { // somebody has set a name, or it needs no brackets
		return r.SourceHost + ":" + strconv.Itoa(int(r.SourcePort))
	}
	return netip.AddrPortFrom(ip, r.SourcePort).String()
}

package promote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/promote/lease"
	"github.com/baton-db/baton/registry"
)

// tenure is the lease of a guard, and what it bounds. Guard.mu guards it.
type tenure struct {
	asked  time.Duration // by the clock of package lease, when the answer was asked for that gave it; -1: none
	epoch  registry.Epoch
	by     string             // the server process that goes on by the lease, and may have been opened by it
	cancel context.CancelFunc // of the step under way; nil: none
	wake   chan struct{}      // of one: the main loop is to look again
	begun  chan struct{}      // of one: a process goes on by the lease
}

// granted takes an answer of the registry, read through the leader's log, that was asked for at asked. It counts from the
// question: the answer may have been long on its way, and the reign have been ended meanwhile.
func (g *Guard) granted(asked time.Duration, d *registry.Database) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !needsLease(d, g.cfg.Instance) || d.Epoch < g.tenure.epoch || d.Epoch == g.tenure.epoch && asked <= g.tenure.asked {
		return
	}
	g.tenure.asked, g.tenure.epoch = asked, d.Epoch
}

// leaseOf is the epoch for which a lease holds now, 0: none. g.mu is held.
func (g *Guard) leaseOf() registry.Epoch {
	if now, err := g.now(); err == nil && g.tenure.epoch > 0 && lease.Left(g.tenure.asked, now) > 0 {
		return g.tenure.epoch
	}
	return 0
}

// released forgets the lease where d is lossless again: the ackers exclude this primary, whose commits wait for them until it
// is given another one. Kept, it would be a lease that is over by the time at which the primary is left alone again, and a
// server whose commits wait can be closed only by killing it.
func (g *Guard) released(d *registry.Database) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d.Epoch == g.tenure.epoch && d.IsLossless() {
		g.tenure.asked, g.tenure.epoch, g.tenure.by = -1, 0, ""
	}
}

// renew asks for the lease, again and again, while the database stands on it.
func (g *Guard) renew(ctx context.Context) {
	for ctx.Err() == nil {
		changed := g.feed.Changed()
		d, ok := g.feed.State().Database(g.cfg.Database)
		pause := time.NewTimer(lease.Renew)
		needs := ok && needsLease(d, g.cfg.Instance) && g.cfg.Current != nil
		if needs {
			g.askOnce(ctx)
			changed = nil // whatever happens, it is asked again soon enough
		}
		var again <-chan time.Time
		if needs {
			again = pause.C
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-again:
		}
		pause.Stop()
	}
}

func (g *Guard) askOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lease.Term/2)
	defer cancel()
	asked, err := g.now()
	if err == nil {
		var d *registry.Database
		if d, err = g.cfg.Current(ctx); err == nil {
			g.granted(asked, d)
			g.look()
		}
	}
	if err != nil && ctx.Err() == nil {
		g.log.Debug("ask for a lease", "err", err)
	}
}

// look makes the main loop look again at once.
func (g *Guard) look() {
	select {
	case g.tenure.wake <- struct{}{}:
	default:
	}
}

// watchEvery is how often the end of a lease is looked for.
const watchEvery = 50 * time.Millisecond

// watchLease sees that the server is closed when its lease is over, whatever the main loop is doing: it cancels the step
// under way, and kills the server that is not closed soon after.
func (g *Guard) watchLease(ctx context.Context) {
	for {
		g.mu.Lock()
		bound := g.tenure.by != ""
		g.mu.Unlock()
		var again <-chan time.Time // a lossless reign is not looked at: it would wake the node for nothing
		if bound {
			again = time.After(watchEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-g.tenure.begun:
		case <-again:
		}
		d, ok := g.feed.State().Database(g.cfg.Database)
		now, err := g.now()
		o := g.observer.Latest()
		if ok {
			g.released(d)
		}
		g.mu.Lock()
		t := g.tenure
		g.mu.Unlock()
		if t.by == "" || t.by != o.Incarnation || err == nil && lease.Left(t.asked, now) > 0 {
			continue
		}
		if t.cancel != nil {
			t.cancel()
		}
		g.look()
		if (err != nil || now-t.asked-lease.Term >= lease.Slack) && !o.Process.Gone() {
			g.log.Warn("the lease is over and the server is not closed: killing it", "epoch", t.epoch, "err", err)
			if err := g.observer.Kill(); err != nil {
				g.log.Error("kill the server whose lease is over", "err", err)
			}
		}
	}
}

// suspendWithin is how long a suspended server may take to refuse writes before it is killed.
const suspendWithin = 150 * time.Millisecond

// suspend refuses writes for as long as there is no lease. A statement that hangs is not waited for: the server is killed.
func (g *Guard) suspend(ctx context.Context) error {
	closing, cancel := g.within(ctx, suspendWithin)
	defer cancel()
	err := g.server.CloseWrites(closing)
	if err != nil {
		g.log.Warn("the lease is over and the server does not close: killing it", "err", err)
		return g.kill(ctx)
	}
	o := g.refresh(ctx)
	if o.Err != nil || !o.Status.ReadOnly {
		return fmt.Errorf("see that it is closed: it takes writes, or does not answer: %w", errNotYet)
	}
	g.lives("")
	g.note(func(r *health.Guard) { r.Open = 0 })
	return nil
}

// stateless is what a guard does that sees no registry at all: a server that waits for nobody is closed, because nothing says
// that it still reigns. It returns how long to rest.
func (g *Guard) stateless(ctx context.Context) time.Duration {
	if g.local().unled() {
		g.log.Warn("the server takes writes that nobody acknowledges, and the registry is not seen: closing it")
		if err := g.suspend(ctx); err != nil {
			g.log.Warn("close the server", "err", err)
			return watchEvery
		}
	}
	return time.Second
}

// guarded lets a step run for no longer than the lease: watchLease cancels it.
func (g *Guard) guarded(ctx context.Context, s Step) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if s.Verb == Suspend || s.Verb == Kill {
		return ctx, cancel
	}
	g.mu.Lock()
	g.tenure.cancel = cancel
	g.mu.Unlock()
	return ctx, func() {
		g.mu.Lock()
		g.tenure.cancel = nil
		g.mu.Unlock()
		cancel()
	}
}

// beside runs what a lease needs beside the main loop, until ctx ends.
func (g *Guard) beside(ctx context.Context) *sync.WaitGroup {
	var all sync.WaitGroup
	all.Go(func() { g.renew(ctx) })
	all.Go(func() { g.watchLease(ctx) })
	return &all
}

// openAs lets applications in: on a server whose commits wait for acknowledgements, or by a lease.
func (g *Guard) openAs(ctx context.Context, d *registry.Database) error {
	if d.IsLossless() {
		return g.server.OpenWrites(ctx)
	}
	g.lives(g.observer.Latest().Incarnation)
	return g.server.OpenAlone(ctx)
}

// lives notes, before it is so, which server process goes on by the lease; "": none does, after it was proved.
func (g *Guard) lives(process string) {
	g.mu.Lock()
	g.tenure.by = process
	g.mu.Unlock()
	if process == "" {
		return
	}
	select {
	case g.tenure.begun <- struct{}{}:
	default:
	}
}

// mark writes the marker, and has it acknowledged where somebody is to acknowledge.
func (g *Guard) mark(ctx context.Context, d *registry.Database) error {
	if d.NextK == 0 {
		return g.server.MarkAlone(ctx, uint64(d.Epoch), string(g.cfg.Instance), d.Base)
	}
	return g.server.Mark(ctx, uint64(d.Epoch), string(g.cfg.Instance), d.Base)
}

package promote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/lease"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/promote/recall"
	"github.com/baton-db/baton/registry"
)

// Server is what a guard says to its database server. *mysqld.Server is one. Every call has a deadline in ctx and is
// idempotent; see mysqld for the exact contracts.
type Server interface {
	StopReceiver(ctx context.Context) error
	StartApplier(ctx context.Context) error
	FenceReceiver(ctx context.Context, tag string) error
	WaitApplied(ctx context.Context, base mysqld.GTIDSet) error
	BecomeSource(ctx context.Context, k int) error
	RequireAcks(ctx context.Context, k int) error
	Prove(ctx context.Context, k int, instance string, revision uint64) error
	Mark(ctx context.Context, epoch uint64, instance, base string) error
	MarkAlone(ctx context.Context, epoch uint64, instance, base string) error
	OpenWrites(ctx context.Context) error
	OpenAlone(ctx context.Context) error
	CloseWrites(ctx context.Context) error
	CutClients(ctx context.Context) error
	Follow(ctx context.Context, src mysqld.Source) error
	SourcePosition(ctx context.Context, src mysqld.Source) (mysqld.GTIDSet, error)
}

// Observer watches the same server. *health.Checker is one.
type Observer interface {
	// Latest is the newest observation, without asking the server.
	Latest() health.Observation
	// Refresh asks the server now.
	Refresh(ctx context.Context) health.Observation
	// Changed is closed at the next notable change; take it before Latest.
	Changed() <-chan struct{}
	// Kill ends the observed process, and only that one.
	Kill() error
}

// Feed is where decisions come from: a server's replica or a client's follower.
type Feed interface {
	State() *registry.State
	Changed() <-chan struct{}
}

// GuardConfig is what a guard is for.
type GuardConfig struct {
	Database registry.DatabaseName
	Instance registry.InstanceID
	// Dir is where the promise file is kept; it must survive a restart of the machine.
	Dir string
	// Replication is the account with which this server follows others; Host, Port and SemiSync are filled in.
	Replication mysqld.Source
	// Returning says why nothing may be done to the server just now, because it is being brought back; "": it is not. It must
	// not block. nil: never.
	Returning func() string
	// Current reads the database through the log of the leader, no older than the moment of the call: a primary that nobody
	// acknowledges reigns by that. nil: it cannot be asked, and such a primary stays closed. It is called from one goroutine.
	Current func(ctx context.Context) (*registry.Database, error)
	// Uptime is the clock by which a lease is counted. Default: lease.Now.
	Uptime func() (time.Duration, error)
	// Notify is called after every change of what the guard has done; it must not block.
	Notify func()
	Logger *slog.Logger
}

// Guard makes one local server match the registry.
type Guard struct {
	cfg      GuardConfig
	server   Server
	observer Observer
	feed     Feed
	file     Promises
	log      *slog.Logger
	last     Step      // that Run looked at
	measured time.Time // since when Run has measured; zero: it does not
	driven   bool      // no clock bounds its calls: see Driven
	now      func() (time.Duration, error)

	mu     sync.Mutex
	done   done
	tenure tenure
}

// done is what the guard has achieved; the parts that must not be forgotten are in the promise file as well.
type done struct {
	record   promise.Record
	report   health.Guard
	fencedBy string // server process
	closedBy string
	provedBy string
	// silencedBy is the process whose receiver was last started without acknowledging.
	silencedBy string
	follows    string // server process for which report.Follows and report.CaughtUp hold
	target     mysqld.GTIDSet
	since      string         // memory when target was read, and followed from there
	seen       mysqld.GTIDSet // the newest position of a process while it reigned
	settled    bool           // see Settled
}

// NewGuard opens the promise file. promise.ErrLost means that it is damaged: nothing may be acknowledged by this server
// until an operator has looked.
func NewGuard(cfg GuardConfig, server Server, observer Observer, feed Feed) (*Guard, error) {
	path := filepath.Join(cfg.Dir, fmt.Sprintf("promise-%s-%s", cfg.Database, cfg.Instance))
	p, err := promise.Open(path)
	if err != nil {
		return nil, err
	}
	return guardWith(cfg, p, server, observer, feed), nil
}

func guardWith(cfg GuardConfig, p Promises, server Server, observer Observer, feed Feed) *Guard {
	if cfg.Returning == nil {
		cfg.Returning = func() string { return "" }
	}
	if cfg.Notify == nil {
		cfg.Notify = func() {}
	}
	if cfg.Uptime == nil {
		cfg.Uptime = lease.Now
	}
	g := &Guard{cfg: cfg, server: server, observer: observer, feed: feed, file: p, log: cfg.Logger, now: cfg.Uptime}
	g.tenure = tenure{asked: -1, wake: make(chan struct{}, 1), begun: make(chan struct{}, 1)}
	g.done.record = p.Record()
	g.done.report.Promise, g.done.report.Revision = p.Record().Promise, p.Record().Revision
	return g
}

// PromiseFile is the name of the promise file, for registry.Member.PromiseFile.
func (g *Guard) PromiseFile() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done.record.File
}

// LedLast reports whether this server has led since it last followed anybody: what it wrote then may be on nobody else.
func (g *Guard) LedLast() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done.record.Led > g.done.record.Follows
}

// Report is what the guard has done so far, for the report of this node.
func (g *Guard) Report() health.Guard {
	g.mu.Lock()
	defer g.mu.Unlock()
	o, r := g.observer.Latest(), g.done.report
	if g.done.fencedBy != o.Incarnation {
		r.Fenced, r.FencedPosition = 0, ""
	}
	if g.done.closedBy != o.Incarnation {
		r.Closed, r.ClosedPosition = 0, ""
	}
	if g.done.follows != o.Incarnation || !recall.Lasts(g.done.since, o) {
		r.CaughtUp = false
	}
	if g.done.provedBy != o.Incarnation {
		r.Proved = 0
	}
	if r.Silent = 0; g.silenced(o) {
		r.Silent = g.done.record.Revision
	}
	if g.done.record.MarkedBy == o.Incarnation {
		r.Marked = g.done.record.Marked
		if r.Open < r.Marked && o.Good && !o.Status.ReadOnly {
			r.Open = r.Marked // it was opened before this agent was started
		}
	} else {
		r.Marked, r.Open = 0, 0
	}
	if r.Leased = 0; g.tenure.by != "" && g.tenure.by == o.Incarnation {
		r.Leased = g.done.record.Revision
	}
	r.Follows = g.done.record.Follows
	r.Amnesiac = !recall.Lasts(g.done.record.Whole, o)
	return r
}

// Run makes the server match until ctx ends. It never gives up: a problem is reported and tried again.
func (g *Guard) Run(ctx context.Context) error {
	defer func() {
		if err := g.file.Close(); err != nil {
			g.log.Warn("close promise file", "err", err)
		}
	}()
	ctx, stop := context.WithCancel(ctx)
	others := g.beside(ctx)
	defer others.Wait()
	defer stop()
	for ctx.Err() == nil {
		stateChanged, serverChanged := g.feed.Changed(), g.observer.Changed()
		pause := time.Duration(0)
		if d, ok := g.feed.State().Database(g.cfg.Database); ok {
			pause = g.once(ctx, d)
		} else {
			g.settle(true)
			pause = g.stateless(ctx)
		}
		if pause == 0 {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-stateChanged:
		case <-serverChanged:
		case <-g.tenure.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// once does one step and returns how long to rest before the next look, unless something changes; 0: look at once.
func (g *Guard) once(ctx context.Context, d *registry.Database) time.Duration {
	g.released(d)
	l := g.local()
	step := Next(d, g.cfg.Instance, l)
	g.tellStrangers(d, l)
	g.watchMeasure(step.Verb, time.Now())
	g.settle(step.Verb == Wait && d.Phase == registry.Serving)
	if step != g.last { // what is tried again goes on telling how far it got
		g.last = step
		g.note(func(r *health.Guard) { r.Doing = fmt.Sprintf("%s: %s", step.Verb, step.Why) })
	}
	if step.Verb == Wait {
		return beat.Until(500 * time.Millisecond)
	}
	began := time.Now()
	stepCtx, cancel := g.guarded(ctx, step)
	var watch sync.WaitGroup
	watch.Go(func() { g.cancelWhenOver(stepCtx, cancel, d) })
	err := g.perform(stepCtx, d, step)
	cancel()
	watch.Wait()
	switch {
	case errors.Is(err, errNotYet):
		return rest(step.Verb, err)
	case err != nil:
		g.note(func(r *health.Guard) { r.Problem = err.Error() })
		if ctx.Err() == nil {
			g.log.Warn("step failed", "step", step.Verb, "epoch", d.Epoch, "err", err)
		}
		g.refresh(ctx)
		return rest(step.Verb, err)
	}
	g.note(func(r *health.Guard) { r.Problem = "" })
	g.log.Info("step done", "step", step.Verb, "epoch", d.Epoch, "why", step.Why, "ms", time.Since(began).Milliseconds())
	return 0
}

// rest is how long to wait before a step is tried again: what an outage waits for soon, with Lead at once.
func rest(v Verb, err error) time.Duration {
	notYet := errors.Is(err, errNotYet)
	switch {
	case v == Lead && notYet:
		return 2 * time.Millisecond // ackers are about to connect
	case v == Move && notYet:
		return 10 * time.Millisecond // a replica less acknowledges meanwhile
	case notYet:
		return 50 * time.Millisecond
	case v == Rejoin:
		return time.Second
	case v == Measure:
		return 200 * time.Millisecond // nobody waits for it
	}
	return 20 * time.Millisecond
}

// Over reports whether a step that was begun in d must end now (G3). A step for an election is still right once the
// winner serves.
func Over(d, now *registry.Database) bool {
	return now.Epoch != d.Epoch || (now.Phase != d.Phase && now.Phase != registry.Serving)
}

// cancelWhenOver cancels a step as soon as what it was made for is over.
func (g *Guard) cancelWhenOver(ctx context.Context, cancel context.CancelFunc, d *registry.Database) {
	for {
		changed := g.feed.Changed()
		now, ok := g.feed.State().Database(g.cfg.Database)
		if ok && Over(d, now) {
			cancel()
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// local puts together what Next needs to know.
func (g *Guard) local() Local {
	o, returning := g.observer.Latest(), g.cfg.Returning()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watchMemory(o)
	l := Local{Returning: returning, Record: g.done.record, Process: o.Process, Incarnation: o.Incarnation,
		Answers: o.Good && !health.Lost(o.Unreachable), ReadOnly: o.Status.ReadOnly, SemiSync: SemiSync(o.Status.SemiSync.ReplicaEnabled)}
	if r := o.Status.Replication; r != nil {
		l.Source = sourceAddress(r)
		l.Receiving, l.Connected = r.Receiver != mysqld.ReceiverStopped, r.Receiver == mysqld.ReceiverRunning
		l.Idle = r.ApplierIdle()
	}
	if g.done.fencedBy == o.Incarnation {
		l.Fenced = g.done.report.Fenced
	}
	if g.done.closedBy == o.Incarnation {
		l.Closed = g.done.report.Closed
	}
	if g.done.record.MarkedBy == o.Incarnation && o.Good {
		g.done.seen = o.Status.Executed
	}
	l.AsksFor = 0
	if o.Status.SemiSync.SourceEnabled {
		l.AsksFor = o.Status.SemiSync.K
		l.Weak, l.Acking, l.Followers = o.Status.SemiSync.Weak(), o.Status.SemiSync.ConnectedAckers, o.Status.SemiSync.Followers
	}
	if g.done.provedBy == o.Incarnation {
		l.Proved = g.done.report.Proved
	}
	l.Silenced = g.silenced(o)
	l.Lease, l.Leased = g.leaseOf(), g.tenure.epoch
	l.CaughtUp = g.done.report.CaughtUp && g.done.follows == o.Incarnation
	return l
}

// silenced reports whether the server follows without acknowledging, and was made to by this guard. g.mu is held.
func (g *Guard) silenced(o health.Observation) bool {
	return o.Incarnation != "" && g.done.silencedBy == o.Incarnation && !o.Status.SemiSync.ReplicaEnabled
}

// Settled reports whether the database is served and the guard has nothing to do for it: whatever changes that is told to
// Notify or seen in the state.
func (g *Guard) Settled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done.settled
}

// settle tells whoever sends reports when there is something to do, so that the next ones come closely.
func (g *Guard) settle(now bool) {
	g.mu.Lock()
	before := g.done.settled
	g.done.settled = now
	g.mu.Unlock()
	if before && !now {
		g.cfg.Notify()
	}
}

// note changes what is reported and tells whoever sends reports.
func (g *Guard) note(change func(*health.Guard)) {
	g.mu.Lock()
	before := g.done.report
	change(&g.done.report)
	changed := before != g.done.report
	g.mu.Unlock()
	if changed {
		g.cfg.Notify()
	}
}

// keep makes a change of the record durable, then reports it.
func (g *Guard) keep(change func(*promise.Record)) error {
	g.mu.Lock()
	r := g.done.record
	g.mu.Unlock()
	change(&r)
	if r != g.file.Record() { // what is on disk already need not be written and waited for again
		if err := g.file.Save(r); err != nil {
			return err
		}
	}
	g.mu.Lock()
	g.done.record = r
	g.done.report.Promise, g.done.report.Revision = r.Promise, r.Revision
	g.mu.Unlock()
	g.cfg.Notify()
	return nil
}

func (g *Guard) refresh(ctx context.Context) health.Observation {
	ctx, cancel := g.within(ctx, time.Second)
	defer cancel()
	return g.observer.Refresh(ctx)
}

// within bounds a call.
func (g *Guard) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if g.driven {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

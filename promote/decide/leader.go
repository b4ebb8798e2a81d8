package decide

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/registry"
)

// Proposer commits decisions. It is called by one goroutine, may block for a round trip to a majority, and returns an
// error when this server does not lead any more.
type Proposer interface {
	Propose(ctx context.Context, c registry.Command) (registry.Index, error)
}

// Feed is where decisions are seen once they are committed.
type Feed interface {
	State() *registry.State
	Changed() <-chan struct{}
}

// Leader runs Decide for every database while this server leads.
type Leader struct {
	Feed     Feed
	Board    *health.Board
	Proposer Proposer
	// Probe asks the server at addr (ip:port) directly whether it lives; ctx has a deadline.
	Probe  func(ctx context.Context, addr string) health.Probe
	Rules  Rules
	Logger *slog.Logger
}

// How often the leader looks although nothing was reported, because thresholds pass without an event: seldom while every
// database is served and every member heard of lately, closely otherwise.
const (
	tick        = 250 * time.Millisecond
	tickClosely = 50 * time.Millisecond
)

// Run holds the leader's role until ctx ends: being leader is being inside Run. It remembers nothing but how long it
// has seen what it sees.
func (l *Leader) Run(ctx context.Context) error {
	w := &watch{Leader: l, began: time.Now(), phases: map[registry.DatabaseName]*phase{}}
	defer w.probes.Wait()
	next := time.NewTimer(tick)
	defer next.Stop()
	for {
		stateChanged, boardChanged := l.Feed.Changed(), l.Board.Changed()
		every := beat.Until(tick)
		for _, d := range l.Feed.State().Databases() {
			if calm := w.look(ctx, d); !calm {
				every = tickClosely
			}
		}
		next.Reset(every)
		select {
		case <-ctx.Done():
			return nil
		case <-stateChanged:
		case <-boardChanged:
		case <-next.C:
		}
	}
}

// watch is one term of a leader.
type watch struct {
	*Leader
	began  time.Time
	phases map[registry.DatabaseName]*phase
	probes sync.WaitGroup
}

// phase is how long the leader has seen a database where it is.
type phase struct {
	epoch   registry.Epoch
	name    registry.Phase
	handing bool // a hand-over is being prepared
	since   time.Time
	lack    string // code of what is waited for
	lacking time.Time
	probed  time.Time
}

// look decides one database, commits the decision, and says whether nothing here can change without a report for a while.
func (w *watch) look(ctx context.Context, d *registry.Database) (calm bool) {
	now := time.Now()
	p := w.phases[d.Name]
	if p == nil || p.epoch != d.Epoch || p.name != d.Phase || p.handing != (d.Handover != nil) {
		p = &phase{epoch: d.Epoch, name: d.Phase, handing: d.Handover != nil, since: now}
		w.phases[d.Name] = p
	}
	view := w.Board.View(d.Name)
	w.probe(ctx, d, view, p)
	clock := Clock{Watching: now.Sub(w.began), InPhase: now.Sub(p.since), NowMillis: now.UnixMilli()}
	decision := Decide(d, view, w.Rules, clock)
	command := decision.Command
	if command == nil {
		command = p.refusal(d, decision.Waiting, now)
	}
	if command == nil {
		return d.Phase == registry.Serving && d.Handover == nil && decision.Waiting.Zero() && lately(d, view, w.Rules)
	}
	proposeCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := w.Proposer.Propose(proposeCtx, command)
	switch {
	case err == nil:
		w.Logger.Info("decided", "database", d.Name, "command", Describe(command), "ms", time.Since(now).Milliseconds())
	case errors.Is(err, registry.ErrStale):
		w.Logger.Debug("decision was stale", "database", d.Name, "err", err)
	case ctx.Err() == nil:
		w.Logger.Warn("decision not committed", "database", d.Name, "command", Describe(command), "err", err)
	}
	return false
}

// lately reports whether every member was heard of so lately, and is so well, that no threshold passes before it is looked at
// again. Members report every 500 ms, and every 100 ms when something is wrong.
func lately(d *registry.Database, v health.View, r Rules) bool {
	for _, m := range d.Members {
		h, ok := v[m.ID]
		if !ok || h.Age+tick > r.Fresh || h.UnreachableMillis > 0 || h.Canary.BlockedMillis > 0 {
			return false
		}
	}
	return true
}

// refusal records a lack that has lasted, and takes it back when it is over (G10).
func (p *phase) refusal(d *registry.Database, lack registry.Cause, now time.Time) registry.Command {
	if lack.Code != p.lack {
		p.lack, p.lacking = lack.Code, now
	}
	if lack.Code == d.Refusal.Code || now.Sub(p.lacking) < 500*time.Millisecond {
		return nil
	}
	return &registry.Refuse{Database: d.Name, Epoch: d.Epoch, Cause: lack, AtMillis: now.UnixMilli()}
}

// probe asks a primary directly whose agent has fallen silent. The result comes back through the board.
func (w *watch) probe(ctx context.Context, d *registry.Database, v health.View, p *phase) {
	h, ok := v[d.Primary]
	m, member := d.Member(d.Primary)
	if d.Phase != registry.Serving || !member || (ok && h.Age < w.Rules.Silence/4) || time.Since(p.probed) < 100*time.Millisecond {
		return
	}
	p.probed = time.Now()
	w.probes.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		w.Board.Probed(d.Name, m.ID, w.Probe(ctx, m.Address))
	})
}

// Describe says in a few words what a decision is, for logs.
func Describe(c registry.Command) string {
	switch c := c.(type) {
	case *registry.Revoke:
		return "revoke: " + c.Cause.String()
	case *registry.Escalate:
		return "escalate: " + c.Cause.String()
	case *registry.Elect:
		return "elect " + string(c.Winner) + ": " + c.Cause.String()
	case *registry.Establish:
		return "establish: " + c.Cause.String()
	case *registry.Forfeit:
		return "forfeit for " + string(c.Winner) + ": " + c.Cause.String()
	case *registry.Degrade:
		return "wait for nobody: " + c.Cause.String()
	case *registry.Rearm:
		return "wait for acknowledgements again: " + c.Cause.String()
	case *registry.AcceptLoss:
		return "accept a loss: " + c.Cause.String()
	case *registry.AddAcker:
		return "add acker " + string(c.Instance)
	case *registry.Prepare:
		return "prepare: " + c.Cause.String()
	case *registry.ChangeAckers:
		return "change ackers: " + c.Cause.String()
	case *registry.AdvanceChange:
		return "advance the change: " + c.Cause.String()
	case *registry.RemoveMember:
		return "remove " + string(c.Instance)
	case *registry.SetRotation:
		if c.OutOf.Zero() {
			return "put " + string(c.Instance) + " into rotation"
		}
		return "take " + string(c.Instance) + " out of rotation: " + c.OutOf.String()
	case *registry.Refuse:
		if c.Cause.Zero() {
			return "nothing is refused any more"
		}
		return "refuse: " + c.Cause.String()
	}
	return "change the catalog"
}

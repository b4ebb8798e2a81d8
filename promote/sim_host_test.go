package promote

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// host is a database host: a server, an observer and an agent with a guard.
type host struct {
	sim    *sim
	id     registry.InstanceID
	server *mysqldtest.Server
	eyes   *mysqldtest.Observer
	guard  *Guard // nil: the agent is down
	dir    string
	boot   int
	seq    uint64
	view   int // index of the state that this agent has seen
	deaf   bool
	doing  *doing
	kept   registry.Epoch // highest promise ever made
	disk   registry.Epoch // highest promise in the present file
	forgot bool           // the promise file was lost in this schedule
}

// doing is a step under way: it stands before one of its calls.
type doing struct {
	step   Step
	state  *registry.Database
	resume func() (string, bool)
	stop   func()
	cancel context.CancelFunc
	yield  func(string) bool
	at     string
	err    error
}

// begin starts an agent: only its promise file is left of the one before.
func (h *host) begin() {
	h.boot++
	h.seq, h.deaf = 0, false
	h.eyes = mysqldtest.NewObserver(h.server, func() time.Time { return h.sim.now })
	g, err := NewGuard(GuardConfig{Database: simDatabase, Instance: h.id, Dir: h.dir, Logger: slog.New(slog.DiscardHandler)}, gate{h}, h, h)
	if err != nil {
		panic(err)
	}
	h.guard = g
	h.view = h.sim.rng.IntN(len(h.sim.states)) // from whichever server answers first
	h.checkPromise()
}

// end kills the agent in the middle of whatever it does.
func (h *host) end() {
	if h.doing != nil {
		h.doing.stop()
		h.doing = nil
	}
	if err := h.guard.promise.close(); err != nil {
		panic(err)
	}
	h.guard = nil
}

// forget loses the promise file of an agent that does not run.
func (h *host) forget() {
	if err := os.RemoveAll(h.dir); err != nil {
		panic(err)
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		panic(err)
	}
	h.disk, h.forgot = 0, true
}

func (h *host) checkPromise() {
	p := h.guard.promise.now.Promise
	if p < h.disk {
		h.sim.fail("G3: promise of %s went from %d to %d", h.id, h.disk, p)
	}
	h.disk, h.kept = p, max(h.kept, p)
}

// State and Changed make the host its guard's feed.
func (h *host) State() *registry.State   { return h.sim.states[h.view] }
func (h *host) Changed() <-chan struct{} { return nil }

// Latest, Refresh and Kill make it its observer; what reaches the server passes the gate.
func (h *host) Latest() health.Observation { return h.eyes.Latest() }
func (h *host) Refresh(ctx context.Context) health.Observation {
	if err := h.pass(ctx, "look"); err != nil {
		o := h.eyes.Latest()
		o.Err = err
		return o
	}
	return h.eyes.Refresh(context.WithoutCancel(ctx))
}
func (h *host) Kill() error {
	if err := h.pass(context.Background(), "kill"); err != nil {
		return err
	}
	return h.eyes.Kill()
}

var errKilled = errors.New("the agent was killed")

// pass is where a step stands still until the schedule lets it go on.
func (h *host) pass(ctx context.Context, what string) error {
	d := h.doing
	d.at = what
	if !d.wait(what) {
		panic(errKilled)
	}
	h.checkPromise()
	if err := ctx.Err(); err != nil {
		return err
	}
	if what != "look" && d.state.Epoch < h.kept {
		h.sim.fail("G3: %s does %s for epoch %d after it promised %d", h.id, what, d.state.Epoch, h.kept)
	}
	return nil
}

func (d *doing) wait(string) bool { return d.yield(d.at) }

// gate is the server as a step sees it.
type gate struct{ *host }

func (g gate) do(ctx context.Context, what string, call func(context.Context) error) error {
	if err := g.pass(ctx, what); err != nil {
		return err
	}
	err := call(context.WithoutCancel(ctx))
	g.sim.tell("    %s epoch %d: %s %v", g.id, g.doing.state.Epoch, what, errText(err))
	return err
}

func errText(err error) string {
	if err == nil {
		return "done"
	}
	return err.Error()
}

func (g gate) StopReceiver(ctx context.Context) error {
	return g.do(ctx, "StopReceiver", g.server.StopReceiver)
}
func (g gate) FenceReceiver(ctx context.Context, tag string) error {
	return g.do(ctx, "FenceReceiver", func(ctx context.Context) error { return g.server.FenceReceiver(ctx, tag) })
}
func (g gate) WaitApplied(ctx context.Context, base mysqld.GTIDSet) error {
	return g.do(ctx, "WaitApplied", func(ctx context.Context) error { return g.server.WaitApplied(ctx, base) })
}
func (g gate) BecomeSource(ctx context.Context, k int) error {
	return g.do(ctx, "BecomeSource", func(ctx context.Context) error { return g.server.BecomeSource(ctx, k) })
}
func (g gate) Mark(ctx context.Context, epoch uint64, instance, base string) error {
	return g.do(ctx, "Mark", func(ctx context.Context) error { return g.server.Mark(ctx, epoch, instance, base) })
}
func (g gate) OpenWrites(ctx context.Context) error {
	return g.do(ctx, "OpenWrites", func(ctx context.Context) error {
		err := g.server.OpenWrites(ctx)
		if err == nil { // no phantom: whatever is read now must stay
			for _, t := range g.server.Visible() {
				g.sim.serve(t)
			}
		}
		return err
	})
}
func (g gate) CloseWrites(ctx context.Context) error {
	return g.do(ctx, "CloseWrites", g.server.CloseWrites)
}
func (g gate) CutClients(ctx context.Context) error {
	return g.do(ctx, "CutClients", g.server.CutClients)
}
func (g gate) Follow(ctx context.Context, src mysqld.Source) error {
	return g.do(ctx, fmt.Sprintf("Follow %s acks %t", src.Host, src.SemiSync), func(ctx context.Context) error { return g.server.Follow(ctx, src) })
}
func (g gate) SourcePosition(ctx context.Context, src mysqld.Source) (set mysqld.GTIDSet, err error) {
	err = g.do(ctx, "SourcePosition", func(ctx context.Context) error {
		set, err = g.server.SourcePosition(ctx, src)
		return err
	})
	return set, err
}

// announce registers the agent's promise file, as it does after every start.
func (h *host) announce() {
	if h.guard == nil {
		return
	}
	m, _ := h.sim.database().Member(h.id)
	if m.PromiseFile != h.guard.PromiseFile() {
		m.PromiseFile = h.guard.PromiseFile()
		h.sim.states = append(h.sim.states, h.sim.must(h.sim.head(), &registry.PutMember{Database: simDatabase, Member: m}))
	}
}

// act lets the agent begin a step, or go on with the one under way.
func (h *host) act() {
	if h.guard == nil {
		return
	}
	if h.doing == nil {
		d, ok := h.State().Database(simDatabase)
		if !ok {
			return
		}
		step := Next(d, h.id, h.guard.local())
		if step.Verb == Wait {
			return
		}
		h.sim.tell("  %s epoch %d: %s: %s", h.id, d.Epoch, step.Verb, step.Why)
		h.perform(d, step)
	}
	if h.doing == nil {
		return
	}
	// A step is canceled when the agent has seen another epoch or phase, sooner or later.
	if now, _ := h.State().Database(simDatabase); (now.Epoch != h.doing.state.Epoch || now.Phase != h.doing.state.Phase) && h.sim.rng.IntN(2) == 0 {
		h.doing.cancel()
	}
	h.advance()
}

// perform makes a step of the guard stand before its first call.
func (h *host) perform(d *registry.Database, step Step) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &doing{step: step, state: d, cancel: cancel}
	t.resume, t.stop = iter.Pull(func(yield func(string) bool) {
		defer func() {
			if r := recover(); r != nil && r != errKilled {
				panic(r)
			}
		}()
		t.yield = yield
		t.err = h.guard.perform(ctx, d, step)
	})
	h.doing = t
	h.advance()
}

func (h *host) advance() {
	t := h.doing
	if _, more := t.resume(); more {
		return
	}
	t.cancel()
	h.doing = nil
	h.checkPromise()
	problem := ""
	if t.err != nil && !errors.Is(t.err, errNotYet) {
		problem = t.err.Error()
		h.sim.tell("  %s epoch %d: %s failed: %v", h.id, t.state.Epoch, t.step.Verb, t.err)
	}
	h.guard.note(func(r *health.Guard) { r.Problem = problem })
}

// report sends what the agent knows to every leader.
func (h *host) report() {
	if h.guard == nil {
		return
	}
	h.seq++
	r := health.Report{Database: simDatabase, Instance: h.id, Boot: fmt.Sprint(h.boot), Seq: h.seq, Preflight: true, Guard: h.guard.Report()}
	health.Describe(h.eyes.Latest(), &r)
	for _, c := range h.sim.leaders {
		h.sim.mail = append(h.sim.mail, letter{c, r})
	}
}

package sim

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/registry"
)

// host is a database host: a server, an observer and an agent with a guard.
type host struct {
	world     *world
	id        registry.InstanceID
	member    registry.Member // as it was registered first
	server    *mysqldtest.Server
	eyes      *mysqldtest.Observer
	guard     *promote.Driven // nil: the agent is down
	file      store
	boot      int
	seq       uint64
	view      int  // index of the state that this agent has seen
	deaf      bool // it hears nothing from the registry
	mute      bool // nobody hears its reports
	news      bool // something may have happened since its last report
	noticed   int  // Changes of the server when its observer last looked
	announced bool // the registry knows its promise file
	doomed    bool // its agent is to die: see dies
	stale     bool // something that the next step depends on may have changed
	silent    bool // the server did not answer when the last step was named: time may change the step
	spell     spell
	tenure

	looks int            // of the observer, when the guard was last told
	sent  *health.Report // the last one
	rests int            // until so many events have happened: its last step is to be tried again
	hand  *hand
	job   func()             // perform
	in    *registry.Database // in which the step under way was begun
	step  promote.Step
	fate  fate
	dying bool

	promised [2]registry.Epoch // highest promise in the present file, and ever
	read     int               // how much of the log somebody has read here
	readOf   string            // by which process
}

// store keeps promises in memory, as a file does: what was written is lost with the power until it is synced.
type store struct {
	host             *host
	written, durable promise.Record
}

var errKilled = errors.New("the agent was killed")

// fresh is a new file.
func (s *store) fresh() {
	w := s.host.world
	w.files++
	s.durable = promise.Record{File: "file" + strconv.Itoa(w.files)}
	s.written = s.durable
}

// open is what promise.Open does: what is read is synced before anybody acts on it.
func (s *store) open() { s.durable = s.written }

// powerCut leaves one of the two records.
func (s *store) powerCut() {
	if s.host.world.draw(2) == 0 {
		s.written = s.durable
	}
	s.durable = s.written
}

func (s *store) Record() promise.Record { return s.written }
func (s *store) Close() error           { return nil }
func (s *store) Save(r promise.Record) error {
	if err := r.After(s.written); err != nil {
		return err
	}
	if err := s.host.stand("write"); err != nil {
		return err
	}
	s.written = r
	if err := s.host.stand("sync"); err != nil {
		return err
	}
	s.durable = r
	if w := s.host.world; w.story != nil {
		w.tell("    %s: keeps %+v", s.host.id, r)
	}
	return nil
}

// begin starts an agent: only its promise file is left of the one before.
func (h *host) begin() {
	w := h.world
	h.boot++
	h.seq, h.deaf, h.mute, h.stale, h.news, h.sent = 0, false, false, true, true, nil
	h.eyes = mysqldtest.NewObserver(h.server, w.clock)
	h.file.open()
	h.guard = promote.NewDriven(promote.GuardConfig{Database: database, Instance: h.id, Logger: w.logger}, &h.file, gate{h}, h)
	h.guard.Clock(h.clock)
	h.view = w.draw(len(w.states)) // from whichever server answers first
	w.checkPromise(h)
}

// end kills the agent in the middle of whatever it does.
func (h *host) end() {
	if h.hand.busy {
		h.dying = true
		h.hand.resume()
		h.dying = false
	}
	h.guard = nil
}

// forget loses the promise file of an agent that does not run.
func (h *host) forget() {
	h.file.fresh()
	h.promised[0], h.announced = 0, false
}

func (h *host) sees() *registry.Database { return h.world.phases[h.view] }

// announce registers the agent's promise file, as it does after every start.
func (h *host) announce() bool {
	if h.announced {
		return false
	}
	h.announced = true
	m, ok := h.world.truth().Member(h.id)
	if !ok || m.PromiseFile == h.guard.PromiseFile() {
		return false
	}
	m.PromiseFile = h.guard.PromiseFile()
	return h.world.commit(string(h.id), &registry.PutMember{Database: database, Member: m})
}

// stays takes back that the member leaves, or registers it again after it left.
func (h *host) stays() bool {
	d := h.world.truth()
	m, ok := d.Member(h.id)
	if ok && m.Leaving.Zero() {
		return false
	}
	done := h.world.commit("operator", &registry.Leave{Database: database, Instance: h.id})
	if ok {
		return done
	}
	m = h.member
	m.PromiseFile = h.file.written.File
	return h.world.commit("operator", &registry.PutMember{Database: database, Member: m}) || done
}

// look lets the observer ask the server.
func (h *host) look() bool {
	h.eyes.Look()
	h.noticed = h.server.Changes()
	if looks := h.eyes.Looks(); looks != h.looks {
		h.looks = looks
		h.stale, h.news, h.rests = true, true, min(h.rests, h.world.tick+4)
	}
	return true
}

// sync lets the agent hear of some of what was committed since it last did.
func (h *host) sync() bool {
	w := h.world
	switch {
	case h.deaf || h.guard == nil || h.still:
		return false
	case h.announce():
		return true
	case h.view == w.last():
		return false
	}
	h.view += 1 + w.draw(w.last()-h.view)
	h.stale = true
	return true
}

// act lets the agent begin a step, or go on with the one under way. It reports whether there was anything to do.
func (h *host) act() bool {
	if h.guard == nil || h.still {
		return false
	}
	if !h.hand.busy {
		if h.world.tick < h.rests || !h.stale && !h.waited() {
			return false
		}
		h.stale, h.silent = false, h.eyes.Unreachable() > 0
		if h.silent {
			h.spell = h.passing()
		}
		h.in = h.sees()
		h.step = h.guard.Next(h.in)
		if h.step.Verb == promote.Wait {
			return false
		}
		h.world.tally.Verbs[string(h.step.Verb)]++
		if h.world.story != nil {
			h.world.tell("  %s epoch %d: %s: %s", h.id, h.in.Epoch, h.step.Verb, h.step.Why)
		}
		h.fate.over, h.stale = false, true
		h.hand.begin(h.job)
		return true
	}
	// A step is cancelled when the agent has seen that it is over, sooner or later.
	if !h.fate.over && promote.Over(h.in, h.sees()) && h.world.draw(2) == 0 {
		h.fate.over = true
		h.world.tally.Cancelled++
	}
	h.hand.resume()
	return true
}

// spell is what a step depends on that the passing of time alone can change.
type spell struct {
	lost  bool // the server has not answered for long
	lease registry.Epoch
}

func (h *host) passing() spell { return spell{health.Lost(h.eyes.Unreachable()), h.guard.Lease()} }

// waited reports whether time alone can have changed the step since it was named last. A lease that ends is seen by endLease,
// where the server answers.
func (h *host) waited() bool { return h.silent && h.passing() != h.spell }

// perform is the job of the hand.
func (h *host) perform() {
	later, err := h.guard.Perform(&h.fate, h.in, h.step)
	h.stale, h.news = true, true
	if later || err != nil {
		h.rests = h.world.tick + 4 + h.world.draw(16)
	}
	if err != nil && !h.dying && h.world.story != nil {
		h.world.tell("  %s epoch %d: %s failed: %v", h.id, h.in.Epoch, h.step.Verb, err)
	}
}

// pass is where a step stands still until the schedule lets it go on, or has cancelled it.
func (h *host) pass(what string) error {
	if err := h.stand(what); err != nil {
		return err
	}
	return h.fate.Err()
}

// stand is pass for what cannot be cancelled.
func (h *host) stand(what string) error {
	if h.dying {
		return errKilled
	}
	h.hand.pause()
	if h.dying {
		return errKilled
	}
	h.world.tally.Calls[what]++
	h.world.checkCall(h, what)
	return nil
}

// Latest, Refresh, Changed and Kill make it its guard's observer; what reaches the server passes the gate.
func (h *host) Latest() health.Observation { return h.eyes.Latest() }
func (h *host) Changed() <-chan struct{}   { return nil }
func (h *host) Refresh(context.Context) health.Observation {
	if err := h.pass("look"); err != nil {
		o := h.eyes.Latest()
		o.Err = err
		return o
	}
	return h.eyes.Refresh(context.Background())
}
func (h *host) Kill() error {
	if err := h.pass("kill"); err != nil {
		return err
	}
	h.world.tell("    %s: killed", h.id)
	return h.eyes.Kill()
}

// gate is the server as a step sees it.
type gate struct{ *host }

// do makes a call. Where a real server would wait, the step stands there until it is done, cancelled or out of time.
func (g gate) do(what string, call func(context.Context) error) error {
	for {
		if err := g.pass(what); err != nil {
			return err
		}
		err := call(context.Background())
		if g.world.story != nil {
			g.world.tell("    %s epoch %d: %s: %s", g.id, g.in.Epoch, what, errText(err))
		}
		if !errors.Is(err, mysqldtest.ErrWaits) || g.world.draw(4) == 0 {
			return err
		}
	}
}

func errText(err error) string {
	if err == nil {
		return "done"
	}
	return err.Error()
}

func (g gate) StopReceiver(context.Context) error { return g.do("StopReceiver", g.server.StopReceiver) }
func (g gate) StartApplier(context.Context) error { return g.do("StartApplier", g.server.StartApplier) }
func (g gate) FenceReceiver(_ context.Context, tag string) error {
	return g.do("FenceReceiver", func(ctx context.Context) error { return g.server.FenceReceiver(ctx, tag) })
}
func (g gate) WaitApplied(_ context.Context, base mysqld.GTIDSet) error {
	return g.do("WaitApplied", func(ctx context.Context) error { return g.server.WaitApplied(ctx, base) })
}
func (g gate) BecomeSource(_ context.Context, k int) error {
	return g.do("BecomeSource", func(ctx context.Context) error { return g.server.BecomeSource(ctx, k) })
}
func (g gate) Mark(_ context.Context, epoch uint64, instance, base string) error {
	return g.do("Mark", func(ctx context.Context) error { return g.server.Mark(ctx, epoch, instance, base) })
}
func (g gate) MarkAlone(_ context.Context, epoch uint64, instance, base string) error {
	return g.do("MarkAlone", func(ctx context.Context) error { return g.server.MarkAlone(ctx, epoch, instance, base) })
}
func (g gate) OpenAlone(context.Context) error {
	err := g.do("OpenAlone", g.server.OpenAlone)
	if err == nil {
		g.world.readAll(g.host)
	}
	return err
}
func (g gate) OpenWrites(context.Context) error {
	err := g.do("OpenWrites", g.server.OpenWrites)
	if err == nil {
		g.world.readAll(g.host) // no phantom: whatever is read now must stay
	}
	return err
}
func (g gate) CloseWrites(context.Context) error { return g.do("CloseWrites", g.server.CloseWrites) }
func (g gate) CutClients(context.Context) error  { return g.do("CutClients", g.server.CutClients) }
func (g gate) Follow(_ context.Context, src mysqld.Source) error {
	return g.do("Follow", func(ctx context.Context) error { return g.server.Follow(ctx, src) })
}
func (g gate) RequireAcks(_ context.Context, k int) error {
	if k == 0 && g.in.IsLossless() {
		g.world.fail("G4", "%s is to wait for nobody in epoch %d, which is lossless", g.id, g.in.Epoch)
	}
	return g.do("RequireAcks", func(ctx context.Context) error { return g.server.RequireAcks(ctx, k) })
}
func (g gate) Prove(_ context.Context, k int, instance string, revision uint64) error {
	return g.do("Prove", func(ctx context.Context) error { return g.server.Prove(ctx, k, instance, revision) })
}
func (g gate) SourcePosition(_ context.Context, src mysqld.Source) (set mysqld.GTIDSet, err error) {
	err = g.do("SourcePosition", func(ctx context.Context) error {
		set, err = g.server.SourcePosition(ctx, src)
		return err
	})
	return set, err
}

// report is what the agent says of itself now.
func (h *host) report() *health.Report {
	h.seq++
	h.news = false
	r := h.world.paper()
	*r = health.Report{Database: database, Instance: h.id, Boot: strconv.Itoa(h.boot), Seq: h.seq, Preflight: true, Guard: h.guard.Report()}
	health.Describe(h.eyes.Latest(), r)
	if r.Replication != nil {
		r.Replication.SourceClosed = h.server.HearsClosed()
	}
	h.sent = r
	return r
}

// send sends a report to every leader.
func (h *host) send() bool {
	if h.guard == nil || h.still {
		return false
	}
	r := h.report()
	if h.mute {
		return true
	}
	w := h.world
	for i, l := range w.leaders {
		if i == 0 || w.draw(4) == 0 { // most reports go to the real one
			w.mail = append(w.mail, letter{l, h, r})
		}
	}
	if over := len(w.mail) - maxMail; over > 0 { // what is lost on the way
		w.mail = slices.Delete(w.mail, 0, over)
	}
	return true
}

// maxMail is how many reports can be on their way.
const maxMail = 24

package promote

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// A sim is one schedule: real guards beside servers made of memory, real Decide in leaders that may be stale, and the
// real registry. A random source decides what happens next; after every event the guarantees are checked.
//
// Raft is an atomic log: states[i] is the registry after i commands. A leader decides from any state and any reports it
// has seen, and its command may be proposed much later: there are always several leaders, and nobody knows which is real.
type sim struct {
	seed    uint64
	rng     *rand.Rand
	k       int
	group   *mysqldtest.Group
	hosts   []*host
	leaders []*coordinator
	states  []*registry.State
	mail    []letter
	now     time.Time
	quiet   bool // faults are over
	story   []string
	broken  error

	reigning struct { // last established
		epoch   registry.Epoch
		primary registry.InstanceID
	}
	acked  []mysqldtest.Txn // answered with OK, or read by somebody
	served map[mysqldtest.Txn]bool
	count  struct{ epochs, troubled, acks, refused int }
}

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
	seen   int // newest view of this agent's life
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

// coordinator is a server that believes it leads.
type coordinator struct {
	sim     *sim
	name    string
	view    int
	began   time.Time
	board   map[registry.InstanceID]health.Heard
	at      map[registry.InstanceID]time.Time
	phase   [2]any
	since   time.Time
	pending []registry.Command
}

type letter struct {
	to     *coordinator
	report health.Report
}

const simDatabase = "orders"

func newSim(seed uint64, dir string) *sim {
	rng := rand.New(rand.NewPCG(seed, 1))
	flavor, n, k := mysqld.MySQL, 3, 1
	if rng.IntN(2) == 0 {
		flavor = mysqld.MariaDB
	}
	if rng.IntN(3) == 0 {
		n = 5
		if flavor == mysqld.MySQL {
			k = 1 + rng.IntN(2)
		}
	}
	s := &sim{seed: seed, rng: rng, k: k, now: time.Unix(1_000_000, 0), served: map[mysqldtest.Txn]bool{}}
	s.group = mysqldtest.NewGroup(flavor, n)
	s.group.RelayLogRecovery = rng.IntN(2) == 0
	s.group.OnAck = s.onAck
	state := registry.New("sim")
	policy := registry.DefaultPolicy()
	policy.Expect, policy.K = n, k
	state = s.must(state, &registry.PutDatabase{Name: simDatabase, Policy: policy})
	for i, server := range s.group.Servers() {
		id := registry.InstanceID(server.ID)
		state = s.must(state, &registry.PutMember{Database: simDatabase, Member: registry.Member{ID: id, Node: registry.NodeID(server.ID),
			Address: server.Address(), ServerUUID: server.UUID(), ServerID: server.Number, Flavor: registry.Flavor(flavor), Preference: registry.Normal}})
		h := &host{sim: s, id: id, server: server, dir: filepath.Join(dir, fmt.Sprintf("%d-%d", seed, i))}
		if err := os.MkdirAll(h.dir, 0o700); err != nil {
			panic(err)
		}
		h.eyes = mysqldtest.NewObserver(server, func() time.Time { return s.now })
		s.hosts = append(s.hosts, h)
	}
	s.states = []*registry.State{state}
	for _, h := range s.hosts {
		h.begin()
	}
	for i := range 2 {
		c := &coordinator{sim: s, name: fmt.Sprintf("leader%d", i+1)}
		c.reset()
		s.leaders = append(s.leaders, c)
	}
	return s
}

func (s *sim) must(state *registry.State, c registry.Command) *registry.State {
	next, err := c.Apply(state)
	if err != nil {
		panic(err)
	}
	return next.WithIndex(state.Index() + 1)
}

func (s *sim) head() *registry.State { return s.states[len(s.states)-1] }

func (s *sim) database() *registry.Database {
	d, _ := s.head().Database(simDatabase)
	return d
}

func (s *sim) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if recent := s.story[max(0, len(s.story)-8):]; !slices.Contains(recent, line) { // what is tried again and again is told once
		s.story = append(s.story, line)
	}
}

func (s *sim) fail(format string, args ...any) {
	if s.broken == nil {
		s.broken = fmt.Errorf(format, args...)
		s.tell("BROKEN: %v", s.broken)
	}
}

// onAck checks G1: what anybody but the last established primary answers was on its way before: an acknowledgement that a
// fenced replica had sent. Then the new primary has it.
func (s *sim) onAck(by *mysqldtest.Server, t mysqldtest.Txn) {
	s.count.acks++
	s.tell("%s answers %s with OK", by.ID, t)
	if id := s.reigning.primary; registry.InstanceID(by.ID) != id && !s.host(id).server.HoldsLocked(t) {
		s.fail("G1: %s acknowledges %s, and %s, established in epoch %d, lacks it", by.ID, t, id, s.reigning.epoch)
	}
	s.serve(t)
}

// serve remembers what somebody has seen: it must never disappear.
func (s *sim) serve(t mysqldtest.Txn) {
	if !s.served[t] {
		s.served[t] = true
		s.acked = append(s.acked, t)
	}
}

// commit applies a command to the one true log.
func (s *sim) commit(who string, c registry.Command) {
	next, err := c.Apply(s.head())
	if err != nil {
		s.count.refused++
		if !errors.Is(err, registry.ErrStale) {
			s.tell("%s: %s: REFUSED %v", who, Describe(c), err)
		}
		return
	}
	before := s.database()
	s.states = append(s.states, next.WithIndex(s.head().Index()+1))
	d := s.database()
	switch c := c.(type) {
	case *registry.Refuse, *registry.SetRotation:
	case *registry.Elect:
		s.tell("%s: epoch %d %s; proof %s base %s ackers %v evidence %v", who, d.Epoch, Describe(c), c.Proof, c.Base, c.Ackers, c.Evidence)
	default:
		s.tell("%s: epoch %d %s", who, d.Epoch, Describe(c))
	}
	if d.Epoch < before.Epoch {
		s.fail("G6: epoch %d after %d", d.Epoch, before.Epoch)
	}
	if _, ok := c.(*registry.Establish); ok {
		s.established(d)
	}
	for _, r := range s.head().Records() {
		if r.Name == "primary."+simDatabase+".db" && len(r.Addrs) > 0 {
			m, _ := d.Member(s.reigning.primary)
			if d.Phase != registry.Serving || len(r.Addrs) != 1 || !strings.HasPrefix(m.Address, r.Addrs[0].String()+":") {
				s.fail("G6: %v is published in %s, %s reigns", r.Addrs, d.Phase, s.reigning.primary)
			}
		}
	}
}

// established checks G2.
func (s *sim) established(d *registry.Database) {
	s.count.epochs++
	s.reigning.epoch, s.reigning.primary = d.Epoch, d.Primary
	h := s.host(d.Primary)
	for _, t := range s.acked {
		if !h.server.Holds(t) {
			s.fail("G2: %s is established in epoch %d without %s", d.Primary, d.Epoch, t)
		}
	}
}

func (s *sim) host(id registry.InstanceID) *host {
	return s.hosts[slices.IndexFunc(s.hosts, func(h *host) bool { return h.id == id })]
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

func (c *coordinator) reset() {
	c.began, c.since = c.sim.now, c.sim.now
	c.board, c.at = map[registry.InstanceID]health.Heard{}, map[registry.InstanceID]time.Time{}
	c.view, c.pending = len(c.sim.states)-1, nil
}

// receive is what health.Board does.
func (c *coordinator) receive(r health.Report) {
	if old, ok := c.board[r.Instance]; ok && old.Boot == r.Boot && r.Seq <= old.Seq {
		return
	}
	c.board[r.Instance], c.at[r.Instance] = health.Heard{Report: r}, c.sim.now
}

// decide makes a command from what this leader knows.
func (c *coordinator) decide() {
	s := c.sim
	d, _ := s.states[c.view].Database(simDatabase)
	if p := [2]any{d.Epoch, d.Phase}; p != c.phase {
		c.phase, c.since = p, s.now
	}
	view := health.View{}
	for id, h := range c.board {
		h.Age = s.now.Sub(c.at[id])
		if h.Age > 350*time.Millisecond {
			h.Probed = health.ProbeDead
			if s.host(id).server.Answers() {
				h.Probed = health.ProbeAlive
			}
		}
		view[id] = h
	}
	clock := Clock{Watching: s.now.Sub(c.began), InPhase: s.now.Sub(c.since), NowMillis: s.now.UnixMilli()}
	if decision := Decide(d, view, DefaultRules(), clock); decision.Command != nil {
		c.pending = append(c.pending, decision.Command)
	}
}

func (c *coordinator) propose() {
	if len(c.pending) == 0 {
		return
	}
	i := c.sim.rng.IntN(len(c.pending))
	command := c.pending[i]
	c.pending = slices.Delete(c.pending, i, i+1)
	if len(c.pending) > 3 {
		c.pending = c.pending[1:]
	}
	c.sim.commit(c.name, command)
}

// event is one kind of thing that can happen.
type event struct {
	name   string
	weight int
	do     func(*sim)
	repair bool
}

func (s *sim) anyHost() *host { return s.hosts[s.rng.IntN(len(s.hosts))] }

func (s *sim) anyLeader() *coordinator { return s.leaders[s.rng.IntN(len(s.leaders))] }

func work() []event {
	return []event{
		{"act", 80, func(s *sim) { s.anyHost().act() }, false},
		{"sync", 15, func(s *sim) {
			if h := s.anyHost(); !h.deaf && h.guard != nil {
				h.announce()
				h.view += s.rng.IntN(len(s.states) - h.view)
			}
		}, false},
		{"look", 20, func(s *sim) {
			if h := s.anyHost(); h.guard != nil {
				h.eyes.Look()
			}
		}, false},
		{"report", 15, func(s *sim) { s.anyHost().report() }, false},
		{"mail", 60, func(s *sim) {
			if len(s.mail) == 0 {
				return
			}
			i := 0
			if s.rng.IntN(4) == 0 {
				i = s.rng.IntN(len(s.mail))
			}
			m := s.mail[i]
			s.mail = slices.Delete(s.mail, i, i+1)
			if s.rng.IntN(20) > 0 {
				m.to.receive(m.report)
			}
		}, false},
		{"follow the log", 8, func(s *sim) { c := s.anyLeader(); c.view += s.rng.IntN(len(s.states) - c.view) }, false},
		{"decide", 10, func(s *sim) { s.anyLeader().decide() }, false},
		{"propose", 12, func(s *sim) { s.anyLeader().propose() }, false},
		{"write", 4, func(s *sim) { s.group.Commit(s.anyHost().server) }, false},
		{"deliver", 25, func(s *sim) { s.group.Deliver(s.anyHost().server) }, false},
		{"ack", 20, func(s *sim) { s.group.Ack(s.anyHost().server) }, false},
		{"apply", 20, func(s *sim) { s.group.Apply(s.anyHost().server) }, false},
	}
}

func faults() []event {
	return []event{
		{"crash", 2, func(s *sim) { h := s.anyHost(); s.tell("%s crashes", h.id); h.server.Crash() }, false},
		{"crash the primary", 2, func(s *sim) {
			if d := s.database(); d.Primary != "" {
				s.tell("%s crashes", d.Primary)
				s.host(d.Primary).server.Crash()
			}
		}, false},
		{"start", 8, func(s *sim) {
			if h := s.anyHost(); !h.server.Running() {
				s.tell("%s starts", h.id)
				h.server.Start()
			}
		}, true},
		{"freeze", 2, func(s *sim) { h := s.anyHost(); s.tell("%s freezes", h.id); h.server.Freeze() }, false},
		{"thaw", 4, func(s *sim) { h := s.anyHost(); s.tell("%s thaws", h.id); h.server.Thaw() }, true},
		{"agent dies", 2, func(s *sim) {
			if h := s.anyHost(); h.guard != nil {
				s.tell("agent of %s dies", h.id)
				h.end()
			}
		}, false},
		{"promise file lost", 1, func(s *sim) {
			if h := s.anyHost(); h.guard == nil {
				s.tell("%s loses its promise file", h.id)
				h.forget()
			}
		}, false},
		{"agent starts", 8, func(s *sim) {
			if h := s.anyHost(); h.guard == nil {
				h.begin()
				s.tell("agent of %s starts at state %d of %d", h.id, h.view, len(s.states)-1)
			}
		}, true},
		{"agent deaf", 2, func(s *sim) { s.anyHost().deaf = true }, false},
		{"agent hears", 6, func(s *sim) { s.anyHost().deaf = false }, true},
		{"new leader", 1, func(s *sim) { s.anyLeader().reset() }, false},
		{"human starts replication", 2, func(s *sim) {
			if h := s.anyHost(); s.group.Flavor == mysqld.MySQL { // MariaDB's fence is the guard's promise alone
				s.tell("somebody says START REPLICA on %s", h.id)
				h.server.HumanStarts()
			}
		}, false},
		{"cut", 2, func(s *sim) {
			a, b := s.anyHost(), s.anyHost()
			s.group.Cut(a.server, b.server)
			s.tell("cut %s %s", a.id, b.id)
		}, false},
		{"heal", 4, func(s *sim) { a, b := s.anyHost(), s.anyHost(); s.group.Heal(a.server, b.server) }, true},
		{"switchover", 2, func(s *sim) {
			d := s.database()
			s.commit("operator", &registry.Revoke{Database: simDatabase, Epoch: d.Epoch + 1, To: s.anyHost().id, Cause: registry.Cause{Code: Switchover}})
		}, false},
		{"power cut", 1, func(s *sim) {
			s.tell("power cut")
			for _, h := range s.hosts {
				h.server.Crash()
				if h.guard != nil {
					h.end()
				}
			}
		}, false},
	}
}

// run plays n events, then stops all faults and wants the database back.
func (s *sim) run(n int) {
	events := work()
	calm := 1 + s.rng.IntN(10) // how much work is done between two faults
	for i := range events {
		events[i].weight *= calm
	}
	for _, f := range faults() {
		if f.repair || s.rng.IntN(2) == 0 { // each schedule has its own mixture of faults
			f.weight *= 1 + s.rng.IntN(2)
			events = append(events, f)
		}
	}
	total := 0
	for _, e := range events {
		total += e.weight
	}
	s.form()
	for i := 0; i < n && s.broken == nil; i++ {
		x := s.rng.IntN(total)
		for _, e := range events {
			if x -= e.weight; x < 0 {
				e.do(s)
				break
			}
		}
		s.now = s.now.Add(time.Duration(s.rng.IntN(3)) * time.Millisecond)
		if s.rng.IntN(400) == 0 {
			s.now = s.now.Add(time.Duration(s.rng.IntN(2000)) * time.Millisecond)
		}
	}
	s.count.troubled = s.count.epochs
	if s.broken == nil {
		s.recover()
	}
	for _, h := range s.hosts {
		if h.guard != nil {
			h.end()
		}
	}
}

// form brings the database up without faults.
func (s *sim) form() {
	for range 200 {
		s.round()
		if s.wellServed() {
			return
		}
	}
	s.fail("the database was never formed: %s", s.explain())
}

// recover ends all faults.
func (s *sim) recover() {
	s.quiet = true
	s.tell("faults are over")
	for _, a := range s.hosts {
		a.deaf = false
		for _, b := range s.hosts {
			s.group.Heal(a.server, b.server)
		}
		a.server.Thaw()
		if a.guard == nil {
			a.begin()
		}
	}
	for _, c := range s.leaders {
		c.reset()
	}
	for range 400 {
		s.round()
		if s.broken != nil || s.wellServed() {
			return
		}
	}
	if !s.mayBeStuck() {
		s.fail("the database does not come back: %s", s.explain())
	}
}

// round is 100 ms in which everybody does what there is to do.
func (s *sim) round() {
	for _, h := range s.hosts {
		if !h.server.Running() {
			h.server.Start()
		}
		h.announce()
		h.view = len(s.states) - 1
		for range 12 {
			h.eyes.Look()
			h.act()
			s.group.Settle()
		}
		h.eyes.Look()
		h.report()
	}
	for _, m := range s.mail {
		m.to.receive(m.report)
	}
	s.mail = nil
	for _, c := range s.leaders {
		c.view = len(s.states) - 1
		c.pending = nil
		c.decide()
		c.propose()
	}
	s.now = s.now.Add(100 * time.Millisecond)
}

// wellServed reports whether the primary is open, all who can follow follow, and a write is acknowledged.
func (s *sim) wellServed() bool {
	d := s.database()
	if d.Phase != registry.Serving {
		return false
	}
	h := s.host(d.Primary)
	if !h.server.Open() || h.doing != nil {
		return false
	}
	t, ok := s.group.Commit(h.server)
	s.group.Settle()
	return ok && s.served[t]
}

// mayBeStuck reports what is for people: too few members are left that do not contradict each other, or nobody can prove
// to have everything, because the former primary has forgotten that it reigned.
func (s *sim) mayBeStuck() bool {
	if d := s.database(); d.Phase == registry.Fencing && s.host(d.Former).forgot {
		return true
	}
	diverged := 0
	for _, h := range s.hosts {
		if h.guard.Report().Diverged != "" {
			diverged++
		}
	}
	return len(s.hosts)-diverged < s.k+1
}

// explain says where everybody stands.
func (s *sim) explain() string {
	var b strings.Builder
	d := s.database()
	fmt.Fprintf(&b, "%s epoch %d primary %q former %q ackers %v k %d next %v settled %+v\n", d.Phase, d.Epoch, d.Primary, d.Former, d.Ackers, d.K, d.NextAckers, d.Settled)
	for _, h := range s.hosts {
		o := h.eyes.Latest()
		fmt.Fprintf(&b, "  %s %s open %t log %v visible %d relay %v", h.id, o.Process, h.server.Open(), h.server.Log(), len(h.server.Visible()), o.Status.Received)
		if h.guard != nil {
			fmt.Fprintf(&b, " guard %+v record %+v", h.guard.Report(), h.guard.done.record)
		}
		b.WriteByte('\n')
	}
	c := s.leaders[0]
	for id, h := range c.board {
		h.Age = s.now.Sub(c.at[id])
		c.board[id] = h
	}
	fmt.Fprintf(&b, "  waiting: %+v", Decide(d, c.board, DefaultRules(), Clock{Watching: time.Minute, InPhase: time.Minute}))
	return b.String()
}

func simDir(t testing.TB) string {
	if _, err := os.Stat("/dev/shm"); err == nil {
		dir, err := os.MkdirTemp("/dev/shm", "promote-sim-")
		if err == nil {
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			return dir
		}
	}
	return t.TempDir()
}

func TestSimulatedSchedulesKeepTheGuarantees(t *testing.T) {
	first, n := uint64(1), uint64(2000)
	if text := os.Getenv("PROMOTE_SIM_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &first); err != nil {
			t.Fatal(err)
		}
		n = 1
	}
	if text := os.Getenv("PROMOTE_SIM_RUNS"); text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
	}
	dir := simDir(t)
	var epochs, troubled, acks int
	for seed := first; seed < first+n; seed++ {
		s := newSim(seed, dir)
		s.run(5000)
		epochs, troubled, acks = epochs+s.count.epochs, troubled+s.count.troubled-1, acks+s.count.acks
		if s.broken != nil {
			t.Errorf("seed %d (%s, %d members, k %d): %v\n%s", seed, s.group.Flavor, len(s.hosts), s.k, s.broken, strings.Join(s.tail(), "\n"))
			return
		}
	}
	t.Logf("%d schedules, %d reigns, %d of them begun under faults, %d acknowledged writes", n, epochs, troubled, acks)
}

// tail is the end of the story: PROMOTE_SIM_STORY=all shows the whole.
func (s *sim) tail() []string {
	if os.Getenv("PROMOTE_SIM_STORY") == "all" || len(s.story) < 120 {
		return s.story
	}
	return s.story[len(s.story)-120:]
}

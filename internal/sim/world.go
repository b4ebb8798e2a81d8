package sim

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// database is the name of the one database of every schedule.
const database = "orders"

// Shape is what a schedule is played on.
type Shape struct {
	Flavor  mysqld.Flavor
	Members int
	K       int
	// Recovery makes MySQL lose its relay log in a restart; MariaDB always does.
	Recovery bool
	// Preferred is the number of the member that should win; 0: all are alike.
	Preferred int
	// Empty begins before the first election, with the faults; otherwise the database has been formed.
	Empty bool
	// Async is a database whose commits are to wait for nobody, Yields one whose primary may go on alone.
	Async, Yields bool
}

func (s Shape) String() string {
	words := fmt.Sprintf("%s %d %d", s.Flavor, s.Members, s.K)
	if s.Recovery {
		words += " relay-log-recovery"
	}
	if s.Preferred > 0 {
		words += fmt.Sprintf(" prefer-db%d", s.Preferred)
	}
	if s.Empty {
		words += " empty"
	}
	if s.Async {
		words += " async"
	}
	if s.Yields {
		words += " yields"
	}
	return words
}

// world is one schedule under way. Raft is an atomic log: states[i] is the registry after i commands. A leader decides
// from any state and any reports it has seen, and its command may be proposed much later: there are always two leaders,
// and nobody knows which is real.
type world struct {
	shape   Shape
	group   *mysqldtest.Group
	hosts   []*host
	leaders []*leader
	states  []*registry.State
	phases  []*registry.Database // of states
	phase   int                  // of the last one, in the order of the list phases
	mail    []letter
	asks    []question // for leases, and their answers, on their way
	now     time.Time
	tick    int    // how many events have happened, more or less
	chance  uint64 // what the event under way may draw from
	files   int    // promise files made
	cannot  uint64 // the kinds, as bits, that are plain and could not happen, since something last did
	logger  *slog.Logger

	story  *story // nil: nobody listens
	tally  *Tally
	sheets []health.Report // for reports; those of the schedule before are used again
	check
}

// letter is a report on its way.
type letter struct {
	to     *leader
	from   *host
	report *health.Report
}

// newWorld is a world of empty servers whose agents have just been started.
func newWorld(shape Shape, hands []*hand, t *Tally) *world {
	w := &world{shape: shape, now: time.Unix(1_000_000, 0), tally: t, logger: slog.New(slog.DiscardHandler)}
	w.group = mysqldtest.NewGroup(shape.Flavor, shape.Members).Unlocked()
	w.group.RelayLogRecovery = shape.Recovery
	w.group.OnAck = w.onAck
	state := registry.New("sim")
	policy := registry.DefaultPolicy()
	policy.Expect, policy.K = shape.Members, shape.K
	policy.Durability, policy.WhenAlone = wish(shape.Async, shape.Yields)
	state = must(state, &registry.PutDatabase{Name: database, Policy: policy})
	for i, server := range w.group.Servers() {
		h := &host{world: w, id: registry.InstanceID(server.ID), server: server, hand: hands[i], tenure: tenure{skew: i%3 - 1}}
		h.job = h.perform
		h.eyes = mysqldtest.NewObserver(server, w.clock)
		h.file = store{host: h}
		h.file.fresh()
		m := registry.Member{ID: h.id, Node: registry.NodeID(server.ID), Address: server.Address(), ServerUUID: server.UUID(),
			ServerID: server.Number, Flavor: registry.Flavor(shape.Flavor), Preference: registry.Normal, PromiseFile: h.file.durable.File}
		if i+1 == shape.Preferred {
			m.Preference = registry.Prefer
		}
		h.member = m
		state = must(state, &registry.PutMember{Database: database, Member: m})
		w.hosts = append(w.hosts, h)
	}
	w.push(state)
	for _, h := range w.hosts {
		h.begin()
	}
	for i := range 2 {
		w.leaders = append(w.leaders, newLeader(w, i))
	}
	return w
}

// copied is a world that stands where w does, between two events, and goes its own way.
func (w *world) copied(hands []*hand, t *Tally) *world {
	c := &world{shape: w.shape, group: w.group.Copy(), now: w.now, files: w.files, logger: w.logger, tally: t, check: w.check.copied()}
	c.group.OnAck = c.onAck
	c.states, c.phases, c.phase = slices.Clone(w.states), slices.Clone(w.phases), w.phase
	for i, h := range w.hosts {
		d := &host{world: c, id: h.id, member: h.member, server: c.group.Servers()[i], hand: hands[i], boot: h.boot, seq: h.seq, view: h.view, stale: true}
		d.job, d.promised = d.perform, h.promised
		d.eyes = h.eyes.Copy(d.server, c.clock)
		d.file = store{host: d, durable: h.file.durable, written: h.file.written}
		d.guard = h.guard.Copy(&d.file, gate{d}, d)
		d.guard.Clock(d.clock)
		d.tenure = h.tenure
		c.hosts = append(c.hosts, d)
	}
	for _, l := range w.leaders {
		c.leaders = append(c.leaders, l.copied(c))
	}
	if w.by != nil {
		c.by = c.host(w.by.id)
	}
	return c
}

// paper is for one report.
func (w *world) paper() *health.Report {
	if len(w.sheets) == 0 {
		return new(health.Report)
	}
	r := &w.sheets[0]
	w.sheets = w.sheets[1:]
	return r
}

func (w *world) clock() time.Time { return w.now }

func must(state *registry.State, c registry.Command) *registry.State {
	next, err := state.Next(state.Index()+1, c)
	if err != nil {
		panic(err)
	}
	return next
}

func (w *world) push(s *registry.State) {
	d, _ := s.Database(database)
	w.states, w.phases = append(w.states, s), append(w.phases, d)
	w.phase = slices.Index(phases, d.Phase)
}

func (w *world) head() *registry.State     { return w.states[len(w.states)-1] }
func (w *world) truth() *registry.Database { return w.phases[len(w.phases)-1] }
func (w *world) last() int                 { return len(w.states) - 1 }
func (w *world) host(id registry.InstanceID) *host {
	for _, h := range w.hosts {
		if h.id == id {
			return h
		}
	}
	return nil
}

// draw is a number below n, of the event under way.
func (w *world) draw(n int) int {
	w.chance = mix(w.chance)
	return int((w.chance >> 33) % uint64(n))
}

// mix is splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// commit applies a command to the one true log.
func (w *world) commit(who string, c registry.Command) bool {
	before := w.truth()
	next, err := w.head().Next(w.head().Index()+1, c)
	if err != nil {
		w.tally.refused(err)
		if w.story != nil {
			w.tell("%s: %s: refused: %v", who, decide.Describe(c), err)
		}
		return false
	}
	w.push(next)
	d := w.truth()
	w.tally.committed(c)
	if w.story != nil {
		w.tellCommand(who, d, c)
	}
	w.committed(before, d, c)
	return true
}

func (w *world) tellCommand(who string, d *registry.Database, c registry.Command) {
	switch c := c.(type) {
	case *registry.Elect:
		w.tell("%s: epoch %d %s; proof %s base %q ackers %v evidence %v", who, d.Epoch, decide.Describe(c), c.Proof, c.Base, c.Ackers, c.Evidence)
	default:
		w.tell("%s: epoch %d %s", who, d.Epoch, decide.Describe(c))
	}
}

package sim

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// player plays one schedule after another. What it keeps between them saves time and changes nothing.
type player struct {
	hands  []*hand
	formed map[Shape]*world
	tally  *Tally
	sheets []health.Report
	plain  uint64
}

func newPlayer() *player {
	p := &player{formed: map[Shape]*world{}, tally: newTally(), sheets: make([]health.Report, 192), plain: plain()}
	for range maxMembers {
		p.hands = append(p.hands, newHand())
	}
	return p
}

// close ends the coroutines.
func (p *player) close() {
	for _, h := range p.hands {
		h.stop()
	}
}

// maxMembers is how many members a shape may have.
const maxMembers = 5

// world is a world of this shape at its beginning.
func (p *player) world(shape Shape, s *story) *world {
	formed := shape
	formed.Empty = false
	if shape.Empty {
		w := newWorld(shape, p.hands, p.tally)
		w.story, w.sheets = s, p.sheets
		return w
	}
	if p.formed[formed] == nil {
		w := newWorld(formed, p.hands, newTally())
		w.form()
		p.formed[formed] = w
	}
	w := p.formed[formed].copied(p.hands, p.tally)
	w.story, w.sheets = s, p.sheets
	return w
}

// plan is what a seed stands for: everything in it is drawn from the seed.
type plan struct {
	rng    uint64
	shape  Shape
	gaps   []int // how many events happen at most before each fault, and before the end
	common [512]uint8
	rare   []uint8
}

func (p *plan) draw(n int) int {
	return int((p.random() >> 33) % uint64(n))
}

func (p *plan) random() uint64 {
	p.rng = p.rng*6364136223846793005 + 1442695040888963407
	return mix(p.rng)
}

// skip is random without its number.
func (p *plan) skip() { p.rng = p.rng*6364136223846793005 + 1442695040888963407 }

func newPlan(seed uint64) *plan {
	p := &plan{rng: mix(seed)}
	p.shape = Shape{Flavor: mysqld.MySQL, Members: []int{2, 3, 3, 3, 3, 3, 4, 5}[p.draw(8)], K: 1, Recovery: p.draw(2) == 0, Empty: p.draw(16) == 0}
	if p.draw(2) == 0 {
		p.shape.Flavor, p.shape.Recovery = mysqld.MariaDB, false
	} else if p.shape.Members > 3 {
		p.shape.K += p.draw(2)
	}
	switch p.draw(8) {
	case 0:
		p.shape.Async = true
	case 1, 2:
		p.shape.Yields = true
	}
	if p.draw(3) == 0 {
		p.shape.Preferred = 1 + p.draw(p.shape.Members)
	}
	// Each schedule has a mixture of its own: who is slow, and what goes wrong.
	weights, total := make([]int, len(kinds)), 0
	for i, k := range kinds {
		switch {
		case k.class == fault && p.draw(2) == 0:
			p.rare = append(p.rare, slices.Repeat([]uint8{uint8(i)}, k.weight)...)
		case k.class == repair:
			weights[i] = k.weight
		case k.class == work:
			weights[i] = k.weight * []int{1, 4, 8, 8}[p.draw(4)] / 4
		}
		total += weights[i]
	}
	at, sum := 0, 0
	for i, x := range weights {
		for sum += x; at < len(p.common) && at*total < sum*len(p.common); at++ {
			p.common[at] = uint8(i)
		}
	}
	faults := p.draw(3) + p.draw(5) // 0 to 6
	if len(p.rare) == 0 {
		faults = 0
	}
	for range faults {
		p.gaps = append(p.gaps, p.draw([]int{10, 80, 160, 300}[p.draw(4)]))
	}
	p.gaps = append(p.gaps, 100+p.draw(200))
	return p
}

func (p *plan) event(kind uint8) Event {
	x := p.random()
	return Event{Kind: kind, A: uint8((x >> 8 & 0xff) * uint64(p.shape.Members) >> 8), B: uint8((x >> 16 & 0xff) * uint64(p.shape.Members) >> 8), Chance: uint32(x >> 32)}
}

// run is one schedule under way.
type run struct {
	*plan
	world *world
	kept  *[]Event // nil: nobody wants them
	plain uint64
}

func (r *run) happen(e Event) bool {
	if !r.world.play(e) {
		return false
	}
	if r.kept != nil {
		*r.kept = append(*r.kept, e)
	}
	return true
}

// gap lets up to n events happen, less when everybody rests and only time passes.
func (r *run) gap(n int) {
	for quiet, idle := 0, 0; n > 0 && quiet < 4 && r.world.broken == nil; {
		kind := r.common[r.draw(len(r.common))]
		if idle == 40 {
			kind = timePasses
		}
		if r.world.cannot>>kind&1 > 0 {
			r.skip()
			idle++
			continue
		}
		if !r.happen(r.event(kind)) {
			r.world.cannot |= r.plain & (1 << kind)
			idle++
			continue
		}
		n, idle = n-1, 0
		switch {
		case kind == timePasses:
			quiet++
		case kinds[kind].moves:
			quiet = 0
		}
	}
}

// play plays the schedule of a seed and returns what it broke, or nil. With kept, the events that changed something are
// appended to it: played again in a world of the same shape, they do the same.
func (p *player) play(seed uint64, s *story, kept *[]Event) (Shape, *Violation) {
	plan := newPlan(seed)
	w := p.world(plan.shape, s)
	defer w.close()
	r := &run{plan: plan, world: w, kept: kept, plain: p.plain}
	began, faults := w.epochs, 0
	for i, gap := range plan.gaps {
		r.gap(gap)
		if i == len(plan.gaps)-1 || w.broken != nil {
			break
		}
		for range 8 {
			if r.happen(plan.event(plan.rare[plan.draw(len(plan.rare))])) {
				faults++
				break
			}
		}
	}
	during := w.epochs - began
	w.recover()
	p.tally.ended(w, outcome{faults: faults, during: during, after: w.epochs - began - during})
	return plan.shape, w.broken
}

// replay plays events in a world of this shape.
func (p *player) replay(shape Shape, events []Event, s *story) *Violation {
	w := p.world(shape, s)
	defer w.close()
	for _, e := range events {
		if w.broken != nil {
			break
		}
		w.play(e)
	}
	w.recover()
	return w.broken
}

// close ends what is under way.
func (w *world) close() {
	for _, h := range w.hosts {
		if h.guard != nil {
			h.end()
		}
	}
}

// form brings the database up without faults.
func (w *world) form() {
	for range 200 {
		w.round()
		if w.wellServed() {
			for range 20 { // and everybody else into place
				w.round()
			}
			return
		}
	}
	w.fail("Liveness", "the database was never formed: %s", w.explain())
}

// maxRounds is how many rounds the database may take to come back once faults have stopped.
const maxRounds = 400

// recover ends all faults, and wants the database back.
func (w *world) recover() {
	if w.broken != nil {
		return
	}
	w.tell("faults are over")
	w.chance = 1
	for _, h := range w.hosts {
		h.deaf, h.mute, h.still, h.doomed = false, false, false, false
		for _, b := range w.hosts {
			w.group.Heal(h.server, b.server)
		}
		h.server.Empty()
		h.server.Thaw()
		h.stays()
		if h.guard == nil {
			h.begin()
		}
	}
	w.leaders[0].reset()
	for i := range maxRounds {
		w.round()
		if w.broken != nil || w.wellServed() {
			w.tally.Rounds += uint64(i + 1)
			w.tally.MostRounds = max(w.tally.MostRounds, uint64(i+1))
			return
		}
	}
	if w.mayBeStuck() {
		w.tally.Stuck++
		return
	}
	w.fail("Liveness", "the database does not come back: %s", w.explain())
}

// round lets everybody do what there is to do. Only the first leader is left; of the other one, what it said before.
func (w *world) round() {
	busy := false
	for _, h := range w.hosts {
		if !h.server.Running() {
			h.server.Start()
		}
		h.announce()
		h.view, h.stale = w.last(), true
		h.leased()
		w.tick += 20
		for range 24 {
			if !h.hand.busy {
				h.look()
			}
			if !h.act() {
				break
			}
			busy = true
			w.group.Settle()
		}
		h.look()
		w.leaders[0].receive(h, h.report())
	}
	w.group.Settle()
	for _, m := range w.mail {
		m.to.receive(m.from, m.report)
	}
	w.mail = w.mail[:0]
	w.leaders[1].propose()
	l := w.leaders[0]
	l.view = w.last()
	l.pending = l.pending[:0]
	l.decide()
	busy = l.propose() || busy
	if busy {
		w.elapse(100 * time.Millisecond)
	} else {
		w.elapse(400 * time.Millisecond) // nothing happens but that time passes
	}
}

// wellServed reports whether the primary is open and a write is acknowledged.
func (w *world) wellServed() bool {
	d := w.truth()
	if d.Phase != registry.Serving || d.Policy.Async() != (d.Durability == registry.Async) || !d.Policy.Async() && !d.IsLossless() {
		return false
	}
	h := w.host(d.Primary)
	if !h.server.Open() || h.hand.busy {
		return false
	}
	t, ok := w.group.Commit(h.server)
	w.group.Settle()
	return ok && w.isServed(t)
}

// mayBeStuck reports what is for people: nobody can prove to have everything, because more memories are lost than k; or
// members contradict each other, and no one of them holds what was served and has enough others that agree with it. A primary
// that reigns alone is never replaced, so there it must be too few others that hold nothing which it lacks, by what servers
// hold and not by what their guards say.
func (w *world) mayBeStuck() bool {
	d := w.truth()
	need := d.Policy.K
	if d.K > 0 {
		need = min(need, d.K)
	}
	if d.Phase == registry.Serving && !d.IsLossless() { // who has more, also what was given up, is kept out
		primary, kept := w.host(d.Primary), 0
		for _, h := range w.hosts {
			extra := slices.ContainsFunc(h.server.Everything(), func(t mysqldtest.Txn) bool { return !primary.server.Holds(t) })
			if h != primary && !extra {
				kept++
			}
		}
		return kept < need
	}
	return w.memoriesLost(d) || !slices.ContainsFunc(w.hosts, func(h *host) bool { return w.couldWin(h, need) })
}

// memoriesLost reports whether the former primary has forgotten that it reigned and too few ackers remember what they
// acknowledged.
func (w *world) memoriesLost(d *registry.Database) bool {
	if d.Phase != registry.Fencing || d.Settled != nil || d.Former == "" || d.Accepted != nil || w.host(d.Former).file.written.Holds != "" {
		return false
	}
	whole := 0
	for _, id := range d.Ackers {
		if w.host(id).remembers() {
			whole++
		}
	}
	return d.Durability != registry.Async && (whole < d.Need() || !d.IsLossless()) // after a degraded reign nobody else's word is a proof
}

// couldWin reports whether h holds everything that was served, and need others nothing that it lacks.
func (w *world) couldWin(h *host, need int) bool {
	lacked := func(t mysqldtest.Txn) bool { return !h.server.Holds(t) }
	if slices.ContainsFunc(w.served, lacked) {
		return false
	}
	agree := -1 // with itself
	for _, other := range w.hosts {
		if !slices.ContainsFunc(other.server.Log(), lacked) {
			agree++
		}
	}
	return agree >= need
}

// explain says where everybody stands.
func (w *world) explain() string {
	var s story
	d := w.truth()
	s.tell("%s epoch %d primary %q former %q ackers %v k %d next %v settled %+v", d.Phase, d.Epoch, d.Primary, d.Former, d.Ackers, d.K, d.NextAckers, d.Settled)
	for _, h := range w.hosts {
		o := h.eyes.Latest()
		s.tell("  %s %s open %t log %v visible %d received %v record %+v", h.id, o.Process, h.server.Open(), h.server.Log(), len(h.server.Visible()), o.Status.Received, h.file.written)
		if h.guard != nil {
			s.tell("    guard %+v", h.guard.Report())
		}
	}
	view, clock := w.leaders[0].look()
	decision := decide.Decide(d, view, decide.DefaultRules(), clock)
	s.tell("  waiting: %s", cmp.Or(decision.Waiting.String(), "nothing"))
	return strings.Join(s.lines, "\n")
}

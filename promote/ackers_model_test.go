package promote

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// reign is one reign of db1 whose ackers change, with Decide, Next and the registry as they are, and of the servers only
// how far each has received the one log, and which acknowledgements are on their way. Agents see old states and leaders
// old reports; an agent is restarted and sees any state there ever was.
type reign struct {
	rng    *rand.Rand
	states []*registry.State
	hosts  map[registry.InstanceID]*replica
	log    int // transactions written
	k      int // that the primary's server waits for
	acked  map[registry.InstanceID]int
	flight []flying
	proof  flying // who: unused; revision and place of the proof that waits
	view   health.View
	told   []string
}

type replica struct {
	local    Local
	view     int
	received int
	acks     bool // as the receiver was started
	lazy     bool // its agent rarely does anything
	slow     bool // it rarely receives anything
}

type flying struct {
	who      registry.InstanceID
	upTo     int
	revision uint64
}

var reignMembers = []registry.InstanceID{"db1", "db2", "db3", "db4"}

func newReign(t *testing.T, seed uint64) *reign {
	d := group(4).with(func(d *registry.Database) {
		for _, a := range d.Ackers {
			d.Armed = append(d.Armed, registry.Armed{Instance: a, Source: "db1"})
		}
	}).d
	r := &reign{rng: rand.New(rand.NewPCG(seed, 1)), states: []*registry.State{decoded(t, d)}, k: 1,
		hosts: map[registry.InstanceID]*replica{}, acked: map[registry.InstanceID]int{}, view: health.View{}}
	uneven := seed%2 == 0 // in half of the schedules
	for _, id := range reignMembers {
		h := &replica{local: following(d, id, db1at, Acknowledges), acks: true, lazy: uneven && r.rng.IntN(3) == 0, slow: uneven && r.rng.IntN(2) == 0}
		if id == "db1" {
			h.local = reigning(d)
		}
		r.hosts[id] = h
		r.report(id)
	}
	return r
}

func (r *reign) head() *registry.Database {
	d, _ := r.states[len(r.states)-1].Database("orders")
	return d
}

func (r *reign) seen(h *replica) *registry.Database {
	d, _ := r.states[h.view].Database("orders")
	return d
}

func (r *reign) commit(c registry.Command) {
	if c == nil {
		return
	}
	s := r.states[len(r.states)-1]
	if next, err := c.Apply(s); err == nil {
		r.states = append(r.states, next.WithIndex(s.Index()+1))
		r.tell("%T %+v", c, c)
	}
}

func (r *reign) tell(format string, args ...any) {
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

// completed is how much of the log was acknowledged to clients.
func (r *reign) completed() int {
	var upTo []int
	for _, n := range r.acked {
		upTo = append(upTo, n)
	}
	slices.SortFunc(upTo, func(a, b int) int { return b - a })
	if len(upTo) < r.k {
		return 0
	}
	return upTo[r.k-1]
}

// report sends what an agent knows to the leader.
func (r *reign) report(id registry.InstanceID) {
	l := r.hosts[id].local
	h := health.Heard{Report: health.Report{Instance: id, Boot: "1", Process: health.ProcessRunning, Incarnation: "p1", ReadOnly: id != "db1"}}
	h.Guard = health.Guard{Promise: 1, Follows: 1, CaughtUp: true, Proved: l.Proved}
	if l.Silenced {
		h.Guard.Silent = l.Record.Revision
	}
	if id == "db1" {
		h.Guard.Marked, h.Guard.Open, h.Guard.Follows = 1, 1, 0
	} else {
		h.Replication = &health.Replication{Receiver: "running", Applier: true}
	}
	r.view[id] = h
}

// act does the next step of an agent.
func (r *reign) act(id registry.InstanceID) {
	h := r.hosts[id]
	d := r.seen(h)
	h.local.AsksFor = 0
	if id == "db1" {
		h.local.AsksFor = r.k
	}
	s := Next(d, id, h.local)
	if s.Verb != Wait {
		r.tell("%s at revision %d: %s acks %t k %d", id, d.Revision, s.Verb, s.Acks, s.K)
	}
	switch s.Verb {
	case Promise:
		h.local.Record.Revision = d.Revision
	case Rejoin:
		h.acks = bool(s.Acks)
		h.local.SemiSync, h.local.Silenced = s.Acks, s.Acks == Silent
	case Ask:
		r.k = s.K
	case Prove:
		if r.proof.revision != d.Revision {
			r.log++
			r.proof = flying{upTo: r.log, revision: d.Revision}
		}
		if r.completed() >= r.proof.upTo {
			h.local.Proved = d.Revision
		}
	}
}

// step is one event of a schedule.
func (r *reign) step() {
	id := reignMembers[r.rng.IntN(len(reignMembers))]
	h := r.hosts[id]
	event := r.rng.IntN(16)
	if r.rng.IntN(10) > 0 && (h.slow && event >= 1 && event <= 3 || h.lazy && event >= 6 && event <= 8) {
		return
	}
	switch event {
	case 0:
		r.log++
	case 1, 2, 3:
		if id != "db1" && h.received < r.log {
			h.received++
			if h.acks {
				r.flight = append(r.flight, flying{who: id, upTo: h.received})
			}
		}
	case 4, 5:
		if i := slices.IndexFunc(r.flight, func(f flying) bool { return f.who == id }); i >= 0 {
			r.acked[id] = max(r.acked[id], r.flight[i].upTo)
			r.flight = slices.Delete(r.flight, i, i+1)
		}
	case 6, 7, 8:
		r.act(id)
	case 9:
		h.view += r.rng.IntN(len(r.states) - h.view)
	case 10, 11:
		r.report(id)
	case 12, 13:
		clock := decide.Clock{Watching: time.Minute, InPhase: time.Minute}
		r.commit(decide.Decide(r.head(), r.view, decide.DefaultRules(), clock).Command)
	case 14:
		if r.rng.IntN(8) == 0 {
			h.view, h.local.Silenced = r.rng.IntN(len(r.states)), false // the agent is restarted
		}
	case 15:
		r.wish(id)
	}
}

func (r *reign) wish(id registry.InstanceID) {
	switch r.rng.IntN(24) {
	case 0, 3, 4, 5, 6, 7:
		r.commit(&registry.Leave{Database: "orders", Instance: id, Cause: registry.Cause{Code: registry.MemberLeaving}})
	case 1:
		r.commit(&registry.Leave{Database: "orders", Instance: id})
	case 2:
		p := r.head().Policy
		p.K = 1 + r.rng.IntN(3)
		r.commit(&registry.PutDatabase{Name: "orders", Policy: p})
	}
}

// lost says which acknowledged transaction a fence could miss now, or "": every |A|-K+1 ackers meet those that have it if
// and only if K of them have it.
func (r *reign) lost() string {
	d, n := r.head(), r.completed()
	have := 0
	for _, a := range d.Ackers {
		if r.hosts[a].received >= n {
			have++
		}
	}
	if n > 0 && have < d.K {
		return fmt.Sprintf("transaction %d is acknowledged and on %d of %v, a fence of %d need not meet one; the server waits for %d", n, have, d.Ackers, d.Need(), r.k)
	}
	return ""
}

func TestEveryFenceMeetsEveryAcknowledgedWriteWhileAckersChange(t *testing.T) {
	var retired, raised, lowered int
	for seed := range uint64(3000) {
		r := newReign(t, seed)
		for range 1500 {
			before := r.head()
			r.step()
			if what := r.lost(); what != "" {
				t.Fatalf("seed %d: %s\n%s", seed, what, r.told[max(0, len(r.told)-25):])
			}
			switch now := r.head(); {
			case now.K > before.K:
				raised++
			case now.K < before.K:
				lowered++
			case len(now.Ackers) < len(before.Ackers):
				retired++
			}
		}
	}
	t.Logf("%d ackers retired, k raised %d times and lowered %d times", retired, raised, lowered)
	if min(retired, raised, lowered) < 20 {
		t.Error("the schedules reach too little")
	}
}

package sim

import (
	"slices"
	"time"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// class says what an event is for.
type class uint8

const (
	work   class = iota // what goes on anyway
	repair              // what ends a fault
	fault               // what goes wrong, or is done by a person
)

// kind is one kind of thing that can happen. do is given two hosts, draws the rest from the world, and returns false
// where there was nothing to do: then it has changed nothing.
type kind struct {
	name   string
	class  class
	weight int // among its class
	do     func(w *world, a, b *host) bool
	moves  bool // after it more can be done than to let time pass
}

// Event is one thing that happens: of which kind, to whom, and what it draws from.
type Event struct {
	Kind   uint8
	A, B   uint8
	Chance uint32
}

// play lets e happen. It reports whether anything did.
func (w *world) play(e Event) bool {
	w.chance = uint64(e.Chance)
	k := kinds[e.Kind]
	a, b := w.member(e.A), w.member(e.B)
	if k.class == fault && w.story != nil {
		w.tell("%s %s %s", k.name, a.id, b.id)
	}
	phase := w.phase
	if !k.do(w, a, b) {
		return false
	}
	w.cannot = 0
	w.elapse(time.Duration(w.draw(3)) * time.Millisecond)
	w.tick++
	w.tally.happened(int(e.Kind), phase)
	return true
}

// member is the host of this number, also in a world of fewer than a case was written for.
func (w *world) member(n uint8) *host {
	if int(n) < len(w.hosts) {
		return w.hosts[n]
	}
	return w.hosts[int(n)%len(w.hosts)]
}

// timePasses is the kind of event that is always possible.
const timePasses = 0

// plain are kinds for which neither who nor what is drawn has a part in whether they can happen. Where one cannot, trying
// leaves nothing behind, and it cannot until something else has happened.
func plain() (bits uint64) {
	for i, k := range kinds {
		switch k.name {
		case "act", "sync", "look", "report", "write", "ack", "apply", "lease":
			bits |= 1 << i
		}
	}
	return bits
}

// kinds are all kinds of events. A new one is appended: cases in testdata name them.
var kinds = []kind{
	{"time passes", work, 1, (*world).passes, false}, // timePasses
	{"act", work, 200, func(w *world, a, _ *host) bool { return w.someone(a, (*host).act) }, true},
	{"sync", work, 24, func(w *world, a, _ *host) bool { return w.someone(a, (*host).sync) }, false},
	{"look", work, 16, func(w *world, a, _ *host) bool {
		return w.someone(a, func(h *host) bool { return h.guard != nil && h.server.Changes() != h.noticed && h.look() })
	}, false},
	{"report", work, 16, func(w *world, a, _ *host) bool {
		return w.someone(a, func(h *host) bool { return h.news && h.send() })
	}, false},
	{"mail", work, 40, (*world).carry, false},
	{"follow the log", work, 16, func(w *world, _, _ *host) bool { return w.anyLeader().follow() }, false},
	{"decide", work, 12, func(w *world, _, _ *host) bool { l := w.anyLeader(); return l.stale && l.decide() }, false},
	{"propose", work, 24, func(w *world, _, _ *host) bool { return w.anyLeader().propose() }, false},
	{"write", work, 8, func(w *world, a, _ *host) bool {
		return w.someone(a, func(h *host) bool { _, ok := w.group.Commit(h.server); return ok })
	}, false},
	{"deliver", work, 40, func(w *world, a, _ *host) bool {
		return w.someone(a, func(h *host) bool { return w.group.Deliver(h.server) })
	}, true},
	{"ack", work, 30, func(w *world, a, _ *host) bool {
		return w.someone(a, func(h *host) bool { return w.group.Ack(h.server) })
	}, true},
	{"apply", work, 30, func(w *world, a, _ *host) bool {
		return w.someone(a, func(h *host) bool { return w.group.Apply(h.server) })
	}, true},
	{"read", work, 2, func(w *world, a, _ *host) bool {
		if !a.server.Writable() {
			return false
		}
		w.readAll(a)
		return true
	}, false},

	{"start", repair, 8, func(_ *world, a, _ *host) bool {
		if a.server.Running() {
			return false
		}
		a.server.Start()
		return true
	}, true},
	{"thaw", repair, 4, func(_ *world, a, _ *host) bool {
		if a.server.Answers() || !a.server.Running() {
			return false
		}
		a.server.Thaw()
		return true
	}, true},
	{"agent starts", repair, 8, func(w *world, a, _ *host) bool {
		if a.guard != nil {
			return false
		}
		a.begin()
		return true
	}, true},
	{"agent hears and is heard", repair, 6, func(_ *world, a, _ *host) bool {
		was := a.deaf || a.mute
		a.deaf, a.mute = false, false
		return was
	}, true},
	{"heal", repair, 8, func(w *world, a, b *host) bool {
		if !w.group.IsCut(a.server, b.server) {
			return false
		}
		w.group.Heal(a.server, b.server)
		return true
	}, true},
	{"make room", repair, 4, func(_ *world, a, _ *host) bool { return a.server.Empty() }, true},

	{"crash", fault, 3, func(_ *world, a, _ *host) bool { return a.crash() }, false},
	{"crash the primary", fault, 8, func(w *world, _, _ *host) bool { h := w.primary(); return h != nil && h.crash() }, false},
	{"restart", fault, 2, func(_ *world, a, _ *host) bool {
		if !a.crash() {
			return false
		}
		a.server.Start()
		return true
	}, false},
	{"restart the primary", fault, 2, func(w *world, _, _ *host) bool {
		h := w.primary()
		if h == nil || !h.crash() {
			return false
		}
		h.server.Start()
		return true
	}, false},
	{"freeze", fault, 2, func(_ *world, a, _ *host) bool { return a.freeze() }, false},
	{"freeze the primary", fault, 3, func(w *world, _, _ *host) bool { h := w.primary(); return h != nil && h.freeze() }, false},
	{"disk full", fault, 1, func(_ *world, a, _ *host) bool { return a.server.Fill() }, false},
	{"disk of the primary full", fault, 1, func(w *world, _, _ *host) bool { h := w.primary(); return h != nil && h.server.Fill() }, false},
	{"agent dies", fault, 3, func(_ *world, a, _ *host) bool {
		if a.guard == nil {
			return false
		}
		a.end()
		return true
	}, false},
	{"promise file lost", fault, 1, func(_ *world, a, _ *host) bool {
		if a.guard != nil {
			a.end()
		}
		a.forget()
		return true
	}, false},
	{"agent deaf", fault, 2, func(_ *world, a, _ *host) bool { was := a.deaf; a.deaf = true; return !was }, false},
	{"agent mute", fault, 2, func(_ *world, a, _ *host) bool { was := a.mute; a.mute = true; return !was }, false},
	{"new leader", fault, 2, func(w *world, _, _ *host) bool { w.anyLeader().reset(); return true }, false},
	{"somebody starts replication", fault, 4, func(w *world, a, _ *host) bool {
		if w.shape.Flavor != mysqld.MySQL || !a.server.Answers() { // MariaDB's fence is the guard's promise alone
			return false
		}
		a.server.HumanStarts()
		return true
	}, false},
	{"somebody restarts replication", fault, 2, func(w *world, a, _ *host) bool {
		if w.shape.Flavor != mysqld.MySQL || !a.server.Answers() {
			return false
		}
		a.server.HumanRestarts()
		return true
	}, false},
	{"somebody restarts replication on MariaDB", fault, 4, func(w *world, a, _ *host) bool {
		if w.shape.Flavor != mysqld.MariaDB || !a.server.Answers() {
			return false
		}
		a.server.HumanRestarts()
		return true
	}, false},
	{"cut", fault, 3, func(w *world, a, b *host) bool {
		if a == b || w.group.IsCut(a.server, b.server) {
			return false
		}
		w.group.Cut(a.server, b.server)
		return true
	}, false},
	{"isolate", fault, 2, func(w *world, a, _ *host) bool {
		for _, b := range w.hosts {
			if b != a {
				w.group.Cut(a.server, b.server)
			}
		}
		a.deaf, a.mute = true, true
		return true
	}, false},
	{"everything stands still", fault, 2, func(w *world, _, _ *host) bool {
		w.elapse(time.Duration(w.draw(3000)) * time.Millisecond)
		return true
	}, false},
	{"switchover", fault, 6, func(w *world, a, _ *host) bool {
		d := w.truth()
		return w.commit("operator", &registry.Revoke{Database: database, Epoch: d.Epoch + 1, To: a.id, Cause: registry.Cause{Code: decide.Switchover}})
	}, false},
	{"host loses power", fault, 2, func(_ *world, a, _ *host) bool { a.powerCut(); return true }, false},
	{"power cut", fault, 1, func(w *world, _, _ *host) bool {
		for _, h := range w.hosts {
			h.powerCut()
		}
		return true
	}, false},
	{"another k", fault, 2, func(w *world, _, _ *host) bool {
		policy := w.truth().Policy
		policy.K = 3 - policy.K
		if w.shape.Flavor != mysqld.MySQL || policy.K >= policy.Expect {
			return false
		}
		return w.commit("operator", &registry.PutDatabase{Name: database, Policy: policy})
	}, false},
	{"member leaves", fault, 2, func(w *world, a, _ *host) bool {
		return w.commit("operator", &registry.Leave{Database: database, Instance: a.id,
			Cause: registry.Cause{Code: registry.MemberLeaving, Detail: "somebody wants it"}})
	}, false},
	{"member stays", repair, 1, func(_ *world, a, _ *host) bool { return a.stays() }, true},
	{"prepared switchover", fault, 6, func(w *world, a, _ *host) bool {
		return w.commit("operator", &registry.Prepare{Database: database, Epoch: w.truth().Epoch, To: a.id, Cause: registry.Cause{Code: decide.Switchover}})
	}, false},
	{"lease", work, 30, func(w *world, a, _ *host) bool { return w.someone(a, (*host).asks) }, false},
	{"answer", work, 60, (*world).answer, true},
	{"machine goes on", repair, 6, func(_ *world, a, _ *host) bool { return a.goesOn() }, true},
	{"machine stands still", fault, 3, func(_ *world, a, _ *host) bool { return a.standsStill() }, false},
	{"machine of the primary stands still", fault, 2, func(w *world, _, _ *host) bool { h := w.primary(); return h != nil && h.standsStill() }, false},
	{"ackers gone", fault, 4, (*world).ackersGone, false},
	{"another durability", fault, 3, (*world).anotherDurability, false},
	{"loss accepted", fault, 3, (*world).acceptLoss, false},
	{"machine of the primary stands still until a fenced acker has no agent", fault, 3, (*world).unguarded, false},
}

// anyLeader is the first one most of the time: the other one is behind, and still speaks.
func (w *world) anyLeader() *leader {
	if w.draw(8) == 0 {
		return w.leaders[1]
	}
	return w.leaders[0]
}

// primary is whom the registry calls primary, or called so last.
func (w *world) primary() *host {
	d := w.truth()
	if d.Primary != "" {
		return w.host(d.Primary)
	}
	return w.host(d.Former)
}

// someone lets the first host do something that can, from a on.
func (w *world) someone(a *host, do func(*host) bool) bool {
	for i, n := int(a.server.Number)-1, len(w.hosts); n > 0; n-- {
		if do(w.hosts[i]) {
			return true
		}
		if i++; i == len(w.hosts) {
			i = 0
		}
	}
	return false
}

// passes lets time pass in which those who can look and report; some of it is lost.
func (w *world) passes(_, _ *host) bool {
	w.elapse(time.Duration(50+w.draw([]int{200, 600, 1500}[w.draw(3)])) * time.Millisecond)
	for _, h := range w.hosts {
		if h.guard == nil || h.still {
			continue
		}
		h.look()
		r := h.sent
		if h.news || r == nil {
			r = h.report()
		}
		for i, l := range w.leaders {
			if !h.mute && w.draw(16) > 11*i { // most reports go to the first
				l.receive(h, r)
			}
		}
	}
	w.tick += 20
	return true
}

// carry delivers, loses, repeats or keeps back a report.
func (w *world) carry(_, _ *host) bool {
	if len(w.mail) == 0 {
		return false
	}
	i := 0
	if w.draw(4) == 0 {
		i = w.draw(len(w.mail))
	}
	m := w.mail[i]
	if w.draw(16) > 0 {
		w.mail = slices.Delete(w.mail, i, i+1)
	}
	if w.draw(20) > 0 {
		m.to.receive(m.from, m.report)
	}
	return true
}

func (h *host) crash() bool {
	if !h.server.Running() {
		return false
	}
	h.server.Crash()
	return true
}

func (h *host) freeze() bool {
	if !h.server.Answers() {
		return false
	}
	h.server.Freeze()
	return true
}

func (h *host) powerCut() {
	h.server.Crash()
	if h.guard != nil {
		h.end()
	}
	h.file.powerCut()
}

package health

import (
	"sync"
	"time"

	"github.com/baton-db/baton/registry"
)

// Board remembers the newest report of every instance. It is safe for concurrent use.
type Board struct {
	began   time.Time
	mu      sync.Mutex
	entries map[registry.DatabaseName]map[registry.InstanceID]*entry
	changed chan struct{}
}

type entry struct {
	report   Report
	at       time.Time
	probe    Probe
	probedAt time.Time
	alive    time.Time // when a probe was last answered
}

// NewBoard returns an empty board.
func NewBoard() *Board {
	return &Board{began: time.Now(), entries: map[registry.DatabaseName]map[registry.InstanceID]*entry{}, changed: make(chan struct{})}
}

// Receive keeps r if it is newer than what the board has of that instance and reports whether it was. A new Boot is
// newer than any report of another, so the transport must not reorder across a restart of the agent by more than the
// life of a connection.
func (b *Board) Receive(r Report) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(r.Database, r.Instance)
	if e.report.Boot == r.Boot && r.Seq <= e.report.Seq {
		return false
	}
	notable := differs(e.report, r)
	e.report, e.at = r, time.Now()
	if notable {
		b.wake()
	}
	return true
}

// answered is for how long one answer outweighs the probes that fail after it: where packets are lost, a probe that is answered
// is proof and one that fails is not.
const answered = time.Second

// Probed records the result of a direct probe.
func (b *Board) Probed(db registry.DatabaseName, id registry.InstanceID, p Probe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, now := b.entry(db, id), time.Now()
	if p == ProbeDead && now.Sub(e.alive) < answered {
		return
	}
	if p != ProbeDead {
		e.alive = now
	}
	if e.probe != p {
		b.wake()
	}
	e.probe, e.probedAt = p, now
}

func (b *Board) entry(db registry.DatabaseName, id registry.InstanceID) *entry {
	if b.entries[db] == nil {
		b.entries[db] = map[registry.InstanceID]*entry{}
	}
	if b.entries[db][id] == nil {
		b.entries[db][id] = &entry{}
	}
	return b.entries[db][id]
}

func (b *Board) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// differs reports whether b says something of a that cannot wait for the next tick of whoever reads the board. While a server is
// in doubt every report of it is waited for.
func differs(a, b Report) bool {
	ga, gb := a.Guard, b.Guard
	ga.Doing, gb.Doing, ga.Problem, gb.Problem, ga.Stuck, gb.Stuck = "", "", "", "", "", ""
	return ga != gb || a.Power != b.Power || a.Boot != b.Boot || a.Process != b.Process || a.Incarnation != b.Incarnation ||
		a.UnreachableMillis != 0 || b.UnreachableMillis != 0 || b.Canary.DiskMillis != 0 || a.ReadOnly != b.ReadOnly
}

// Changed returns a channel that is closed when something notable arrives. Take it before View.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// View returns what is known of one database. An instance that was probed and never reported has a zero Report, as old as
// the board: whoever leads may have been started after it died.
func (b *Board) View(db registry.DatabaseName) View {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, now := View{}, time.Now()
	for id, e := range b.entries[db] {
		h := Heard{Report: e.report, Age: now.Sub(e.at)}
		if !h.Ever() {
			h.Age = now.Sub(b.began)
		}
		if e.probedAt.After(e.at) {
			h.Probed = e.probe // older than the report: the report knows better
		}
		v[id] = h
	}
	return v
}

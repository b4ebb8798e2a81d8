package sim

import (
	"slices"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// leader is a server that believes it leads.
type leader struct {
	world   *world
	number  int
	name    string
	view    int
	began   time.Time
	board   []entry // by host
	seen    health.View
	epoch   registry.Epoch
	phase   registry.Phase
	handing bool
	since   time.Time
	pending []registry.Command
	stale   bool // what it decides from may have changed
}

// entry is the newest report of one host.
type entry struct {
	report *health.Report
	at     time.Time
}

func newLeader(w *world, number int) *leader {
	l := &leader{world: w, number: number, name: [...]string{"leader1", "leader2"}[number], board: make([]entry, len(w.hosts)), seen: health.View{}}
	l.reset()
	return l
}

func (l *leader) copied(w *world) *leader {
	c := *l
	c.world, c.board, c.seen, c.pending = w, slices.Clone(l.board), health.View{}, slices.Clone(l.pending)
	return &c
}

// reset begins a new term, in which nothing has been heard yet.
func (l *leader) reset() {
	l.began, l.since = l.world.now, l.world.now
	clear(l.board)
	clear(l.seen)
	l.view, l.pending, l.stale = l.world.last(), nil, true
}

// follow lets the leader hear of some of what was committed since it last did.
func (l *leader) follow() bool {
	last := l.world.last()
	if l.view == last {
		return false
	}
	l.view += 1 + l.world.draw(last-l.view)
	l.stale = true
	return true
}

// receive is what health.Board does. The newest report again stands for one that says the same.
func (l *leader) receive(from *host, r *health.Report) {
	if old := l.board[from.server.Number-1].report; old != nil && old != r && old.Boot == r.Boot && r.Seq <= old.Seq {
		return
	}
	l.board[from.server.Number-1] = entry{r, l.world.now}
	l.stale = true
	from.dies(r)
}

// look is what this leader knows.
func (l *leader) look() (health.View, decide.Clock) {
	now := l.world.now
	for i, h := range l.world.hosts {
		e := l.board[i]
		if e.report == nil {
			continue
		}
		heard := health.Heard{Report: *e.report, Age: now.Sub(e.at)}
		if heard.Age > 350*time.Millisecond {
			heard.Probed = health.ProbeDead
			if h.server.Answers() && !(h.deaf && h.mute) { // who is cut off from every leader is reached by no probe
				heard.Probed = health.ProbeAlive
			}
		}
		l.seen[h.id] = heard
	}
	fast := func(d time.Duration) time.Duration { return d * 1001 / 1000 } // the worst clock that a leader may have
	return l.seen, decide.Clock{Watching: fast(now.Sub(l.began)), InPhase: fast(now.Sub(l.since)), NowMillis: now.UnixMilli()}
}

// decide makes a command from what this leader knows.
func (l *leader) decide() bool {
	l.stale = false
	d := l.world.phases[l.view]
	if d.Epoch != l.epoch || d.Phase != l.phase || l.handing != (d.Handover != nil) {
		l.epoch, l.phase, l.handing, l.since = d.Epoch, d.Phase, d.Handover != nil, l.world.now
	}
	view, clock := l.look()
	decision := decide.Decide(d, view, decide.DefaultRules(), clock)
	if decision.Command == nil {
		if code := decision.Waiting.Code; code != "" {
			l.world.tally.Waiting[code]++
		}
		return true
	}
	l.pending = append(l.pending, decision.Command)
	return true
}

// propose commits one of the last commands, one time or again.
func (l *leader) propose() bool {
	if len(l.pending) == 0 {
		return false
	}
	i := l.world.draw(len(l.pending))
	command := l.pending[i]
	if l.world.draw(16) > 0 {
		l.pending = slices.Delete(l.pending, i, i+1)
	}
	if len(l.pending) > 3 {
		l.pending = l.pending[1:]
	}
	l.world.commit(l.name, command)
	return true
}

package promote

import (
	"slices"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

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

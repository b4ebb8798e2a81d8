package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// emptied is a member whose data was removed by a copy that did not end. What it says of its GTIDs stays.
func (s *scene) emptied(id registry.InstanceID) *scene {
	return s.change(id, func(h *health.Heard) {
		h.Returning = &health.Returning{Doing: "wait", Why: "a copy did not end", Replaced: true}
	})
}

// A server may say that it has every transaction, and have no row of them: it proves nothing, wins nothing and acknowledges
// nothing, whatever its guard had said before.
func TestAServerThatWasEmptiedCountsForNothing(t *testing.T) {
	both := func() *scene { return group(3).fencing().fenced("db2", "u1:1-7").fenced("db3", "u1:1-9") }
	blocked := func() *scene {
		return group(3).fencing().never("db2").fenced("db3", "u1:1-9").inPhase(time.Minute)
	}
	joins := func() *scene { return group(3).with(func(d *registry.Database) { d.Ackers = d.Ackers[:1] }) }
	for _, c := range []struct {
		name    string
		s       *scene
		want    string
		without string // the same where it was not emptied
	}{
		{"it has most", both().emptied("db3").with(func(d *registry.Database) { d.Ackers, d.K = d.Ackers[:1], 1 }).inPhase(time.Minute), "waiting AckersMissing",
			"elect 2 db3 by fenced base u1:1-7 ackers db2 k 1 (Elected)"},
		{"it is a fenced acker", both().emptied("db3").inPhase(time.Minute), "waiting AckersMissing", "elect 2 db3 by fenced base u1:1-9 ackers db2 k 1 (Elected)"},
		{"a loss is accepted", blocked().accepts("").emptied("db3"), "waiting AckersMissing", "*registry.Forfeit"},
		{"a loss is accepted, and it is wanted", blocked().accepts("db3").emptied("db3"), "waiting AckersMissing", "*registry.Forfeit"},
		{"it would acknowledge", joins().emptied("db3"), "nothing", "add acker 1 db3"},
		{"a primary hands over", group(3).closing().closed("u1:1-9").emptied("db3"), "elect 2 db2 by closed base u1:1-9 ackers db1 k 1 (Elected)",
			"elect 2 db2 by closed base u1:1-9 ackers db1+db3 k 1 (Elected)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.s.outcome(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			c.s.accepted(t)
			c.s.change("db3", func(h *health.Heard) { h.Returning = nil })
			if got := c.s.outcome(); got != c.without {
				t.Errorf("where it was not emptied: %s, want %s", got, c.without)
			}
		})
	}
	wanted := blocked().accepts("db3").emptied("db3")
	if got := Decide(wanted.d, wanted.view, wanted.rules, wanted.clock).Waiting.Detail; !strings.Contains(got, "db3, which is wanted, holds nothing: a copy did not end") {
		t.Errorf("it says %q", got)
	}
}

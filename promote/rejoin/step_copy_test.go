package rejoin_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/registry"
)

// What is on a server counts again when a copy is known to be complete, or nothing was removed, or it is another server; GTIDs
// are not asked (G2).
func TestAServerIsEmptyUntilACopyOfItIsComplete(t *testing.T) {
	cloning := rejoin.Local{Policy: rejoin.Rewind, Up: true, Incarnation: "1", Known: true,
		Journal: rejoin.Journal{Stage: rejoin.Cloning, Extra: "u:9", Archive: "/a", Incarnation: "1", Source: "u", BegunMillis: 1}}
	empty := cloning
	empty.Journal.Stage, empty.Journal.Lost, empty.Incarnation = rejoin.Emptied, "the donor has ended", "2"
	reigning := reigns()
	for _, c := range []struct {
		name   string
		l      rejoin.Local
		d      func(*registry.Database)
		change func(*rejoin.Local)
		verb   rejoin.Verb
		why    string
	}{
		{"it was never begun", cloning, nil, nil, rejoin.DoClone, ""},
		{"it is under way", cloning, nil, func(l *rejoin.Local) { l.Copy.Running, l.Copy.Removed = true, true }, rejoin.DoNothing, "since 1970-01-01 00:00:00 UTC"},
		{"under way while nobody reigns", cloning, nobody, func(l *rejoin.Local) { l.Copy.Running, l.Copy.Removed = true, true }, rejoin.DoNothing, "is gone"},
		{"the server said no after it had removed everything", cloning, nil, func(l *rejoin.Local) { l.Copy.Removed = true }, rejoin.DoConcede, "failed"},
		{"the same while nobody reigns", cloning, nobody, func(l *rejoin.Local) { l.Copy.Removed = true }, rejoin.DoConcede, ""},
		{"it was killed meanwhile and knows of no copy", cloning, nil, func(l *rejoin.Local) { l.Incarnation = "2" }, rejoin.DoConcede, "ended"},
		{"it was killed meanwhile and knows", cloning, nil, func(l *rejoin.Local) { l.Incarnation, l.Copy.Removed = "2", true }, rejoin.DoConcede, ""},
		{"complete", cloning, nil, func(l *rejoin.Local) { l.Incarnation, l.Copy.Removed, l.Copy.Completed = "2", true, true }, rejoin.DoFinish, "complete"},
		{"complete, and nobody reigns", cloning, nobody, func(l *rejoin.Local) { l.Incarnation, l.Copy.Completed = "2", true }, rejoin.DoFinish, ""},
		{"no right to ask", cloning, nil, func(l *rejoin.Local) { l.Incarnation, l.Copy.Unasked = "2", "lacks SELECT" }, rejoin.DoNothing, "lacks SELECT. Way out: "},
		{"no right to ask in the same process", cloning, nil, func(l *rejoin.Local) { l.Copy.Unasked = "lacks SELECT" }, rejoin.DoNothing, "lacks SELECT. Way out: "},
		{"another data directory", cloning, nil, func(l *rejoin.Local) { l.Incarnation, l.Copy.Moved, l.Copy.Unasked = "2", true, "no" }, rejoin.DoFinish, "another data directory"},
		{"not begun, and nobody reigns any more", cloning, nobody, nil, rejoin.DoFinish, "removed nothing"},
		{"not begun, and it reigns", cloning, func(d *registry.Database) { d.Primary = "db1" }, nil, rejoin.DoFinish, "removed nothing"},
		{"not begun, and paused", cloning, func(d *registry.Database) { d.Policy.Paused = true }, nil, rejoin.DoFinish, "removed nothing"},
		{"ended", cloning, nil, dies, rejoin.DoStart, ""},
		{"ended, and baton may not start it", cloning, nil, left, rejoin.DoNothing, "start it"},
		{"not seen", cloning, nil, func(l *rejoin.Local) { l.Up = false }, rejoin.DoNothing, "restarts"},

		{"emptied", empty, nil, nil, rejoin.DoClone, "the donor has ended"},
		{"emptied, and the policy is clone", empty, nil, func(l *rejoin.Local) { l.Policy = rejoin.Clone }, rejoin.DoClone, ""},
		{"emptied a moment ago", empty, nil, func(l *rejoin.Local) { l.Copy.Resting = true }, rejoin.DoNothing, "in a moment"},
		{"emptied, and a person is waited for", empty, nil, func(l *rejoin.Local) { l.Wish = rejoin.Wait }, rejoin.DoNothing, "Way out: "},
		{"emptied, and nobody reigns", empty, nobody, nil, rejoin.DoNothing, "neither reign nor acknowledge; it is copied again when"},
		{"emptied, and it is no member", empty, func(d *registry.Database) { d.Members = d.Members[1:] }, nil, rejoin.DoNothing, "Way out: "},
		{"emptied, and paused", empty, func(d *registry.Database) { d.Policy.Paused = true }, nil, rejoin.DoNothing, "resume"},
		{"emptied, no plugin", empty, nil, func(l *rejoin.Local) { l.MayClone = "no plugin" }, rejoin.DoNothing, "no plugin. Way out: "},
		{"emptied, where its data is nobody knows", empty, nil, func(l *rejoin.Local) { l.Known, l.Unknown = false, "no rights" }, rejoin.DoNothing, "no rights"},
		{"emptied, and copied", empty, nil, func(l *rejoin.Local) { l.Copy.Running = true }, rejoin.DoNothing, "under way"},
		{"emptied, and no right to ask", empty, nil, func(l *rejoin.Local) { l.Copy.Unasked = "lacks SELECT" }, rejoin.DoNothing, "lacks SELECT. Way out: "},
		{"emptied, and copied whole", empty, nil, func(l *rejoin.Local) { l.Copy.Completed = true }, rejoin.DoFinish, "complete"},
		{"emptied, and copied whole while nobody reigns", empty, nobody, func(l *rejoin.Local) { l.Copy.Completed = true }, rejoin.DoFinish, "complete"},
		{"emptied, and replaced", empty, nil, func(l *rejoin.Local) { l.Copy.Moved = true }, rejoin.DoFinish, "another data directory"},
		{"emptied and ended", empty, nil, dies, rejoin.DoStart, ""},
		{"emptied and ended for good", empty, nil, left, rejoin.DoNothing, "start it"},
		{"emptied and not seen", empty, nil, func(l *rejoin.Local) { l.Up = false }, rejoin.DoNothing, "does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, l := *reigning, c.l
			if c.d != nil {
				c.d(&d)
			}
			if c.change != nil {
				c.change(&l)
			}
			if got := rejoin.Next(&d, "db1", l); got.Verb != c.verb || !strings.Contains(got.Why, c.why) {
				t.Errorf("got %+v, want %s, %q", got, c.verb, c.why)
			}
		})
	}
}

func nobody(d *registry.Database) { d.Phase, d.Primary, d.Former = registry.Fencing, "", "db2" }

func dies(l *rejoin.Local) { l.Up, l.Dead = false, true }

func left(l *rejoin.Local) { dies(l); l.MayStart = "not set" }

package rejoin_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/registry"
)

// reigns is a database in which db2 reigns with db3 as acker, and db1 was primary before.
func reigns() *registry.Database {
	m := func(id registry.InstanceID) registry.Member {
		return registry.Member{ID: id, Node: registry.NodeID(id), Address: "10.0.0.1:3306", Flavor: registry.MySQL, Preference: registry.Normal}
	}
	return &registry.Database{Name: "orders", Phase: registry.Serving, Epoch: 2, Primary: "db2", Ackers: []registry.InstanceID{"db3"}, K: 1,
		Members: []registry.Member{m("db1"), m("db2"), m("db3")}}
}

func TestEachStepIsNamedForWhatIsSeen(t *testing.T) {
	const extra = "u:8-9"
	archived := rejoin.Journal{Extra: extra, Archive: "/a"}
	tried := rejoin.Journal{Extra: extra, Archive: "/a", Tried: map[rejoin.How]string{rejoin.Rewind: "too late", rejoin.Clone: "no rights"}}
	at := func(s rejoin.Stage) rejoin.Journal { j := archived; j.Stage, j.Incarnation = s, "1"; return j }
	crashed := &rejoin.Examined{Crashed: true, Compared: true, Extra: extra}
	dead := rejoin.Local{Policy: rejoin.Rewind, Dead: true, LedLast: true, Known: true}
	up := rejoin.Local{Policy: rejoin.Rewind, Up: true, Incarnation: "2", Extra: extra, LedLast: true, Known: true}
	with := func(l rejoin.Local, change func(*rejoin.Local)) rejoin.Local { change(&l); return l }
	cases := []struct {
		name string
		l    rejoin.Local
		verb rejoin.Verb
		why  string // part of it
	}{
		{"a server that is well", with(up, func(l *rejoin.Local) { l.Extra = "" }), rejoin.DoNothing, ""},
		{"diverged and not archived", up, rejoin.DoArchive, "db2 lacks u:8-9"},
		{"something else is archived", with(up, func(l *rejoin.Local) { l.Journal = archived; l.Extra = "u:8-10" }), rejoin.DoArchive, "u:8-10"},
		{"diverged, and its files were not found", with(up, func(l *rejoin.Local) { l.Known, l.Unknown = false, "no rights" }), rejoin.DoNothing, "no rights"},
		{"archived", with(up, func(l *rejoin.Local) { l.Journal = archived }), rejoin.DoClone, ""},
		{"archived, no clone", with(up, func(l *rejoin.Local) { l.Journal = archived; l.MayClone = "no plugin" }), rejoin.DoNothing, "no plugin. Way out: "},
		{"everything was tried", with(up, func(l *rejoin.Local) { l.Journal = tried }), rejoin.DoNothing, "too late; it cannot be cloned: no rights. Way out: "},
		{"the policy is wait", with(up, func(l *rejoin.Local) { l.Journal, l.Policy = archived, rejoin.Wait }), rejoin.DoNothing, "on_divergence is wait"},
		{"an operator wants it cloned", with(up, func(l *rejoin.Local) { l.Journal, l.Policy, l.Wish = archived, rejoin.Wait, rejoin.Clone }), rejoin.DoClone, ""},

		{"a dead replica", with(dead, func(l *rejoin.Local) { l.LedLast = false }), rejoin.DoNothing, ""},
		{"a dead former primary", dead, rejoin.DoExamine, ""},
		{"one that was never seen", with(dead, func(l *rejoin.Local) { l.Known = false }), rejoin.DoNothing, "not known"},
		{"one that may not be started", with(dead, func(l *rejoin.Local) { l.MayStart = "not set" }), rejoin.DoNothing, "not set"},
		{"one whose end nobody has seen", with(dead, func(l *rejoin.Local) { l.Dead = false }), rejoin.DoNothing, ""},
		{"one that cannot be looked at", with(dead, func(l *rejoin.Local) { l.Dead, l.Unsure = false, "no ibdata1" }), rejoin.DoNothing, "no ibdata1"},
		{"stopped in good order", with(dead, func(l *rejoin.Local) { l.Examined = &rejoin.Examined{Compared: true, Extra: extra} }), rejoin.DoNothing, "good order"},
		{"crashed with nothing extra", with(dead, func(l *rejoin.Local) { l.Examined = &rejoin.Examined{Crashed: true, Compared: true} }), rejoin.DoStart, ""},
		{"crashed, and nobody was asked", with(dead, func(l *rejoin.Local) { l.Examined = &rejoin.Examined{Crashed: true} }), rejoin.DoExamine, ""},
		{"crashed, not archived", with(dead, func(l *rejoin.Local) { l.Examined = crashed }), rejoin.DoArchive, extra},
		{"crashed, archived", with(dead, func(l *rejoin.Local) { l.Examined, l.Journal = crashed, archived }), rejoin.DoRewind, ""},
		{"it could not be rewound", with(dead, func(l *rejoin.Local) { l.Examined, l.Journal = crashed, tried }), rejoin.DoStart, "copy"},
		{"to be cloned", with(dead, func(l *rejoin.Local) { l.Examined, l.Journal, l.Policy = crashed, archived, rejoin.Clone }), rejoin.DoStart, "copy"},
		{"left dead", with(dead, func(l *rejoin.Local) { l.Examined, l.Journal, l.Policy = crashed, archived, rejoin.Wait }), rejoin.DoNothing, "Way out: "},

		{"begun to rewind", with(dead, func(l *rejoin.Local) { l.Journal = at(rejoin.Rewinding) }), rejoin.DoRewind, ""},
		{"begun to rewind, and what was known is lost", with(dead, func(l *rejoin.Local) { l.Journal, l.Known = at(rejoin.Rewinding), false }), rejoin.DoNothing, "not known"},
		{"begun to rewind, and started", with(up, func(l *rejoin.Local) { l.Journal = at(rejoin.Rewinding) }), rejoin.DoFinish, "somebody else"},
		{"begun to start", with(dead, func(l *rejoin.Local) { l.Journal = at(rejoin.Starting) }), rejoin.DoStart, ""},
		{"started just now", with(dead, func(l *rejoin.Local) { l.Journal, l.Waiting = at(rejoin.Starting), true }), rejoin.DoNothing, "does not answer yet"},
		{"started", with(up, func(l *rejoin.Local) { l.Journal = at(rejoin.Starting) }), rejoin.DoFinish, ""},
		{"begun to copy", with(up, func(l *rejoin.Local) { l.Journal, l.Incarnation = at(rejoin.Cloning), "1" }), rejoin.DoClone, ""},
		{"begun to copy, and its files were not found", with(up, func(l *rejoin.Local) { l.Journal, l.Incarnation, l.Known = at(rejoin.Cloning), "1", false }), rejoin.DoNothing, "not known"},
		{"copied and restarted", with(up, func(l *rejoin.Local) { l.Journal, l.Copy.Completed = at(rejoin.Cloning), true }), rejoin.DoFinish, "complete"},
		{"copied and ended", with(dead, func(l *rejoin.Local) { l.Journal = at(rejoin.Cloning) }), rejoin.DoStart, ""},
		{"copied and ended for good", with(dead, func(l *rejoin.Local) { l.Journal, l.MayStart = at(rejoin.Cloning), "x" }), rejoin.DoNothing, "start it"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := rejoin.Next(reigns(), "db1", c.l)
			if got.Verb != c.verb || !strings.Contains(got.Why, c.why) || c.verb == rejoin.DoNothing && c.why == "" && got.Why != "" {
				t.Errorf("got %+v, want %s, %q", got, c.verb, c.why)
			}
		})
	}
}

func TestNothingIsBegunWhereSomethingCouldBeLost(t *testing.T) {
	diverged := rejoin.Local{Policy: rejoin.Clone, Up: true, Extra: "u:9", Known: true, Journal: rejoin.Journal{Extra: "u:9", Archive: "/a"}}
	crashed := rejoin.Local{Policy: rejoin.Rewind, Dead: true, LedLast: true, Known: true, Examined: &rejoin.Examined{Crashed: true, Compared: true, Extra: "u:9"},
		Journal: rejoin.Journal{Extra: "u:9", Archive: "/a"}}
	change := map[string]func(*registry.Database){
		"nobody reigns":   func(d *registry.Database) { d.Phase = registry.Promoting },
		"it reigns":       func(d *registry.Database) { d.Primary = "db1" },
		"it acknowledges": func(d *registry.Database) { d.Ackers = []registry.InstanceID{"db1", "db3"} },
		"it leaves": func(d *registry.Database) {
			d.Members[0].Leaving = registry.Cause{Code: registry.MemberLeaving}
		},
		"it is paused":    func(d *registry.Database) { d.Policy.Paused = true },
		"it is no member": func(d *registry.Database) { d.Members = d.Members[1:] },
	}
	for name, edit := range change {
		t.Run(name, func(t *testing.T) {
			d := reigns()
			edit(d)
			for _, l := range []rejoin.Local{diverged, crashed} {
				if got := rejoin.Next(d, "db1", l); got.Verb != rejoin.DoNothing {
					t.Errorf("%+v: %+v", l, got)
				}
			}
		})
	}
	for _, l := range []rejoin.Local{diverged, crashed} { // the same, and nothing in the way
		if got := rejoin.Next(reigns(), "db1", l); got.Verb == rejoin.DoNothing {
			t.Errorf("%+v: %+v", l, got)
		}
		for _, archive := range []rejoin.Journal{{}, {Extra: "u:9"}, {Extra: "u:8", Archive: "/a"}} {
			l.Journal = archive
			if got := rejoin.Next(reigns(), "db1", l); got.Verb != rejoin.DoArchive {
				t.Errorf("with %+v archived: %+v, want the archive first", archive, got)
			}
		}
	}
}

// A primary that its init system does not start is started by baton when nobody can replace it.
func TestAPrimaryThatNobodyCanReplaceIsStarted(t *testing.T) {
	crashed := rejoin.Local{Policy: rejoin.Rewind, Dead: true, LedLast: true, Known: true, Examined: &rejoin.Examined{Crashed: true}}
	refused := func(d *registry.Database) { d.Refusal = registry.Cause{Code: "AckersMissing"} }
	reigning := func(d *registry.Database) { d.Primary = "db1"; refused(d) }
	fenced := func(d *registry.Database) { d.Phase, d.Primary, d.Former = registry.Fencing, "", "db1"; refused(d) }
	for _, c := range []struct {
		name   string
		edit   func(*registry.Database)
		change func(*rejoin.Local)
		verb   rejoin.Verb
	}{
		{"it reigns", reigning, nil, rejoin.DoStart},
		{"it reigned", fenced, nil, rejoin.DoStart},
		{"nobody has looked", fenced, func(l *rejoin.Local) { l.Examined = nil }, rejoin.DoExamine},
		{"it ended a moment ago", reigning, func(l *rejoin.Local) { l.JustDied = true }, rejoin.DoNothing},
		{"stopped in good order", fenced, func(l *rejoin.Local) { l.Examined = &rejoin.Examined{} }, rejoin.DoNothing},
		{"it runs", fenced, func(l *rejoin.Local) { l.Dead, l.Up = false, true }, rejoin.DoNothing},
		{"baton may not", fenced, func(l *rejoin.Local) { l.MayStart = "not set" }, rejoin.DoNothing},
		{"somebody can replace it", func(d *registry.Database) { fenced(d); d.Refusal = registry.Cause{} }, nil, rejoin.DoNothing},
		{"another one reigned", func(d *registry.Database) { fenced(d); d.Former = "db2" }, nil, rejoin.DoNothing},
		{"it is paused", func(d *registry.Database) { fenced(d); d.Policy.Paused = true }, nil, rejoin.DoNothing},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, l := reigns(), crashed
			c.edit(d)
			if c.change != nil {
				c.change(&l)
			}
			if got := rejoin.Next(d, "db1", l); got.Verb != c.verb {
				t.Errorf("got %+v, want %s", got, c.verb)
			}
		})
	}
}

package decide

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// decoded makes a state of a database in the way a snapshot is read.
func decoded(t testing.TB, d *registry.Database) *registry.State {
	t.Helper()
	body, err := json.Marshal(map[string]any{"cluster": "test", "index": 1, "databases": []*registry.Database{d}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := codec.DecodeState(append([]byte{1}, body...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type decided struct {
	name string
	s    *scene
	want string
}

func runDecided(t *testing.T, rows []decided) {
	t.Helper()
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			if got := c.s.outcome(); got != c.want {
				t.Errorf("got  %s\nwant %s\n%+v", got, c.want, Decide(c.s.d, c.s.view, c.s.rules, c.s.clock).Waiting)
			}
			c.s.accepted(t)
		})
	}
}

const gone = health.ProcessExited

func TestAPrimaryIsReplacedOnlyWhenItsFailureIsCertain(t *testing.T) {
	silent := func() *scene {
		return group(3).unheard("db1", 1300*time.Millisecond).deaf("db2", "db3").probed(health.ProbeDead)
	}
	hung := func() *scene { return group(3).unreachable("db1", 3100) }
	closedAlone := func() *scene {
		return group(3).unheard("db1", 4*time.Second).probed(health.ProbeAlive).change("db2", func(h *health.Heard) { h.Replication.SourceClosed = true })
	}
	runDecided(t, []decided{
		{"all is well", group(3), "nothing"},
		{"its process ended", group(3).process("db1", gone), "revoke 2 PrimaryGone"},
		{"its process is being torn down", group(3).process("db1", health.ProcessDying), "revoke 2 PrimaryGone"},
		{"another process answers", group(3).guard("db1", func(g *health.Guard) { g.Marked = 0 }), "revoke 2 PrimaryRestarted"},
		{"another process, but the reign has only begun", group(3).guard("db1", func(g *health.Guard) { g.Marked = 0 }).inPhase(100 * time.Millisecond), "nothing"},
		{"a guard that has not promised says nothing of the process", group(3).guard("db1", func(g *health.Guard) { *g = health.Guard{} }), "nothing"},
		{"hung, and nobody hears it", hung().deaf("db2", "db3"), "revoke 2 PrimaryHung"},
		{"frozen for 1.1 s, and nobody hears it", group(3).unreachable("db1", 1100).process("db1", health.ProcessStopped).deaf("db2", "db3"), "revoke 2 PrimaryHung"},
		{"frozen, but an acker hears it", group(3).unreachable("db1", 1100).process("db1", health.ProcessStopped).deaf("db2"), "waiting PrimaryHung"},
		{"paused for a second", group(3).unreachable("db1", 1030).process("db1", health.ProcessStopped).deaf("db2", "db3"), "nothing"},
		{"goes on after a second and has not answered yet", group(3).unreachable("db1", 1300).deaf("db2", "db3"), "nothing"},
		{"a host that was paused for a second", group(3).unheard("db1", 1200*time.Millisecond).deaf("db2", "db3").probed(health.ProbeDead), "nothing"},
		{"hung for its agent only", hung().deaf("db2"), "waiting PrimaryHung"},
		{"hung, and nobody can be asked", hung().unheard("db2", time.Second).unheard("db3", time.Second), "waiting PrimaryHung"},
		{"runs, and is slow for less than the limit", group(3).unreachable("db1", 2900).deaf("db2", "db3"), "nothing"},
		{"silent, deaf and dead", silent(), "revoke 2 PrimarySilent"},
		{"silent since this leader leads", silent().never("db1").with(func(*registry.Database) {}), "waiting AgentLost"},
		{"silent, but an acker hears it", silent().change("db3", func(h *health.Heard) { h.Replication.SilenceMillis = 0 }), "waiting AgentLost"},
		{"silent, but a probe gets through", silent().probed(health.ProbeAlive), "waiting AgentLost"},
		{"silent, but it refuses politely", silent().probed(health.ProbeRefusing), "waiting AgentLost"},
		{"silent and not probed", silent().probed(""), "waiting AgentLost"},
		{"silent, and it says that it is closed", closedAlone(), "revoke 2 PrimaryClosed"},
		{"silent for a moment, and closed", closedAlone().unheard("db1", 2*time.Second), "waiting AgentLost"},
		{"closed, since this leader leads", closedAlone().never("db1").with(func(*registry.Database) {}), "revoke 2 PrimaryClosed"},
		{"who says so speaks of another server", closedAlone().change("db2", func(h *health.Heard) { h.Replication.Source = "10.0.0.9:3306" }), "waiting AgentLost"},
		{"who says so is unheard itself", closedAlone().unheard("db2", time.Second), "waiting AgentLost"},
		{"who says so does not hear it any more", closedAlone().deaf("db2"), "waiting AgentLost"},
		{"its agent says that it is closed", group(3).change("db1", func(h *health.Heard) { h.ReadOnly = true }).
			change("db2", func(h *health.Heard) { h.Replication.SourceClosed = true }), "nothing"},
		{"a disk hangs", group(3).disk(1000, 700), "revoke 2 PrimaryStuck"},
		{"a disk hangs for less than the limit", group(3).disk(950, 700), "nothing"},
		{"a disk hangs, and the agent gets no answer either", group(3).disk(1000, 700).unreachable("db1", 3100), "revoke 2 PrimaryStuck"},
		{"a slow disk: something else is committed", group(3).blocked(9000, 300), "nothing"},
		{"a slow disk: the waits end", group(3).disk(1000, 150), "nothing"},
		{"overload: all is slow, and goes on", group(3).blocked(9000, 2500), "nothing"},
		{"a disk is waited for, but so are ackers", group(3).disk(1000, 700).canary(1000, true), "nothing"},
		{"no commit gets through", group(3).canary(3500, false), "revoke 2 PrimaryStuck"},
		{"no commit gets through a lock", group(3).canary(3500, false).locked(), "waiting PrimaryLocked"},
		{"no commit has got through a lock for an hour", group(3).canary(3_600_000, false).locked(), "waiting PrimaryLocked"},
		{"a lock on the table of canaries alone", group(3).blocked(3500, 300).locked(), "waiting PrimaryLocked"},
		{"a lock that a moment takes", group(3).canary(2500, false).locked(), "nothing"},
		{"a lock waits behind a commit that waits for ackers", group(3).canary(3500, true).locked(), "waiting AckersLonely"},
		{"a lock, and its session freezes the disk", group(3).disk(4000, 2500).locked(), "waiting PrimaryLocked"},
		{"a lock, and the disk hangs", group(3).disk(4000, 3000).locked(), "revoke 2 PrimaryStuck"},
		{"a lock, and the process ends", group(3).canary(9000, false).locked().process("db1", gone), "revoke 2 PrimaryGone"},
		{"commits take long", group(3).canary(2500, false), "nothing"},
		{"commits wait for ackers", group(3).canary(3500, true), "waiting AckersLonely"},
		{"lonely for an hour", group(3).canary(3_600_000, true), "waiting AckersLonely"},
	})
}

func TestAReignIsNotEndedBeforeItsReplacementCanBeHad(t *testing.T) {
	dead := func(n int) *scene { return group(n).process("db1", gone) }
	restarted := func(n int) *scene {
		return group(n).guard("db1", func(g *health.Guard) { g.Marked, g.Open = 0, 0 }).change("db1", func(h *health.Heard) { h.ReadOnly = true })
	}
	runDecided(t, []decided{
		{"paused", dead(3).with(func(d *registry.Database) { d.Policy.Paused = true }), "waiting Paused"},
		{"one of two ackers is unheard", dead(3).unheard("db3", time.Second), "waiting AckersMissing"},
		{"one of two ackers is stopped", dead(3).process("db3", health.ProcessStopped), "waiting AckersMissing"},
		{"one of two ackers hangs", dead(3).unreachable("db3", 600), "waiting AckersMissing"},
		{"one of two ackers has a gap in its memory", dead(3).amnesiac("db3"), "waiting AckersMissing"},
		{"k = 2 of 4: one acker may be missing", dead(5).k(2).unheard("db5", time.Second), "revoke 2 PrimaryGone"},
		{"k = 2 of 4: two may not", dead(5).k(2).unheard("db5", time.Second).amnesiac("db4"), "waiting AckersMissing"},
		{"the only acker can be fenced, and another replica acknowledges next", dead(3).with(func(d *registry.Database) { d.Ackers = d.Ackers[:1] }), "revoke 2 PrimaryGone"},
		{"the only acker can be fenced, but nobody else is there", dead(3).with(func(d *registry.Database) { d.Ackers = d.Ackers[:1] }).never("db3"), "waiting AckersMissing"},
		{"nobody would be left to acknowledge", dead(2), "waiting AckersMissing"},
		{"closed, its agent dead, and an acker unheard", group(3).unheard("db1", 4*time.Second).unheard("db3", time.Second).
			change("db2", func(h *health.Heard) { h.Replication.SourceClosed = true }), "waiting AckersMissing"},
		{"the primary is back, and one replica can acknowledge", restarted(3).unheard("db3", time.Second), "revoke 2 PrimaryRestarted"},
		{"the primary is back after a power cut: nobody remembers", restarted(3).amnesiac("db2", "db3"), "revoke 2 PrimaryRestarted"},
		{"the primary is back, alone", restarted(3).unheard("db2", time.Second).unheard("db3", time.Second), "waiting AckersMissing"},
		{"MariaDB cannot wait for two", group(3).k(2).with(func(d *registry.Database) {
			for i := range d.Members {
				d.Members[i].Flavor = registry.MariaDB
			}
		}), "waiting Unsupported"},
	})
}

func TestTheFirstPrimaryIsChosenOnceEverybodyIsThere(t *testing.T) {
	closed := func() *scene {
		s := group(3).forming().with(func(d *registry.Database) { d.Epoch, d.Phase = 1, registry.Fencing })
		return s.fenced("db1", "").fenced("db2", "").fenced("db3", "")
	}
	runDecided(t, []decided{
		{"all are ready", group(3).forming(), "revoke 1 Formation"},
		{"one is missing", group(3).forming().never("db3"), "waiting MembersMissing"},
		{"the settings of one were not looked at", group(3).forming().change("db3", func(h *health.Heard) { h.Preflight = false }), "waiting MembersMissing"},
		{"a setting would lose writes", group(3).forming().change("db3", func(h *health.Heard) {
			h.Findings = []health.Finding{{Code: "sync_binlog", Fatal: true}}
		}), "waiting SettingsUnsafe"},
		{"a setting is only unwise", group(3).forming().change("db3", func(h *health.Heard) { h.Findings = []health.Finding{{Code: "charset"}} }), "revoke 1 Formation"},
		{"all empty", closed(), "elect 1 db1 by formed base  ackers db2+db3 k 1 (Elected)"},
		{"one holds data", closed().fenced("db3", "u3:1-7"), "elect 1 db3 by formed base u3:1-7 ackers db1+db2 k 1 (Elected)"},
		{"the preferred one", closed().prefer("db2", registry.Prefer), "elect 1 db2 by formed base  ackers db1+db3 k 1 (Elected)"},
		{"never db1", closed().prefer("db1", registry.Never), "elect 1 db2 by formed base  ackers db3 k 1 (Elected)"},
		{"two hold different data", closed().fenced("db3", "u3:1-7").fenced("db2", "u2:1"), "waiting Divergent"},
		{"one is not closed yet", closed().guard("db3", func(g *health.Guard) { g.Fenced = 0 }), "waiting MembersMissing"},
	})
}

func TestTheWinnerHoldsEverythingThatMayHaveBeenAcknowledged(t *testing.T) {
	both := func(a, b string) *scene { return group(3).fencing().fenced("db2", a).fenced("db3", b) }
	five := func() *scene { return group(5).k(2).fencing() }
	runDecided(t, []decided{
		{"equal positions", both("u1:1-9", "u1:1-9"), "elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"the one with more", both("u1:1-9", "u1:1-10"), "elect 2 db3 by fenced base u1:1-10 ackers db2 k 1 (Elected)"},
		{"the preferred one, when both hold all", both("u1:1-9", "u1:1-9").prefer("db3", registry.Prefer), "elect 2 db3 by fenced base u1:1-9 ackers db2 k 1 (Elected)"},
		{"the preferred one catches up from the one with more", both("u1:1-9", "u1:1-10").prefer("db2", registry.Prefer),
			"elect 2 db2 by fenced base u1:1-10 ackers db3 k 1 (Elected) after db3 until u1:1-10"},
		{"the wanted one before the preferred one", both("u1:1-9", "u1:1-9").prefer("db2", registry.Prefer).with(func(d *registry.Database) { d.To = "db3" }),
			"elect 2 db3 by fenced base u1:1-9 ackers db2 k 1 (Elected)"},
		{"who has applied more is faster", both("u1:1-9", "u1:1-9").change("db2", func(h *health.Heard) { h.Executed = uuids("u1:1-4") }),
			"elect 2 db3 by fenced base u1:1-9 ackers db2 k 1 (Elected)"},
		{"a last resort only then", both("u1:1-9", "u1:1-9").prefer("db2", registry.LastResort), "elect 2 db3 by fenced base u1:1-9 ackers db2 k 1 (Elected)"},
		{"one acker is not enough", group(3).fencing().fenced("db2", "u1:1-9"), "waiting AckersMissing"},
		{"nor quickly complained about", group(3).fencing().fenced("db2", "u1:1-9").inPhase(300 * time.Millisecond), "nothing"},
		{"a fence of another epoch does not count", both("u1:1-9", "u1:1-9").guard("db3", func(g *health.Guard) { g.Fenced = 1 }), "waiting AckersMissing"},
		{"an amnesiac discovers nothing", both("u1:1-9", "u1:1-9").amnesiac("db3"), "waiting AckersMissing"},
		{"a fact does not age, but the one who reported it must be there to win", both("u1:1-9", "u1:1-9").unheard("db2", time.Hour),
			"waiting AckersMissing"},
		{"who holds everything does not answer", both("u1:1-10", "u1:1-9").unheard("db2", time.Second), "waiting Divergent"},
		{"who holds everything must never win, nor acknowledge", both("u1:1-10", "u1:1-9").prefer("db2", registry.Never), "waiting AckersMissing"},
		{"all must never win", both("u1:1-9", "u1:1-9").prefer("db2", registry.Never).prefer("db3", registry.Never), "waiting NoCandidate"},
		{"an unreadable position", both("u1:1-9", "what"), "waiting Unreadable"},
		{"errant: written on a replica by hand", both("u1:1-9,u2:1", "u1:1-9"), "waiting AckersMissing"},
		{"errant, and a third one acknowledges", group(4).fencing().fenced("db2", "u1:1-9,u2:1").fenced("db3", "u1:1-9").fenced("db4", "u1:1-8"),
			"elect 2 db3 by fenced base u1:1-9 ackers db4 k 1 (Elected)"},
		{"k = 2 of 4: three are enough", five().fenced("db2", "u1:1-9").fenced("db3", "u1:1-11").fenced("db4", "u1:1-10"),
			"elect 2 db3 by fenced base u1:1-11 ackers db2+db4 k 2 (Elected)"},
		{"k = 2 of 4: two are not", five().fenced("db2", "u1:1-9").fenced("db3", "u1:1-11"), "waiting AckersMissing"},
		{"k = 2: a third one that is amnesiac is not enough either", five().fenced("db2", "u1:1-9").fenced("db3", "u1:1-11").fenced("db4", "u1:1-11").amnesiac("db4"),
			"waiting AckersMissing"},
		{"a replica that does not acknowledge may be ahead: it wins, so that it need not be rebuilt",
			group(4).with(func(d *registry.Database) { d.Ackers = d.Ackers[:2] }).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").fenced("db4", "u1:1-12"),
			"elect 2 db4 by fenced base u1:1-9 ackers db2+db3 k 1 (Elected)"},
	})
}

func TestAPreferredMemberThatIsBehindCatchesUpFirst(t *testing.T) {
	four := func(a, b, c string) *scene {
		return group(4).fencing().fenced("db2", a).fenced("db3", b).fenced("db4", c)
	}
	behind := func() *scene { return four("u1:1-5", "u1:1-9", "u1:1-7").prefer("db2", registry.Prefer) }
	detour := "elect 2 db2 by fenced base u1:1-9 ackers db3+db4 k 1 (Elected) after db3 until u1:1-9"
	straight := "elect 2 db3 by fenced base u1:1-9 ackers db2+db4 k 1 (Elected)"
	runDecided(t, []decided{
		{"preferred", behind(), detour},
		{"wanted by a hand-over that was escalated", four("u1:1-5", "u1:1-9", "u1:1-7").with(func(d *registry.Database) { d.To = "db2" }), detour},
		{"a last resort is worth a detour", four("u1:1-5", "u1:1-9", "u1:1-5").prefer("db3", registry.LastResort), detour},
		{"who holds all must never win", four("u1:1-5", "u1:1-9", "u1:1-7").prefer("db3", registry.Never),
			"elect 2 db4 by fenced base u1:1-9 ackers db2 k 1 (Elected) after db3 until u1:1-9"},
		{"nobody is preferred: no detour", four("u1:1-5", "u1:1-9", "u1:1-7"), straight},
		{"the one that holds all is preferred as well", behind().prefer("db3", registry.Prefer), straight},
		{"it lacks too much", four("u1:1-5", "u1:1-9000", "u1:1-7").prefer("db2", registry.Prefer),
			"elect 2 db3 by fenced base u1:1-9000 ackers db2+db4 k 1 (Elected)"},
		{"it lacks much, but nobody else may win", four("u1:1-5", "u1:1-9000", "u1:1-7").prefer("db2", registry.Prefer).prefer("db3", registry.Never),
			"elect 2 db2 by fenced base u1:1-9000 ackers db4 k 1 (Elected) after db3 until u1:1-9000"},
		{"it was lost on the way once", behind().with(func(d *registry.Database) { d.Passed = []registry.InstanceID{"db2"} }), straight},
		{"also when it was wanted", behind().with(func(d *registry.Database) { d.To, d.Passed = "db2", []registry.InstanceID{"db2"} }), straight},
		{"it was lost on the way, but nobody else may win", behind().prefer("db3", registry.Never).prefer("db4", registry.Never).with(func(d *registry.Database) {
			d.Members, d.Passed = append(d.Members, registry.Member{ID: "db5", Preference: registry.Normal, Flavor: registry.MySQL, ServerUUID: uuids("u5")}), []registry.InstanceID{"db2"}
		}).reports("db5").fenced("db5", "u1:1-5"), "elect 2 db5 by fenced base u1:1-9 ackers db2 k 1 (Elected) after db3 until u1:1-9"},
		{"the one that holds all does not answer", behind().unheard("db3", time.Second), "waiting Divergent"},
		{"it holds something that nobody else has: its source would not know it", four("u1:1-5,u3:1", "u1:1-9", "u1:1-7").prefer("db2", registry.Prefer).settled("u1:1-9"),
			"elect 2 db3 by settled base u1:1-9 ackers db4 k 1 (Elected)"},
		{"it also gets what nobody needs, so that its source is not left behind",
			four("u1:1-5", "u1:1-12", "u1:1-7").amnesiac("db3").prefer("db2", registry.Prefer).settled("u1:1-9"),
			"elect 2 db2 by settled base u1:1-9 ackers db3+db4 k 1 (Elected) after db3 until u1:1-12"},
		{"its source is the former primary, which proves the base", group(3).fencing().fenced("db2", "u1:1-7").closed("u1:1-9").prefer("db2", registry.Prefer),
			"elect 2 db2 by closed base u1:1-9 ackers db1 k 1 (Elected) after db1 until u1:1-9"},
	})
}

func TestAWinnerThatCannotCatchUpIsReplaced(t *testing.T) {
	on := func() *scene { return group(4).catchingUp() }
	runDecided(t, []decided{
		{"on its way", on(), "nothing"},
		{"its source died", on().process("db3", gone), "revoke 3 WinnerLost"},
		{"its source does not answer", on().unreachable("db3", 1600), "revoke 3 WinnerLost"},
		{"the agent of its source fell silent", on().unheard("db3", 2*time.Second), "revoke 3 WinnerLost"},
		{"its source died, but it has everything", on().fenced("db2", "u1:1-9").process("db3", gone), "nothing"},
		{"it takes long, and its source could win", on().inPhase(2100 * time.Millisecond), "revoke 3 WinnerLost"},
		{"it takes long, but nobody else may win", on().prefer("db3", registry.Never).fenced("db4", "u1:1-7").inPhase(2100 * time.Millisecond), "nothing"},
		{"for ever", on().prefer("db3", registry.Never).fenced("db4", "u1:1-7").inPhase(31 * time.Second), "revoke 3 WinnerLost"},
		{"it has everything and takes long", on().fenced("db2", "u1:1-9").inPhase(2100 * time.Millisecond), "nothing"},
		{"a hand-over: the former primary died after it closed, and the winner lacks something",
			group(4).promoting().with(func(d *registry.Database) { d.Proof = registry.ProofClosed }).fenced("db2", "u1:1-5"), "revoke 3 WinnerLost"},
		{"a hand-over: it died, and the winner has everything",
			group(4).promoting().with(func(d *registry.Database) { d.Proof = registry.ProofClosed }), "nothing"},
	})
}

func TestAFormerPrimaryThatIsBackSpeaksForItself(t *testing.T) {
	cut := func() *scene {
		return group(3).fencing().fenced("db2", "u1:1-7").fenced("db3", "u1:1-8").amnesiac("db2", "db3")
	}
	runDecided(t, []decided{
		{"after a power cut it alone remembers", cut().closed("u1:1-9"), "elect 2 db1 by closed base u1:1-9 ackers db2+db3 k 1 (Elected)"},
		{"unless it cannot prove that it is the one", cut().closed("u1:1-9").amnesiac("db1"), "waiting AckersMissing"},
		{"or lacks what somebody has from it", cut().closed("u1:1-9").fenced("db3", "u1:1-10"), "waiting AckersMissing"},
		{"a marker of another one does not contradict it", cut().closed("u1:1-9").fenced("db3", "u1:1-8,u3:1"), "elect 2 db1 by closed base u1:1-9 ackers db2 k 1 (Elected)"},
		{"with one acker", group(3).fencing().fenced("db2", "u1:1-9").closed("u1:1-9"), "elect 2 db1 by closed base u1:1-9 ackers db2 k 1 (Elected)"},
		{"alone it cannot acknowledge", group(3).fencing().closed("u1:1-9"), "waiting AckersMissing"},
		{"it has more than the fenced ones: it goes on, and nothing is errant",
			group(3).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").closed("u1:1-11"), "elect 2 db1 by fenced base u1:1-9 ackers db2+db3 k 1 (Elected)"},
		{"so it does without a proof of its own", group(3).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").closed("u1:1-11").amnesiac("db1"),
			"elect 2 db1 by fenced base u1:1-9 ackers db2+db3 k 1 (Elected)"},
		{"it was emptied", group(3).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").closed("").amnesiac("db1"),
			"elect 2 db2 by fenced base u1:1-9 ackers db1+db3 k 1 (Elected)"},
		{"it restarted and is waited for", group(3).fencing().with(func(d *registry.Database) { d.Cause.Code = PrimaryRestarted }).
			fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").process("db1", health.ProcessRunning).inPhase(100 * time.Millisecond), "waiting PrimaryRestarted"},
		{"but not for long", group(3).fencing().with(func(d *registry.Database) { d.Cause.Code = PrimaryRestarted }).
			fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").process("db1", health.ProcessRunning).inPhase(600 * time.Millisecond),
			"elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
	})
}

func TestWhatAnElectSettledStaysEnough(t *testing.T) {
	lost := func() *scene {
		return group(5).fencing().with(func(d *registry.Database) { d.Epoch = 3 }).settled("u1:1-9")
	}
	runDecided(t, []decided{
		{"nobody's memory is needed", lost().fenced("db3", "u1:1-9").fenced("db4", "u1:1-8").amnesiac("db3", "db4"),
			"elect 3 db3 by settled base u1:1-9 ackers db4 k 1 (Elected)"},
		{"nobody reaches it", lost().fenced("db3", "u1:1-8").fenced("db4", "u1:1-8"), "waiting Divergent"},
		{"the lone marker of the lost winner wins, when it is there", lost().fenced("db2", "u1:1-9,u2:1").fenced("db3", "u1:1-9").fenced("db4", "u1:1-9"),
			"elect 3 db2 by settled base u1:1-9 ackers db3+db4 k 1 (Elected)"},
		{"and blocks nobody when it is not", lost().fenced("db2", "u1:1-9,u2:1").process("db2", gone).fenced("db3", "u1:1-9").fenced("db4", "u1:1-9"),
			"elect 3 db3 by settled base u1:1-9 ackers db4 k 1 (Elected)"},
		{"two that contradict each other: the fewer are left behind",
			lost().fenced("db2", "u1:1-9,u2:1").fenced("db3", "u1:1-12").fenced("db4", "u1:1-12").fenced("db5", "u1:1-9"),
			"elect 3 db3 by settled base u1:1-9 ackers db4+db5 k 1 (Elected)"},
	})
}

func TestAHandOverEndsInAReign(t *testing.T) {
	limit := 3 * time.Second
	closed := func() *scene { return group(3).closing().closed("u1:1-9") }
	runDecided(t, []decided{
		{"it is closing", group(3).closing(), "waiting Switchover"},
		{"it is closed", closed(), "elect 2 db2 by closed base u1:1-9 ackers db1+db3 k 1 (Elected)"},
		{"the winner has not all yet: it goes on receiving", closed().change("db2", func(h *health.Heard) { h.Position = uuids("u1:1-4") }),
			"elect 2 db2 by closed base u1:1-9 ackers db1+db3 k 1 (Elected)"},
		{"it crashed after it closed", closed().process("db1", gone), "elect 2 db2 by closed base u1:1-9 ackers db3 k 1 (Elected)"},
		{"it crashed after it closed, and the winner gets the rest from another", closed().change("db2", func(h *health.Heard) { h.Position = uuids("u1:1-4") }).process("db1", gone),
			"elect 2 db2 by closed base u1:1-9 ackers db3 k 1 (Elected) after db3 until u1:1-9"},
		{"it crashed after it closed, and nobody has the rest", closed().change("db2", func(h *health.Heard) { h.Position = uuids("u1:1-4") }).
			change("db3", func(h *health.Heard) { h.Position = uuids("u1:1-4") }).process("db1", gone), "escalate 2 PrimaryGone"},
		{"it crashed before", group(3).closing().process("db1", gone), "escalate 2 PrimaryGone"},
		{"it hangs", group(3).closing().unreachable("db1", 1100), "escalate 2 PrimaryHung"},
		{"its agent fell silent", group(3).closing().unheard("db1", 2*time.Second), "escalate 2 PrimarySilent"},
		{"its agent is quiet for a moment", group(3).closing().unheard("db1", time.Second), "waiting Switchover"},
		{"it restarted and cannot prove itself", closed().amnesiac("db1"), "escalate 2 PrimaryRestarted"},
		{"the wanted winner takes writes: commits may wait in it, for whoever follows it", closed().change("db2", func(h *health.Heard) { h.ReadOnly = false }), "waiting Switchover"},
		{"it does not close in time", group(3).closing().inPhase(limit), "elect 2 db1 by kept base u1:1-9 ackers db2+db3 k 1 (SwitchoverUndone)"},
		{"the wanted winner does not promise", closed().guard("db2", func(g *health.Guard) { g.Promise = 1 }), "waiting Switchover"},
		{"nor for half the time", closed().guard("db2", func(g *health.Guard) { g.Promise = 1 }).inPhase(limit / 2),
			"elect 2 db1 by closed base u1:1-9 ackers db3 k 1 (Elected)"},
		{"the wanted winner holds something of its own", closed().change("db2", func(h *health.Heard) { h.Position = uuids("u1:1-9,u2:1") }), "waiting Switchover"},
		{"nobody can acknowledge for it", closed().process("db1", gone).unheard("db3", time.Second).inPhase(2 * time.Second), "waiting AckersMissing"},
		{"an unreadable position", closed().guard("db1", func(g *health.Guard) { g.ClosedPosition = "what" }), "waiting Unreadable"},
	})
}

func TestAWinnerIsEstablishedOrReplaced(t *testing.T) {
	runDecided(t, []decided{
		{"on its way", group(3).promoting(), "nothing"},
		{"its marker is acknowledged", group(3).promoting().guard("db2", func(g *health.Guard) { g.Marked = 2 }), "establish 2"},
		{"an older marker", group(3).promoting().guard("db2", func(g *health.Guard) { g.Marked = 1 }), "nothing"},
		{"a marker reported long ago", group(3).promoting().guard("db2", func(g *health.Guard) { g.Marked = 2 }).unheard("db2", time.Second), "nothing"},
		{"it died, and two are left", group(4).promoting().process("db2", gone), "revoke 3 WinnerLost"},
		{"it died, and one is left", group(3).promoting().process("db2", gone), "waiting AckersMissing"},
		{"it does not answer", group(4).promoting().unreachable("db2", 1600), "revoke 3 WinnerLost"},
		{"its agent fell silent", group(4).promoting().unheard("db2", 2*time.Second), "revoke 3 WinnerLost"},
		{"its agent is quiet", group(4).promoting().unheard("db2", time.Second), "nothing"},
		{"it takes too long, but is there to acknowledge for another", group(3).promoting().inPhase(31 * time.Second), "revoke 3 WinnerLost"},
		{"a backlog takes its time", group(3).promoting().inPhase(29 * time.Second), "nothing"},
		{"it takes too long, and nobody else is there", group(3).promoting().unheard("db3", time.Second).inPhase(31 * time.Second), "waiting AckersMissing"},
	})
}

func TestReplicasEnterAndLeave(t *testing.T) {
	replica := func() *scene {
		return group(3).with(func(d *registry.Database) { d.Ackers = d.Ackers[:1] })
	}
	runDecided(t, []decided{
		{"caught up: it may acknowledge", replica(), "add acker 1 db3"},
		{"not caught up", replica().guard("db3", func(g *health.Guard) { g.CaughtUp = false }), "nothing"},
		{"it follows an older reign", replica().guard("db3", func(g *health.Guard) { g.Follows = 0 }), "rotation db3 ReplicaBroken"},
		{"it must never win: it need not acknowledge", replica().prefer("db3", registry.Never), "nothing"},
		{"diverged", replica().guard("db3", func(g *health.Guard) { g.Diverged = "u3:1" }), "rotation db3 ReplicaDiverged"},
		{"unheard", group(3).unheard("db3", 2*time.Second), "rotation db3 ReplicaUnheard"},
		{"unheard for a moment", group(3).unheard("db3", time.Second), "nothing"},
		{"unheard by a new leader", group(3).never("db3").with(func(*registry.Database) {}), "rotation db3 ReplicaUnheard"},
		{"lagging", group(3).lag("db3", 31), "rotation db3 ReplicaLagging"},
		{"at the limit", group(3).lag("db3", 30), "nothing"},
		{"its applier stopped", group(3).change("db3", func(h *health.Heard) { h.Replication.Applier = false }), "rotation db3 ReplicaBroken"},
		{"its receiver stopped", group(3).change("db3", func(h *health.Heard) { h.Replication.Receiver = "stopped" }), "rotation db3 ReplicaBroken"},
		{"back again", group(3).with(func(d *registry.Database) { d.Members[2].OutOf = registry.Cause{Code: ReplicaLagging} }), "rotation db3 "},
	})
}

// A new leader has heard nobody: it waits as long as any other before it believes a silence.
func TestANewLeaderBelievesNoSilenceAtOnce(t *testing.T) {
	s := group(3).never("db1").never("db2").never("db3")
	s.clock = Clock{Watching: 300 * time.Millisecond, InPhase: 300 * time.Millisecond}
	if got := s.outcome(); got != "nothing" {
		t.Errorf("got %s, want nothing", got)
	}
}

func TestEveryRefusalNamesAWayOut(t *testing.T) {
	for name, s := range map[string]*scene{
		"ackers":     group(3).process("db1", gone).unheard("db3", time.Second),
		"fenced":     group(3).fencing().fenced("db2", "u1:1-9"),
		"divergent":  group(3).fencing().fenced("db2", "u1:1-10").fenced("db3", "u1:1-9").unheard("db2", time.Second),
		"paused":     group(3).process("db1", gone).with(func(d *registry.Database) { d.Policy.Paused = true }),
		"members":    group(3).forming().never("db3"),
		"agent lost": group(3).unheard("db1", 2*time.Second),
		"lonely":     group(3).canary(4000, true),
		"locked":     group(3).canary(4000, false).locked(),
		"winner":     group(3).promoting().process("db2", gone),
	} {
		w := Decide(s.d, s.view, s.rules, s.clock).Waiting
		if w.Zero() || !containsWayOut(w.Detail) {
			t.Errorf("%s: %q names no way out", name, w)
		}
	}
}

// By the time it is committed the winner may reign.
func TestAWinnerIsGivenUpByItsName(t *testing.T) {
	s := group(4).promoting().process("db2", gone)
	c, ok := Decide(s.d, s.view, s.rules, s.clock).Command.(*registry.Revoke)
	if !ok || c.Winner != "db2" {
		t.Errorf("%+v does not say that db2 is given up", c)
	}
}

package sim

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// slice is the part of `make sim` that every run of the tests plays.
func slice(t *testing.T) Walk {
	w := Walk{First: 1, Schedules: 6_000, Workers: runtime.GOMAXPROCS(0), Enough: 1}
	if testing.Short() {
		w.Schedules = 3_000
	}
	return w
}

func TestSchedulesKeepTheGuaranteesAndReachEverything(t *testing.T) {
	tally, failed := slice(t).Go()
	for _, f := range failed {
		c, v, lines := Short(f.Seed)
		t.Fatalf("seed %d: %v\nthe same in %d events: %v\n%s", f.Seed, f.Violation, len(c.Events), v, strings.Join(lines, "\n"))
	}
	t.Log("\n" + tally.String())
	if testing.Short() {
		return
	}
	for i, k := range kinds {
		if tally.Events[i] == 0 && (k.weight > 0 || k.class == work) {
			t.Errorf("no schedule has %q", k.name)
		}
	}
	reach := func(what string, counted map[string]uint64, wanted ...string) {
		for _, w := range wanted {
			if counted[w] == 0 {
				t.Errorf("no schedule reaches %s %s", what, w)
			}
		}
	}
	for _, v := range []promote.Verb{promote.Promise, promote.Fence, promote.Close, promote.Kill, promote.Attest, promote.Shut, promote.Lead,
		promote.Follow, promote.Move, promote.Rejoin, promote.Measure, promote.Open, promote.Ask, promote.Prove, promote.Suspend} {
		reach("the step", tally.Verbs, string(v))
	}
	reach("the call", tally.Calls, "StopReceiver", "FenceReceiver", "WaitApplied", "BecomeSource", "Mark", "OpenWrites", "CloseWrites", "CutClients",
		"Follow", "SourcePosition", "RequireAcks", "Prove", "MarkAlone", "OpenAlone", "look", "kill", "write", "sync")
	reach("the command", tally.Commands, "Revoke", "Escalate", "Elect", "Elect with a detour", "Establish", "AddAcker", "SetRotation", "PutMember", "PutDatabase",
		"ChangeAckers", "AdvanceChange", "Prepare", "Leave", "RemoveMember", "Degrade", "Rearm", "AcceptLoss", "Forfeit")
	reach("an epoch begun for", tally.Causes, decide.PrimaryGone, decide.PrimaryRestarted, decide.PrimaryHung, decide.PrimarySilent, decide.PrimaryClosed, decide.PrimaryCutOff,
		decide.PrimaryStuck, decide.Switchover, decide.WinnerLost, decide.Formation)
	reach("an election proved as", tally.Proofs, string(registry.ProofFormed), string(registry.ProofFenced), string(registry.ProofClosed),
		string(registry.ProofSettled), string(registry.ProofKept), string(registry.ProofLapsed), string(registry.ProofAccepted))
	reach("nothing decided for", tally.Waiting, decide.MembersMissing, decide.AckersMissing, decide.Divergent, decide.NoCandidate,
		decide.AgentLost, decide.AckersLonely, decide.RunsAlone, decide.WritesAtRisk, decide.LeaseRuns)
	for p, name := range phases {
		if !slices.ContainsFunc(kinds, func(k kind) bool {
			i := slices.IndexFunc(kinds, func(o kind) bool { return o.name == k.name })
			return k.class == fault && tally.ByPhase[i][p] > 0
		}) {
			t.Errorf("no fault happens in phase %s", name)
		}
	}
	for q, n := range tally.Quirks {
		if n == 0 {
			t.Errorf("no schedule meets the quirk %q", mysqldtest.Quirk(q))
		}
	}
	if tally.Cancelled == 0 || tally.Stale == 0 {
		t.Errorf("%d steps were cancelled and %d commands refused as stale", tally.Cancelled, tally.Stale)
	}
}

func TestASeedAlwaysTellsTheSameStory(t *testing.T) {
	reused := newPlayer()
	defer reused.close()
	for seed := uint64(1); seed <= 60; seed++ {
		var again story
		reused.play(seed, &again, nil)
		lines, _ := Tell(seed)
		if !slices.Equal(lines[1:], again.lines) {
			t.Fatalf("seed %d told two stories, one of %d lines and one of %d", seed, len(lines)-1, len(again.lines))
		}
	}
}

func TestTheEventsOfASchedulePlayedAgainDoTheSame(t *testing.T) {
	p := newPlayer()
	defer p.close()
	for seed := uint64(1); seed <= 60; seed++ {
		once, again := story{every: true}, story{every: true}
		var events []Event
		shape, _ := p.play(seed, &once, &events)
		var text bytes.Buffer
		if err := (Case{Shape: shape, Events: events}).Write(&text); err != nil {
			t.Fatal(err)
		}
		c, err := ReadCase(&text)
		if err != nil {
			t.Fatal(err)
		}
		p.replay(c.Shape, c.Events, &again)
		told := func(s story) []string { // a fault that could not happen was told, and is not kept
			return slices.DeleteFunc(s.lines, func(l string) bool {
				return slices.ContainsFunc(kinds, func(k kind) bool { return k.class == fault && strings.HasPrefix(l, k.name+" db") }) ||
					strings.Contains(l, "operator: ")
			})
		}
		if a, b := told(once), told(again); !slices.Equal(a, b) {
			t.Fatalf("seed %d: %d lines, and %d when its %d events are played again", seed, len(a), len(b), len(events))
		}
	}
}

func cases(t *testing.T, dir string) map[string]Case {
	t.Helper()
	out := map[string]Case{}
	names, err := filepath.Glob(filepath.Join("testdata", dir, "*.case"))
	if err != nil {
		t.Fatalf("cases in %s: %v", dir, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ReadCase(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[filepath.Base(name)] = c
	}
	return out
}

func TestSchedulesThatOnceFailedDoNotFail(t *testing.T) {
	for name, c := range cases(t, "fixed") {
		if v, story := c.Play(); v != nil {
			t.Errorf("%s: %v\n%s", name, v, strings.Join(story, "\n"))
		}
	}
}

// What is known to break a guarantee stands in docs/evidence.md. A case that does not fail any more moves to testdata/fixed.
func TestKnownGapsAreStillThere(t *testing.T) {
	for name, c := range cases(t, "known") {
		if v, _ := c.Play(); v == nil {
			t.Errorf("%s breaks nothing any more: move it to testdata/fixed, and take it out of docs/evidence.md", name)
		}
	}
}

func TestABadCaseIsRefusedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "shape",
		"shape mysql":                          "line 1",
		"shape oracle 3 1":                     "line 1",
		"shape mysql 9 1":                      "line 1",
		"shape mysql 3 3":                      "line 1",
		"shape mysql 3 1 x":                    "line 1",
		"# a\nshape mysql 3 1\nfall db1 db1 0": "line 3",
		"shape mysql 3 1\nact db1 db1":         "line 2",
		"shape mysql 3 1\nact db0 db1 0":       "line 2",
		"shape mysql 3 1\nact db1 db1 zz":      "line 2",
	} {
		if _, err := ReadCase(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

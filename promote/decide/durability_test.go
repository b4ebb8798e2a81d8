package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/promote/lease"
	"github.com/baton-db/baton/registry"
)

// yields is the group whose primary may go on alone.
func (s *scene) yields() *scene {
	s.d.Policy.WhenAlone = registry.Yield
	return s
}

// degraded is the group whose primary goes on alone: nobody hears it.
func (s *scene) degraded() *scene {
	s.yields().d.Durability = registry.Degraded
	s.d.Alone = &registry.Alone{Epoch: s.d.Epoch, Position: uuids("u1:1-9")}
	return s
}

// async is the group whose commits wait for nobody.
func (s *scene) async() *scene {
	s.d.Policy.Durability, s.d.Durability = registry.Async, registry.Async
	s.d.Alone = &registry.Alone{Epoch: s.d.Epoch, Position: uuids("u1:1-9")}
	return s
}

// lonely lets commits wait for so long, while nobody hears db1.
func (s *scene) lonely(ms int64) *scene { return s.deaf("db2", "db3").canary(ms, true) }

// accepts is an operator's word, in the epoch before.
func (s *scene) accepts(to registry.InstanceID) *scene {
	s.d.Accepted = &registry.Accepted{Epoch: s.d.Epoch - 1, To: to, Cause: registry.Cause{Code: DataLossAccepted}}
	return s
}

func uncaught(g *health.Guard) { g.CaughtUp = false }

func forfeits(s *scene) string {
	d := Decide(s.d, s.view, s.rules, s.clock)
	if f, ok := d.Command.(*registry.Forfeit); ok {
		return "forfeit: " + outcome(Decision{Command: &f.Elect}) + " lost " + short(f.Lost)
	}
	return s.outcome()
}

func TestWhatCommitsAreWorthIsDecidedInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		scene *scene
		want  string
	}{
		"lonely, and to block":              {group(3).lonely(6000), "waiting " + AckersLonely},
		"lonely for a moment":               {group(3).yields().lonely(4000), "waiting " + AckersLonely},
		"lonely":                            {group(3).yields().lonely(6000), "*registry.Degrade"},
		"lonely and paused":                 {group(3).yields().lonely(6000).with(func(d *registry.Database) { d.Policy.Paused = true }), "waiting " + AckersLonely},
		"stuck is not lonely":               {group(3).yields().canary(6000, true), "waiting " + AckersLonely},
		"alone already":                     {group(3).degraded().guard("db2", uncaught).guard("db3", uncaught), "waiting " + RunsAlone},
		"nobody has caught up":              {group(3).degraded().k(2).guard("db2", uncaught), "waiting " + RunsAlone},
		"one has caught up":                 {group(3).degraded().guard("db3", uncaught), "*registry.Rearm"},
		"who had caught up is deaf":         {group(3).degraded().deaf("db2", "db3"), "waiting " + RunsAlone},
		"who had caught up is gone":         {group(3).degraded().process("db2", health.ProcessExited).process("db3", health.ProcessExited), "rotation db2 " + ReplicaUnheard},
		"who hears it is no acker":          {group(3).degraded().with(func(d *registry.Database) { d.Ackers, d.Change = d.Ackers[:1], &registry.Change{K: 1} }).lonely(6000).hears("db3"), "*registry.Degrade"},
		"it is not proved":                  {group(3).degraded().with(func(d *registry.Database) { d.Change, d.Revision = &registry.Change{K: 1}, 5 }), "waiting " + AckersChanging},
		"it is proved":                      {group(3).degraded().with(func(d *registry.Database) { d.Change, d.Revision = &registry.Change{K: 1}, 5 }).guard("db1", func(g *health.Guard) { g.Proved = 5 }), "advance at 5"},
		"alone again":                       {group(3).degraded().with(func(d *registry.Database) { d.Change = &registry.Change{K: 1} }).lonely(6000), "*registry.Degrade"},
		"to be async":                       {group(3).with(func(d *registry.Database) { d.Policy.Durability = registry.Async }), "*registry.Degrade"},
		"async":                             {group(3).async(), "nothing"},
		"to be lossless again":              {group(3).async().with(func(d *registry.Database) { d.Policy.Durability = "" }), "*registry.Rearm"},
		"a k that was never reached":        {group(3).degraded().with(func(d *registry.Database) { d.Policy.K = 2 }).guard("db3", uncaught), "*registry.Rearm"},
		"a k after a reign begun alone":     {group(3).degraded().with(func(d *registry.Database) { d.Policy.K, d.K = 2, 0 }).guard("db3", uncaught), "waiting " + RunsAlone},
		"more than hear it are to be asked": {group(3).deaf("db3").with(func(d *registry.Database) { d.Policy.K = 2 }), "waiting " + AckersMissing},
	} {
		if got := c.scene.outcome(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		c.scene.accepted(t)
	}
}

// What was decided from a view is not taken back from the same view: two commands that undo each other would be committed as
// fast as the log can.
func TestAReturnToLosslessIsNotTakenBackAtOnce(t *testing.T) {
	for name, s := range map[string]*scene{
		"it has waited for long":     group(3).degraded().canary(6000, true),
		"one is gone":                group(3).degraded().canary(6000, true).process("db2", health.ProcessExited).deaf("db2"),
		"it waited for more before":  group(4).degraded().canary(6000, true).deaf("db3", "db4").with(func(d *registry.Database) { d.K = 2 }),
		"none of them hears it":      group(3).degraded().lonely(6000),
		"a replica is not an acker":  group(4).degraded().canary(6000, true).deaf("db2", "db3").with(func(d *registry.Database) { d.Ackers = d.Ackers[:2] }),
		"it is to wait for more now": group(4).degraded().canary(6000, true).deaf("db4").with(func(d *registry.Database) { d.Policy.K = 2 }),
	} {
		first := Decide(s.d, s.view, s.rules, s.clock).Command
		if c, ok := first.(*registry.Rearm); ok {
			next, err := c.Apply(stateOf(t, s.d))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			s.d, _ = next.Database(s.d.Name)
			if c, ok := Decide(s.d, s.view, s.rules, s.clock).Command.(*registry.Degrade); ok {
				t.Errorf("%s: lossless again, and then %s", name, c.Cause)
			}
		}
	}
}

// A replica may miss what a degraded primary acknowledged, and says how much of it was heard of.
func TestADegradedPrimaryIsNotReplacedAndTheRefusalSaysWhatIsMissing(t *testing.T) {
	dead := group(3).degraded().process("db1", health.ProcessExited).change("db1", func(h *health.Heard) { h.Position = uuids("u1:1-14") })
	got := Decide(dead.d, dead.view, dead.rules, dead.clock)
	if got.Command != nil || got.Waiting.Code != WritesAtRisk {
		t.Fatalf("decided %s", outcome(got))
	}
	for _, want := range []string{"db2 lacks at least u1:10-14", "baton db promote orders --accept-data-loss orders:1", containing} {
		if !strings.Contains(short(got.Waiting.Detail), want) {
			t.Errorf("the refusal does not say %q: %s", want, short(got.Waiting.Detail))
		}
	}
	fenced := group(3).degraded().fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9")
	if got := fenced.inPhase(time.Hour).outcome(); got != "waiting "+WritesAtRisk {
		t.Errorf("with all ackers fenced: %s", got)
	}
	// Its own word is a proof, and it may go on alone: nobody else is there.
	back := group(3).degraded().fencing().closed("u1:1-14").never("db2").never("db3")
	if got, want := back.outcome(), "elect 2 db1 by closed base u1:1-14 ackers  k 0 (Elected)"; got != want {
		t.Errorf("restarted: %s, want %s", got, want)
	}
	back.accepted(t)
	// Also where it began so by the word of an operator, in a database that is to block otherwise.
	back.d.Policy.WhenAlone = registry.Block
	if got, want := back.outcome(), "elect 2 db1 by closed base u1:1-14 ackers  k 0 (Elected)"; got != want {
		t.Errorf("restarted, to block: %s, want %s", got, want)
	}
	back.d.Durability = registry.Async // and where it was async, until its policy was changed between the two reigns
	if got, want := back.outcome(), "elect 2 db1 by closed base u1:1-14 ackers  k 0 (Elected)"; got != want {
		t.Errorf("restarted, async before: %s, want %s", got, want)
	}
	if got := back.inPhase(0).outcome(); got != "nothing" {
		t.Errorf("restarted just now, and an acker may come: %s", got)
	}
}

const containing = "Way out: "

func TestAnAsyncPrimaryIsReplacedWhenItsLeaseIsOver(t *testing.T) {
	dead := func() *scene { return group(3).async().process("db1", health.ProcessExited) }
	if got := dead().outcome(); got != "revoke 2 "+PrimaryGone {
		t.Errorf("gone: %s", got)
	}
	cut := func() *scene {
		return group(3).async().fencing().unheard("db1", time.Minute).process("db1", health.ProcessRunning).change("db1", func(h *health.Heard) { h.Position = uuids("u1:1-14") }).
			fenced("db2", "u1:1-9").fenced("db3", "u1:1-12")
	}
	if got := cut().inPhase(lease.Wait() - time.Millisecond).outcome(); got != "waiting "+LeaseRuns {
		t.Errorf("before its lease is over: %s", got)
	}
	over := cut().inPhase(lease.Wait())
	if got, want := forfeits(over), "forfeit: elect 2 db3 by lapsed base u1:1-12 ackers db2 k 0 (Elected) lost u1:13-14"; got != want {
		t.Errorf("after it: %s, want %s", got, want)
	}
	over.accepted(t)
	// One that was cut off before it heard of the decision is lossless still, with the acker that is cut off with it.
	unaware := func(heard uint64) *scene {
		return group(3).async().with(func(d *registry.Database) { d.K, d.Alone.Revision = 1, 7 }).fencing().unheard("db1", time.Minute).process("db1", health.ProcessRunning).
			change("db1", func(h *health.Heard) { h.Guard.Leased = heard }).never("db3").fenced("db2", "u1:1-9").inPhase(time.Minute)
	}
	for heard, want := range map[uint64]string{0: "waiting " + LeaseRuns, 6: "waiting " + LeaseRuns, 7: "forfeit: elect 2 db2 by lapsed base"} {
		if got := forfeits(unaware(heard)); !strings.HasPrefix(got, want) {
			t.Errorf("heard to go by a lease at revision %d of 7: %s, want %s", heard, got, want)
		}
	}
	// What its guard has seen after it promised needs no clock.
	gone := cut().inPhase(s1).change("db1", func(h *health.Heard) { h.Process, h.Guard.Promise = health.ProcessExited, 2 })
	if got := forfeits(gone); !strings.HasPrefix(got, "forfeit: elect 2 db3 by lapsed") {
		t.Errorf("seen to be gone: %s", got)
	}
	early := cut().inPhase(s1).change("db1", func(h *health.Heard) { h.Process = health.ProcessExited })
	if got := early.outcome(); got != "waiting "+LeaseRuns {
		t.Errorf("gone before it promised, and may be back: %s", got)
	}
}

const s1 = 1100 * time.Millisecond

func TestAnAcceptedLossElectsWhoHasMostOrWhoIsWanted(t *testing.T) {
	blocked := func() *scene { return group(3).fencing().never("db3").fenced("db2", "u1:1-7").inPhase(time.Minute) }
	if got := blocked().outcome(); got != "waiting "+AckersMissing {
		t.Errorf("without a word: %s", got)
	}
	s := blocked().accepts("")
	if got, want := forfeits(s), "forfeit: elect 2 db2 by accepted base u1:1-7 ackers  k 0 (Elected) lost u1:8-9"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.accepted(t)
	divergent := func() *scene {
		return group(3).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-8,u2:1").with(func(d *registry.Database) { d.Reign.Base = uuids("u1:1,u2:1") }).inPhase(time.Minute)
	}
	if got := divergent().outcome(); got != "waiting "+Divergent {
		t.Errorf("divergent: %s", got)
	}
	chosen := divergent().accepts("db3")
	if got, want := forfeits(chosen), "forfeit: elect 2 db3 by accepted base u1:1-8,u2:1 ackers  k 0 (Elected) lost u1:9"; strings.ReplaceAll(got, "\n", "") != want {
		t.Errorf("%s, want %s", got, want)
	}
	chosen.accepted(t)
	if got := divergent().accepts("db1").outcome(); got != "waiting "+Divergent {
		t.Errorf("wanted is one who was not heard: %s", got)
	}
	degraded := group(3).degraded().fencing().unheard("db1", time.Minute).process("db1", health.ProcessRunning).fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").accepts("")
	if got := degraded.inPhase(time.Second).outcome(); got != "waiting "+LeaseRuns {
		t.Errorf("after a degraded reign: %s", got)
	}
	if got := forfeits(degraded.inPhase(lease.Wait())); !strings.HasPrefix(got, "forfeit: elect 2 db2 by accepted base u1:1-9 ackers db3 k 1") {
		t.Errorf("after its lease: %s", got)
	}
}

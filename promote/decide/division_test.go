package decide

import (
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// A network is divided, and the voters are on a side from which too few ackers can be fenced: the primary may be writing with
// the others.
func TestADivisionThatLeavesTooFewAckersPromotesNobody(t *testing.T) {
	away := func(ids ...registry.InstanceID) *scene {
		s := group(3).probed(health.ProbeDead).with(outOfRotation(ids...))
		for _, id := range ids {
			s.unheard(id, time.Hour)
		}
		return s
	}
	runDecided(t, []decided{
		{"the primary and an acker are away, the other one hears nothing", away("db1", "db2").deaf("db3"), "waiting AckersMissing"},
		{"everybody is", away("db1", "db2", "db3"), "waiting AgentLost"},
		{"the primary is, and its ackers hear it", away("db1"), "waiting AgentLost"},
		{"the primary is, and one of its ackers hears it", away("db1").deaf("db3"), "waiting AgentLost"},
		{"it was revoked before the network was divided", group(3).fencing().fencedBut("db3"), "waiting AckersMissing"},
		{"the voters are with both ackers", away("db1").deaf("db2", "db3"), "revoke 2 PrimarySilent"},
	})
}

// The wall clock is written down and decides nothing.
func TestAClockThatJumpsChangesNoDecision(t *testing.T) {
	hour := time.Hour.Milliseconds()
	for name, make := range map[string]func() *scene{
		"at rest":   func() *scene { return group(3) },
		"dead":      func() *scene { return group(3).process("db1", gone) },
		"fencing":   func() *scene { return group(3).fencing().fencedBut() },
		"closing":   func() *scene { return group(3).closing().inPhase(3 * time.Second) },
		"promoting": func() *scene { return group(3).promoting().inPhase(31 * time.Second) },
		"lonely":    func() *scene { return group(3).canary(3500, true) },
	} {
		want := make().outcome()
		for _, now := range []int64{-hour, 0, hour, 1 << 40} {
			s := make()
			s.clock.NowMillis = now
			if got := s.outcome(); got != want {
				t.Errorf("%s: at %d ms %s, want %s", name, now, got, want)
			}
		}
	}
}

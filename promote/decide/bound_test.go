package decide

import (
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// wanting has the operator ask for more acknowledgements than the last reign had.
func (s *scene) wanting(k int) *scene {
	s.d.Policy.K = k
	return s
}

func (s *scene) divergedIn(id registry.InstanceID, extra string, in registry.Epoch) *scene {
	return s.guard(id, func(g *health.Guard) { g.Diverged, g.DivergedIn = uuids(extra), in })
}

func TestANumberOfAcknowledgementsThatWasNeverReachedStopsNoFailover(t *testing.T) {
	runDecided(t, []decided{
		{"a failure with two replicas left", group(3).wanting(2).process("db1", gone), "revoke 2 PrimaryGone"},
		{"one of them is missing", group(3).wanting(2).process("db1", gone).unheard("db3", time.Second), "waiting AckersMissing"},
		{"there are enough", group(4).wanting(2).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").fenced("db4", "u1:1-9"),
			"elect 2 db2 by fenced base u1:1-9 ackers db3+db4 k 2 (Elected)"},
		{"there are as many as there were", group(3).wanting(2).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9"),
			"elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"there are fewer", group(4).k(2).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").fenced("db4", "u1:1-8,u4:1"), "waiting AckersMissing"},
		{"fewer were asked for and not yet set", group(3).k(2).wanting(1).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9"),
			"elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"the first reign has what is asked for", group(3).forming().wanting(2).with(func(d *registry.Database) { d.Phase, d.Epoch = registry.Fencing, 1 }).
			fenced("db1", "").fenced("db2", "").fenced("db3", "").unheard("db3", time.Second), "waiting AckersMissing"},
		{"a hand-over", group(3).wanting(2).closing().closed("u1:1-9").guard("db3", func(g *health.Guard) { g.Diverged = "u3:1" }),
			"elect 2 db2 by closed base u1:1-9 ackers db1 k 1 (Elected)"},
	})
}

func TestAHandOverThatNobodyTakesOverIsBounded(t *testing.T) {
	limit := 3 * time.Second
	lonely := func() *scene {
		return group(3).closing().closed("u1:1-9").process("db1", gone).unheard("db3", time.Second)
	}
	runDecided(t, []decided{
		{"nobody can acknowledge for the winner", lonely().inPhase(limit - time.Millisecond), "waiting AckersMissing"},
		{"in time", lonely().inPhase(limit), "escalate 2 SwitchoverFailed"},
		{"the winner does not promise, and the former primary died", lonely().guard("db2", func(g *health.Guard) { g.Promise = 1 }).inPhase(limit), "escalate 2 SwitchoverFailed"},
		{"somebody is there at last", group(3).closing().closed("u1:1-9").inPhase(limit), "elect 2 db2 by closed base u1:1-9 ackers db1+db3 k 1 (Elected)"},
	})
}

func TestWhatThePrimaryLackedIsAskedOfNobody(t *testing.T) {
	split := func() *scene {
		return group(3).fencing().fenced("db2", "u1:1-9,u4:1").fenced("db3", "u1:1-9").closed("u1:1-9")
	}
	runDecided(t, []decided{
		{"nobody says whose it is: it may have been acknowledged", split().unheard("db2", time.Second), "waiting Divergent"},
		{"the last primary lacked it", split().unheard("db2", time.Second).divergedIn("db2", "u4:1", 1), "elect 2 db1 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"who holds it does not win", split().divergedIn("db2", "u4:1", 1).prefer("db2", registry.Prefer), "elect 2 db1 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"a primary before the last one lacked it", group(3).fencing().with(func(d *registry.Database) { d.Epoch = 3 }).
			fenced("db2", "u1:1-9,u4:1").fenced("db3", "u1:1-9").unheard("db2", time.Second).divergedIn("db2", "u4:1", 1), "waiting Divergent"},
		{"what the last reign began with is kept, whoever lacks it", split().with(func(d *registry.Database) { d.Reign.Base = uuids("u1:1,u4:1") }).
			unheard("db2", time.Second).divergedIn("db2", "u4:1", 1), "waiting Divergent"},
		{"what the last primary wrote is kept", group(3).fencing().fenced("db2", "u1:1-10").fenced("db3", "u1:1-9").unheard("db2", time.Second).
			divergedIn("db2", "u1:10", 1), "waiting Divergent"},
		{"it cannot be read", split().divergedIn("db2", "what", 1), "waiting Unreadable"},
	})
}

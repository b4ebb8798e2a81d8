package decide

import (
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// A leader sees of a partition only who is unheard, who is deaf, and what a probe says.
func TestAPartitionEndsAReignOnlyWhereItsAckersCanBeFenced(t *testing.T) {
	// The primary is on the other side, and what follows it there as well.
	apart := func(n int) *scene { return group(n).unheard("db1", 5*time.Second).probed(health.ProbeDead) }
	runDecided(t, []decided{
		{"the primary alone", apart(3).deaf("db2", "db3"), "revoke 2 PrimarySilent"},
		{"the primary and one of two ackers", apart(3).unheard("db2", 5*time.Second).deaf("db3"), "waiting AckersMissing"},
		{"the same, and the one here has no memory either", apart(3).unheard("db2", 5*time.Second).deaf("db3").amnesiac("db3"), "waiting AckersMissing"},
		{"the primary and one of three replicas, which does not acknowledge", apart(4).with(func(d *registry.Database) { d.Ackers = d.Ackers[:2] }).
			deaf("db2", "db3").unheard("db4", 5*time.Second), "revoke 2 PrimarySilent"},
		{"the primary and one of three ackers", apart(4).unheard("db2", 5*time.Second).deaf("db3", "db4"), "waiting AckersMissing"},
		{"k = 2: the primary and one of four ackers, which are too few for a commit", apart(5).k(2).unheard("db2", 5*time.Second).deaf("db3", "db4", "db5"), "revoke 2 PrimarySilent"},
		{"k = 2: the primary and two of four ackers, which are enough", apart(5).k(2).unheard("db2", 5*time.Second).unheard("db3", 5*time.Second).deaf("db4", "db5"),
			"waiting AckersMissing"},
	})
}

// A primary that is heard and does not reach its ackers serves nobody, and they could serve.
func TestAPrimaryCutOffFromItsAckersIsReplacedWhereTheyCanServe(t *testing.T) {
	away := func(s *scene, ids ...registry.InstanceID) *scene {
		for _, id := range ids {
			s.change(id, func(h *health.Heard) { h.Replication.SilenceMillis = 4000 })
		}
		return s
	}
	cut := func(n int, ms int64) *scene { return away(group(n).canary(ms, true), "db2", "db3") }
	runDecided(t, []decided{
		{"for four seconds", cut(3, 4100), "revoke 2 PrimaryCutOff"},
		{"for a second", cut(3, 1100), "nothing"},
		{"for three seconds, as when many packets are lost", cut(3, 3500), "waiting AckersLonely"},
		{"commits wait for something else", away(group(3).canary(2100, false), "db2", "db3"), "nothing"},
		{"an acker heard it a second ago", cut(3, 4500).deaf("db2"), "waiting AckersLonely"},
		{"one acker hears it", cut(3, 4500).hears("db2"), "waiting AckersLonely"},
		{"one acker is unheard: it may acknowledge", cut(3, 4500).unheard("db3", time.Second), "waiting AckersLonely"},
		{"one acker may have forgotten something", cut(3, 4500).amnesiac("db3"), "waiting AckersLonely"},
		{"nobody would be left to acknowledge", away(group(2).canary(4500, true), "db2"), "waiting AckersLonely"},
		{"the policy is to go on alone, and somebody can take over", cut(3, 6000).with(func(d *registry.Database) { d.Policy.WhenAlone = registry.Yield }), "revoke 2 PrimaryCutOff"},
		{"paused", cut(3, 4500).with(func(d *registry.Database) { d.Policy.Paused = true }), "waiting Paused"},
		{"k = 2 of 4: one acker is not enough for a commit, and three can be fenced", away(group(5).k(2).canary(4100, true), "db2", "db3", "db4"), "revoke 2 PrimaryCutOff"},
		{"k = 2 of 4: two ackers are enough, and something else is amiss", away(group(5).k(2).canary(4500, true), "db2", "db3"), "waiting AckersLonely"},
	})
}

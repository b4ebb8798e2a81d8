package decide

import (
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

func (s *scene) member(id registry.InstanceID, f func(*registry.Member)) *scene {
	for i := range s.d.Members {
		if s.d.Members[i].ID == id {
			f(&s.d.Members[i])
		}
	}
	return s
}

// leaving is the group at revision 7, in which db3 is to leave.
func (s *scene) leaving(code string) *scene {
	s.d.Revision = 7
	s.d.Armed = []registry.Armed{{Instance: "db2", Source: "db1"}, {Instance: "db3", Source: "db1"}}
	return s.member("db3", func(m *registry.Member) { m.Leaving = registry.Cause{Code: code} })
}

func (s *scene) changing(c registry.Change) *scene {
	s.d.Change = &c
	return s
}

func TestAnAckerThatLeavesIsRetiredInOrder(t *testing.T) {
	silent := func(g *health.Guard) { g.Silent = 7 }
	proved := func(g *health.Guard) { g.Proved = 7 }
	leaving := func() *scene { return group(3).leaving(registry.MemberLeaving) }
	retiring := func() *scene { return leaving().changing(registry.Change{Retire: "db3"}) }
	proving := func() *scene { return leaving().changing(registry.Change{Retire: "db3", Silent: true}) }
	retired := func() *scene { return leaving().with(func(d *registry.Database) { d.Ackers = d.Ackers[:1] }) }
	runDecided(t, []decided{
		{"it is to leave", leaving(), "change ackers: retire db3"},
		{"it is lost, and to leave", group(3).leaving(registry.MemberLost), "change ackers: retire db3"},
		{"while the database is paused", leaving().with(func(d *registry.Database) { d.Policy.Paused = true }), "nothing"},
		{"the primary has failed meanwhile", group(4).leaving(registry.MemberLeaving).guard("db1", func(g *health.Guard) { g.Marked = 0 }), "revoke 2 PrimaryRestarted"},
		{"it still acknowledges", retiring(), "waiting AckersChanging"},
		{"it was silent before the change", retiring().guard("db3", func(g *health.Guard) { g.Silent = 6 }), "waiting AckersChanging"},
		{"it is silent", retiring().guard("db3", silent), "advance at 7"},
		{"it said so long ago", retiring().guard("db3", silent).unheard("db3", time.Second), "waiting AckersChanging"},
		{"it said so in another epoch", retiring().guard("db3", silent).guard("db3", func(g *health.Guard) { g.Promise = 0 }), "waiting AckersChanging"},
		{"what it acknowledged is not proved to be elsewhere", proving(), "waiting AckersChanging"},
		{"it was proved before the change", proving().guard("db1", func(g *health.Guard) { g.Proved = 6 }), "waiting AckersChanging"},
		{"it is proved", proving().guard("db1", proved), "advance at 7"},
		{"somebody else proves nothing", proving().guard("db2", proved), "waiting AckersChanging"},
		{"it counts no more", retired().with(func(d *registry.Database) { d.Armed = d.Armed[:1] }), "remove db3"},
		{"it never counted and may acknowledge for one who reigned", retired(), "waiting AckersChanging"},
		{"it never counted and is silent", retired().guard("db3", silent), "remove db3"},
		{"it never counted and is lost", group(3).leaving(registry.MemberLost).with(func(d *registry.Database) { d.Ackers = d.Ackers[:1] }), "remove db3"},
	})
}

func TestTheNumberOfAcknowledgementsChangesInOrder(t *testing.T) {
	four := func(now, want int) *scene {
		return group(4).k(now).with(func(d *registry.Database) { d.Policy.K, d.Revision = want, 7 })
	}
	raising := func() *scene { return four(1, 2).changing(registry.Change{K: 2}) }
	runDecided(t, []decided{
		{"as it is", four(2, 2), "nothing"},
		{"more", four(1, 2), "change ackers: k 2"},
		{"fewer", four(2, 1), "change ackers: k 1"},
		{"more than there are", four(1, 4), "waiting AckersMissing"},
		{"not proved", raising(), "waiting AckersChanging"},
		{"proved", raising().guard("db1", func(g *health.Guard) { g.Proved = 7 }), "advance at 7"},
		{"nobody is added meanwhile", raising().with(func(d *registry.Database) { d.Ackers = d.Ackers[:2] }), "waiting AckersChanging"},
	})
}

// Who leaves neither wins nor acknowledges for a winner, also when the steps of leaving were cut off by a failure.
func TestWhoLeavesIsNotElected(t *testing.T) {
	runDecided(t, []decided{
		{"it does not acknowledge", group(4).leaving(registry.MemberLeaving).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").fenced("db4", "u1:1-9"),
			"elect 2 db2 by fenced base u1:1-9 ackers db4 k 1 (Elected)"},
		{"it does not win, but the winner gets from it what it alone has", group(4).leaving(registry.MemberLeaving).fencing().fenced("db2", "u1:1-8").fenced("db3", "u1:1-9").fenced("db4", "u1:1-8"),
			"elect 2 db2 by fenced base u1:1-9 ackers db4 k 1 (Elected) after db3 until u1:1-9"},
	})
}

package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// runs gives members a version, in their order.
func (s *scene) runs(versions ...string) *scene {
	for i, v := range versions {
		s.d.Members[i].Version = v
	}
	return s
}

// stands gives members a zone, in their order.
func (s *scene) stands(zones ...string) *scene {
	for i, z := range zones {
		s.d.Members[i].Zone = z
	}
	return s
}

// delay keeps a replica an hour behind on purpose.
func (s *scene) delay(id registry.InstanceID) *scene {
	return s.change(id, func(h *health.Heard) { h.Replication.DelaySeconds = 3600 })
}

// acknowledged makes these the ackers.
func (s *scene) ackers(ids ...registry.InstanceID) *scene {
	s.d.Ackers = ids
	return s
}

// fencedAt fences everybody but db1 and those who are left out, at u1:1-9.
func (s *scene) fencedBut(out ...registry.InstanceID) *scene {
	left := map[registry.InstanceID]bool{"db1": true}
	for _, id := range out {
		left[id] = true
		s.unheard(id, time.Hour)
	}
	for _, m := range s.d.Members {
		if !left[m.ID] {
			s.fenced(m.ID, "u1:1-9")
		}
	}
	return s
}

func TestAServerThatTheOthersCannotFollowIsNotPromoted(t *testing.T) {
	three := func(versions ...string) *scene {
		return group(3).runs(versions...).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9")
	}
	runDecided(t, []decided{
		{"the older one, although the newer one is preferred", three("8.4.5", "9.7.4", "8.4.6").prefer("db2", registry.Prefer),
			"elect 2 db3 by fenced base u1:1-9 ackers db2 k 1 (Elected)"},
		{"also where the older one gets what it lacks from the newer one first",
			group(3).runs("8.4.5", "9.7.4", "8.4.6").fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-7"),
			"elect 2 db3 by fenced base u1:1-9 ackers db2 k 1 (Elected) after db2 until u1:1-9"},
		{"nobody acknowledges for a newer one who could not follow it",
			three("8.4.5", "9.7.4", "8.4.6").prefer("db3", registry.Never), "waiting AckersMissing"},
		{"both are newer: they follow each other", three("8.0.36", "8.4.5", "8.4.6"), "elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"a newer release of the same series is no newer series", three("8.4.5", "8.4.9", "8.4.6").prefer("db2", registry.Prefer),
			"elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"the oldest of three", group(4).runs("8.0.36", "9.7.4", "8.4.5", "8.0.40").fencing().fencedBut(), "elect 2 db4 by fenced base u1:1-9 ackers db2+db3 k 1 (Elected)"},
		{"a former primary that was upgraded and started again gives way", three("9.7.4", "8.4.5", "8.4.6").closed("u1:1-9"),
			"elect 2 db2 by fenced base u1:1-9 ackers db1+db3 k 1 (Elected)"},
		{"a hand-over to a newer one is acknowledged by who can follow it", group(3).runs("8.4.5", "9.7.4", "9.7.4").closing().closed("u1:1-9"),
			"elect 2 db2 by closed base u1:1-9 ackers db3 k 1 (Elected)"},
		{"and not begun where nobody can", group(3).runs("8.4.5", "9.7.4", "8.4.6").closing().closed("u1:1-9").inPhase(2 * time.Second), "waiting AckersMissing"},
		{"unknown versions stop nobody", three("", "9.7.4", "").prefer("db2", registry.Prefer), "elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
	})
	s := three("8.4.5", "9.7.4", "8.4.6").prefer("db3", registry.Never)
	if why := Decide(s.d, s.view, s.rules, s.clock).Waiting.Detail; !strings.Contains(why, "db3 runs 8.4.6 and cannot follow 9.7.4") || !containsWayOut(why) {
		t.Errorf("the refusal does not name the versions: %s", why)
	}
	s.d.Accepted = &registry.Accepted{Epoch: s.d.Epoch}
	if got := s.outcome(); !strings.Contains(got, "*registry.Forfeit") && !strings.Contains(got, "elect 2 db2") {
		t.Errorf("an operator who accepts it gets %s", got)
	}
}

// Two sites: a failure of one server is not answered in the other one while this one can go on; and what must never be
// primary elsewhere has preference never.
func TestZonesAndPreferencesChooseAmongThoseWhoHoldEverything(t *testing.T) {
	sites := func() *scene { return group(5).k(2).stands("a", "b", "a", "b", "a") }
	dead := func() *scene { return sites().fencing() }
	far := func(s *scene) *scene { return s.prefer("db2", registry.Never).prefer("db4", registry.Never) }
	runDecided(t, []decided{
		{"the zone of the former primary", dead().fencedBut(), "elect 2 db3 by fenced base u1:1-9 ackers db2+db4+db5 k 2 (Elected)"},
		{"a preference comes first", dead().fencedBut().prefer("db4", registry.Prefer), "elect 2 db4 by fenced base u1:1-9 ackers db2+db3+db5 k 2 (Elected)"},
		{"a last resort in the same zone comes after", dead().fencedBut().prefer("db3", registry.LastResort).prefer("db5", registry.LastResort),
			"elect 2 db2 by fenced base u1:1-9 ackers db3+db4+db5 k 2 (Elected)"},
		{"the other zone has most: this one gets it first", dead().fenced("db2", "u1:1-9").fenced("db3", "u1:1-7").fenced("db4", "u1:1-7").fenced("db5", "u1:1-7"),
			"elect 2 db3 by fenced base u1:1-9 ackers db2+db4+db5 k 2 (Elected) after db2 until u1:1-9"},
		{"nobody is left in this zone", dead().stands("a", "b", "b", "b", "b").fencedBut(), "elect 2 db2 by fenced base u1:1-9 ackers db3+db4+db5 k 2 (Elected)"},
		{"the sites are cut off from each other, and the voters are with the primary: nothing",
			sites().unheard("db2", time.Hour).unheard("db4", time.Hour).with(outOfRotation("db2", "db4")), "nothing"},
		{"the voters are with the others, who may not lead: the ackers of the primary's site cannot be fenced",
			far(sites().ackers("db3", "db5").with(outOfRotation("db3", "db5")).unheard("db1", time.Hour).unheard("db3", time.Hour).unheard("db5", time.Hour).deaf("db2", "db4").probed(health.ProbeDead)),
			"waiting AgentLost"},
		{"the same, and it was revoked before the cut", far(sites().ackers("db3", "db5").fencing()).fencedBut("db3", "db5"), "waiting AckersMissing"},
	})
}

func outOfRotation(ids ...registry.InstanceID) func(*registry.Database) {
	return func(d *registry.Database) {
		for i, m := range d.Members {
			for _, id := range ids {
				if m.ID == id {
					d.Members[i].OutOf = registry.Cause{Code: ReplicaUnheard}
				}
			}
		}
	}
}

func TestADelayedReplicaNeitherAcknowledgesNorWins(t *testing.T) {
	four := func() *scene { return group(4).ackers("db2", "db3").delay("db4") }
	alone := func() *scene {
		return four().fencing().fenced("db4", "u1:1-9").unheard("db2", time.Hour).unheard("db3", time.Hour)
	}
	accepted := func(d *registry.Database) { d.Accepted = &registry.Accepted{Epoch: d.Epoch, To: "db4"} }
	runDecided(t, []decided{
		{"it is not made an acker, nor read from", four(), "rotation db4 ReplicaLagging"},
		{"that is said once", four().with(func(d *registry.Database) { d.Members[3].OutOf = registry.Cause{Code: ReplicaLagging} }), "nothing"},
		{"its delay is lifted", group(4).ackers("db2", "db3").with(func(d *registry.Database) { d.Members[3].OutOf = registry.Cause{Code: ReplicaLagging} }), "add acker 1 db4"},
		{"others win, and it does not acknowledge for them", four().fencing().fencedBut(), "elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"nor has it anything that was acknowledged and others lack", four().fencing().fencedBut().fenced("db4", "u1:1-12"), "elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"it alone survives a primary that died", four().process("db1", gone).unheard("db2", time.Hour).unheard("db3", time.Hour), "waiting AckersMissing"},
		{"it alone survives, and the primary was revoked", alone(), "waiting AckersMissing"},
		{"it is half of a pair", group(2).delay("db2").process("db1", gone), "waiting AckersMissing"},
		{"an operator accepts what it lacks", alone().with(accepted), "*registry.Forfeit"},
		{"then it takes its time", alone().promoting().with(func(d *registry.Database) { d.Primary, d.NextAckers, d.NextK = "db4", nil, 0; accepted(d) }).inPhase(time.Hour), "nothing"},
	})
	for name, s := range map[string]*scene{"before": group(2).delay("db2").process("db1", gone), "fenced": alone()} {
		if why := Decide(s.d, s.view, s.rules, s.clock).Waiting.Detail; !containsWayOut(why) {
			t.Errorf("%s: %s", name, why)
		}
	}
}

// Five members and k = 2: any two losses are survived, a third one is refused.
func TestFiveMembersSurviveTheLossOfTwo(t *testing.T) {
	five := func() *scene { return group(5).k(2) }
	lost := func(ids ...registry.InstanceID) *scene {
		s := five()
		for _, id := range ids {
			s.process(id, gone)
		}
		return s
	}
	runDecided(t, []decided{
		{"the primary", lost("db1"), "revoke 2 PrimaryGone"},
		{"the primary and one acker", lost("db1", "db2"), "revoke 2 PrimaryGone"},
		{"the primary and two ackers", lost("db1", "db2", "db3"), "waiting AckersMissing"},
		{"one acker is only taken out of rotation", lost("db2"), "rotation db2 ReplicaUnheard"},
		{"two ackers: commits go on with the others", lost("db2", "db3").with(outOfRotation("db2", "db3")), "nothing"},
		{"three ackers: commits wait", lost("db2", "db3", "db4").with(outOfRotation("db2", "db3", "db4")).canary(3500, true), "waiting AckersLonely"},
		{"the primary is fenced out", five().fencing().fencedBut(), "elect 2 db2 by fenced base u1:1-9 ackers db3+db4+db5 k 2 (Elected)"},
		{"it and one acker are", five().fencing().fencedBut("db3"), "elect 2 db2 by fenced base u1:1-9 ackers db4+db5 k 2 (Elected)"},
		{"two ackers are lost after it was revoked", five().fencing().fencedBut("db2", "db3"), "waiting AckersMissing"},
		{"the winner is lost on the way, and three are left", five().promoting().process("db2", gone), "revoke 3 WinnerLost"},
		{"it and another one are", five().promoting().process("db2", gone).process("db3", gone), "waiting AckersMissing"},
	})
}

// Two members and k = 1: a commit is always on both, so either one has everything, and neither can go on without the other.
func TestTwoMembersLoseNothingAndCannotGoOnAlone(t *testing.T) {
	two := func() *scene { return group(2) }
	yields := func(d *registry.Database) { d.Policy.WhenAlone = registry.Yield }
	back := func() *scene {
		return two().guard("db1", func(g *health.Guard) { g.Marked, g.Open = 0, 0 }).change("db1", func(h *health.Heard) { h.ReadOnly = true })
	}
	runDecided(t, []decided{
		{"all is well", two(), "nothing"},
		{"the primary died: nobody could acknowledge for the other one", two().process("db1", gone), "waiting AckersMissing"},
		{"it is back", back(), "revoke 2 PrimaryRestarted"},
		{"it is back, and both are there", two().fencing().fenced("db2", "u1:1-9").closed("u1:1-9"), "elect 2 db1 by fenced base u1:1-9 ackers db2 k 1 (Elected)"},
		{"the replica died: commits wait", two().process("db2", gone).with(outOfRotation("db2")).canary(3500, true), "waiting AckersLonely"},
		{"the replica died, and the policy is to go on alone", two().unheard("db2", time.Hour).with(outOfRotation("db2")).with(yields).canary(5500, true), "*registry.Degrade"},
		{"a hand-over needs no third one", two().closing().closed("u1:1-9"), "elect 2 db2 by closed base u1:1-9 ackers db1 k 1 (Elected)"},
		{"an operator accepts a loss, and the other one begins alone", two().fencing().fenced("db2", "u1:1-9").with(func(d *registry.Database) {
			d.Accepted = &registry.Accepted{Epoch: d.Epoch}
		}), "elect 2 db2 by fenced base u1:1-9 ackers  k 0 (Elected)"},
	})
}

// What nobody can have been answered for on two servers at once contradicts itself: a person must say whom to believe.
func TestReplicasThatBothWroteThemselvesStopAnElection(t *testing.T) {
	both := func() *scene { return group(3).fencing().fenced("db2", "u1:1-9,u2:1").fenced("db3", "u1:1-9,u3:1") }
	runDecided(t, []decided{
		{"nobody wins", both(), "waiting NoCandidate"},
		{"nor with the former primary gone for good and one of them unheard", both().unheard("db3", time.Hour), "waiting NoCandidate"},
		{"the former primary is back, and proves what it has", both().closed("u1:1-9"), "waiting AckersMissing"},
		{"the former primary goes on, when a third one wrote nothing and can acknowledge", group(4).fencing().fenced("db2", "u1:1-9,u2:1").fenced("db3", "u1:1-9,u3:1").fenced("db4", "u1:1-9").closed("u1:1-9"),
			"elect 2 db1 by fenced base u1:1-9 ackers db4 k 1 (Elected)"},
		{"an operator says whom to believe", both().with(func(d *registry.Database) { d.Accepted = &registry.Accepted{Epoch: d.Epoch, To: "db3"} }), "*registry.Forfeit"},
	})
	s := both()
	why := short(Decide(s.d, s.view, s.rules, s.clock).Waiting.Detail)
	for _, want := range []string{"db2 holds errant transactions u2:1", "db3 holds errant transactions u3:1", "--to SERVER"} {
		if !strings.Contains(why, want) {
			t.Errorf("the refusal does not say %q: %s", want, why)
		}
	}
}

// A registry that was restored would mint an epoch again in which others were fenced, at positions of then.
func TestARegistryThatWasRestoredOlderDecidesNothing(t *testing.T) {
	ahead := func(s *scene, id registry.InstanceID) *scene {
		return s.guard(id, func(g *health.Guard) { g.Promise = s.d.Epoch + 1 })
	}
	runDecided(t, []decided{
		{"an acker has promised more", ahead(group(3), "db2"), "waiting RegistryBehind"},
		{"the primary has", ahead(group(3).process("db1", gone), "db1"), "waiting RegistryBehind"},
		{"also while nobody reigns", ahead(group(3).fencing().fencedBut(), "db3"), "waiting RegistryBehind"},
		{"also where there was no reign", ahead(group(3).forming(), "db3"), "waiting RegistryBehind"},
		{"of one epoch it has seen more", group(3).with(func(d *registry.Database) { d.Revision = 4 }).guard("db2", func(g *health.Guard) { g.Revision = 5 }), "waiting RegistryBehind"},
		{"it has not seen the last change yet", group(3).with(func(d *registry.Database) { d.Revision = 4 }).guard("db2", func(g *health.Guard) { g.Revision = 3 }), "nothing"},
		{"revisions of an older epoch are not compared", group(3).fencing().with(func(d *registry.Database) { d.Revision = 2 }).guard("db2", func(g *health.Guard) { g.Revision = 9 }).fencedBut("db2"), "waiting AckersMissing"},
		{"who counts for nothing stops nobody", ahead(group(4).ackers("db2", "db3").with(outOfRotation("db4")), "db4").guard("db4", func(g *health.Guard) { g.Follows = 0 }).process("db1", gone), "revoke 2 PrimaryGone"},
	})
	if s := ahead(group(3), "db2"); !containsWayOut(Decide(s.d, s.view, s.rules, s.clock).Waiting.Detail) {
		t.Error("no way out is named")
	}
}

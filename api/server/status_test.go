package server_test

import (
	"slices"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

// A replica that is heard and does not follow is not healthy, though its database can be written to.
func TestAReplicaThatIsNotReadFromDegradesTheVerdict(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	for _, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		r.node("s1").Receive(report(id, 1))
	}
	c := r.client(r.as(identity.RoleOperator, "alice"), "s1")
	look := func() api.Status {
		st, err := c.Status(t.Context(), api.Current)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if st := look(); st.Verdict != api.Healthy {
		t.Fatalf("%s: %q", st.Verdict, st.Reasons)
	}
	r.must(&registry.SetRotation{Database: "orders", Instance: "db2", OutOf: registry.Cause{Code: "ReplicaBroken", Detail: "db2 does not follow the primary"}})
	want := "orders: not read from: ReplicaBroken: db2 does not follow the primary"
	if st := look(); st.Verdict != api.Degraded || !slices.Contains(st.Reasons, want) {
		t.Errorf("%s: %q", st.Verdict, st.Reasons)
	}
}

func TestAServerThatDoesNotAnswerTheLeaderDegradesTheVerdict(t *testing.T) {
	r := start(t, nil, "s1")
	c := r.client(r.as(identity.RoleOperator, "alice"), "s1")
	for silence, want := range map[int64]api.Verdict{-1: api.Healthy, 100: api.Healthy, 30_000: api.Degraded} {
		r.node("s1").peersAre(api.RaftPeer{Node: "s2", Voter: true, ContactMillis: silence})
		st, err := c.Status(t.Context(), api.Current)
		if err != nil {
			t.Fatal(err)
		}
		if st.Verdict != want || (want == api.Degraded) != slices.Contains(st.Reasons, "the server s2 has not answered the leader for 30s") {
			t.Errorf("not heard for %d ms: %s: %q", silence, st.Verdict, st.Reasons)
		}
	}
}

// What a primary was kept from as a replica is over: nobody looks at it again while it reigns.
func TestAPrimaryThatWasNotReadFromIsHealthy(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	for _, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		r.node("s1").Receive(report(id, 1))
	}
	r.must(&registry.SetRotation{Database: "orders", Instance: "db1", OutOf: registry.Cause{Code: "ReplicaUnheard", Detail: "db1 does not answer"}})
	st, err := r.client(r.as(identity.RoleOperator, "alice"), "s1").Status(t.Context(), api.Current)
	if err != nil {
		t.Fatal(err)
	}
	if st.Databases[0].Primary != "db1" || st.Verdict != api.Healthy {
		t.Errorf("primary %s, %s: %q", st.Databases[0].Primary, st.Verdict, st.Reasons)
	}
}

func TestASettingThatCouldLoseWritesDegradesTheVerdict(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	for _, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		said := report(id, 1)
		if id == "db2" {
			said.Findings = []health.Finding{{Setting: "sync_relay_log", Have: "0", Want: "1", Fatal: true}, {Setting: "performance_schema", Have: "OFF", Want: "ON"}}
		}
		r.node("s1").Receive(said)
	}
	st, err := r.client(r.as(identity.RoleOperator, "alice"), "s1").Status(t.Context(), api.Current)
	if err != nil {
		t.Fatal(err)
	}
	want := "orders: acknowledged writes could be lost: db2 has sync_relay_log = 0. Way out: see FINDINGS in baton db show orders"
	if st.Verdict != api.Degraded || !slices.Equal(st.Reasons, []string{want}) {
		t.Errorf("%s: %q", st.Verdict, st.Reasons)
	}
}

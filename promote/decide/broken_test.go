package decide

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// Whoever reads why a replica is not read from must not have to log in to it to learn what stopped it.
func TestABrokenReplicaIsNamedWithTheErrorOfItsServer(t *testing.T) {
	s := group(3).change("db3", func(h *health.Heard) {
		h.Replication.Applier, h.Replication.ErrorNumber, h.Replication.Error = false, 1062, "Duplicate entry '7' for key 't.PRIMARY'"
		h.Guard.Problem = "follow db1: nothing came of it"
	})
	c, ok := Decide(s.d, s.view, s.rules, s.clock).Command.(*registry.SetRotation)
	if !ok || c.OutOf.Code != ReplicaBroken {
		t.Fatalf("%+v", c)
	}
	for _, want := range []string{"applies nothing", "error 1062: Duplicate entry '7'", s.view["db3"].Guard.Problem} {
		if !strings.Contains(c.OutOf.Detail, want) {
			t.Errorf("%q does not say %q", c.OutOf.Detail, want)
		}
	}
	s = group(3).guard("db3", func(g *health.Guard) { g.Follows = 0 })
	if c, ok := Decide(s.d, s.view, s.rules, s.clock).Command.(*registry.SetRotation); !ok || strings.HasSuffix(c.OutOf.Detail, ": ") {
		t.Errorf("without a reason: %+v", c)
	}
}

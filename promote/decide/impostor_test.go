package decide

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// A copied server follows and catches up like any other, and its acknowledgements would be another's.
func TestAServerWithTheIdentityOfAnotherIsNoAcker(t *testing.T) {
	s := group(3).with(func(d *registry.Database) {
		d.Ackers = d.Ackers[:1]
		for i := range d.Members {
			d.Members[i].ServerID = uint32(i + 1)
		}
	})
	if got := s.outcome(); got != "add acker 1 db3" {
		t.Fatalf("itself: %s", got)
	}
	s.change("db3", func(h *health.Heard) { h.Instance, h.Boot, h.Report.Member = "db3", "b", s.d.Members[1] })
	if got := s.outcome(); strings.Contains(got, "add acker") || strings.Contains(got, "revoke") {
		t.Errorf("with the identity of db2: %s", got)
	}
}

// A server of another family in the place of the former primary says what nobody can read, and has no part in the election.
func TestAnUnreadableFormerPrimaryBlocksNoElection(t *testing.T) {
	well := group(3).fencing().fenced("db2", "u1:1-9").fenced("db3", "u1:1-9")
	want := well.outcome()
	if !strings.HasPrefix(want, "elect") {
		t.Fatal(want)
	}
	well.guard("db1", func(g *health.Guard) { g.Closed, g.ClosedPosition = well.d.Epoch, "0-1-5" })
	if got := well.outcome(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

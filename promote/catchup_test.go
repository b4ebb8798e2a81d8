package promote

import (
	"slices"
	"strings"
	"testing"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// The detour ends when the winner holds what its source holds, also what nobody needs, and only then is it followed: on
// MariaDB a replica that is ahead of the winner would stay broken.
func TestAWinnerCatchesUpBeforeAnybodyFollowsIt(t *testing.T) {
	both(t, func(t *testing.T, flavor mysqld.Flavor) {
		guarding(t, flavor, func(t *testing.T, w *ward) {
			w.reign("db1")
			w.acknowledged("db1")
			base := w.at("db2").eyes.Latest().Status.Position()
			w.group.Cut(w.at("db1").Server, w.at("db2").Server)
			last := w.acknowledged("db1")
			marks := len(w.at("db3").calls)
			w.at("db1").Crash()
			w.commit(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.PrimaryGone}})
			for _, id := range []registry.InstanceID{"db2", "db3"} {
				w.until("fenced", func() bool { return w.at(id).guard.Report().Fenced == 2 })
			}
			if w.at("db2").Holds(last) {
				t.Fatal("the winner is not behind")
			}
			all := w.at("db3").guard.Report().FencedPosition
			w.at("db2").stop()
			w.commit(&registry.Elect{Database: "orders", Epoch: 2, Winner: "db2", Base: base.String(), Ackers: []registry.InstanceID{"db3"}, K: 1,
				Proof: registry.ProofFenced, Evidence: []registry.Evidence{{Instance: "db2", Position: base.String()}, {Instance: "db3", Position: all}},
				CatchUp: &registry.CatchUp{From: "db3", Until: all}, Cause: registry.Cause{Code: decide.Elected}})
			w.until("db3 looks at the winner", func() bool { return strings.Contains(w.at("db3").guard.Report().Doing, "still lacks") })
			if got := w.at("db3").since(marks); slices.Contains(got, "follow 10.0.0.2@2") {
				t.Errorf("db3 did %v: it follows a winner that is behind", got)
			}
			w.start(w.at("db2"))
			w.until("the marker", func() bool { return w.at("db2").guard.Report().Marked == 2 })
			if !w.at("db2").Holds(last) {
				t.Error("the winner has its marker acknowledged without what its source holds")
			}
			if got := w.at("db3").since(marks); !slices.Contains(got, "follow 10.0.0.2@2") {
				t.Errorf("db3 did %v, and does not follow the winner", got)
			}
		})
	})
}

package promote

import (
	"testing"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// A node tells seldom of a guard that is settled. While somebody is chosen positions change without any step of a guard,
// and the leader waits for them.
func TestAGuardIsSettledWhileItsDatabaseIsServedAndOnlyThen(t *testing.T) {
	both(t, func(t *testing.T, flavor mysqld.Flavor) {
		guarding(t, flavor, func(t *testing.T, w *ward) {
			all := []registry.InstanceID{"db1", "db2", "db3"}
			w.reign("db1")
			for _, id := range all {
				w.until("settled", w.at(id).guard.Settled)
			}
			w.at("db1").Crash()
			w.commit(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.PrimaryGone}})
			for _, id := range all[1:] {
				w.until("fenced", func() bool { return w.at(id).guard.Report().Fenced == 2 })
				if w.at(id).guard.Settled() {
					t.Errorf("%s is settled and waits for an election", id)
				}
			}
		})
	})
}

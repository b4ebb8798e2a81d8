package promote_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// Somebody holds a lock that stops every commit, for longer than a stuck server is given: nobody is replaced, people are told, and
// commits go on when it is let go.
func TestALockThatSomebodyHoldsCostsNoReign(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(1)
			holder, err := c.admin(first.Primary).Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer holder.Close()
			for _, lock := range []string{"FLUSH TABLES WITH READ LOCK", "LOCK TABLES baton.canary READ"} {
				if _, err := holder.ExecContext(t.Context(), lock); err != nil {
					t.Fatal(err)
				}
				d := c.refused(decide.PrimaryLocked)
				if d.Epoch != first.Epoch || d.Primary != first.Primary || !strings.Contains(d.Refusal.Detail, "KILL") {
					t.Errorf("%s: %s reigns in epoch %d, want still %s in %d: %s", lock, d.Primary, d.Epoch, first.Primary, first.Epoch, d.Refusal)
				}
				if _, err := holder.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
					t.Fatal(err)
				}
				c.await("well again", func(d *registry.Database) bool { return d.Refusal.Zero() })
			}
			c.insert(2)
			if n := c.rows(first.Primary); n != 2 || c.database().Epoch != first.Epoch {
				t.Errorf("%d of 2 rows, epoch %d, want still %d", n, c.database().Epoch, first.Epoch)
			}
		})
	}
}

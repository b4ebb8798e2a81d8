package promote_test

import (
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// While a database is paused its primary may die and nobody replaces it; when it is resumed somebody does at once.
func TestAPausedDatabaseIsLeftAloneUntilItIsResumed(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(1)
			c.propose(&registry.SetPause{Database: "orders", Paused: true, Cause: registry.Cause{Code: registry.DatabasePaused, Detail: "by a test"}})
			c.gone(first.Primary)
			if d := c.refused(decide.Paused); d.Epoch != first.Epoch || d.Primary != first.Primary || d.Phase != registry.Serving {
				t.Errorf("%s, %s in epoch %d: want still %s in %d", d.Primary, d.Phase, d.Epoch, first.Primary, first.Epoch)
			}
			c.propose(&registry.SetPause{Database: "orders", Cause: registry.Cause{Code: registry.DatabaseResumed, Detail: "by a test"}})
			second := c.reignsAnew(first)
			c.insert(2)
			if n := c.rows(second.Primary); n != 2 || second.Primary == first.Primary {
				t.Errorf("%s has %d of 2 rows", second.Primary, n)
			}
		})
	}
}

package agent_test

import (
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/registry"
)

// TestServersRestartedOneByOneLoseNothing is an upgrade of every machine, the primary's last: each database server is stopped in
// good order and started again while applications write, and everybody has a role at the end.
func TestServersRestartedOneByOneLoseNothing(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		c := startCluster(t, family, nil)
		d := c.whole(t)
		for _, id := range append([]registry.InstanceID{d.Ackers[0], d.Ackers[1]}, d.Primary) {
			c.moreAcknowledged(t, 10)
			if err := c.server(t, id).Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := c.server(t, id).Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.whole(t)
		}
		c.moreAcknowledged(t, 10)
		oneWinnerEach(t, c.whole(t))
		c.nothingLost(t)
	})
}

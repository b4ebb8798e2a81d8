package agent_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

func eachFamily(t *testing.T, test func(t *testing.T, family lab.Family)) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) { test(t, family) })
	}
}

// TestNodesComeAndGoWithoutAnybodyLosingARole is G7 and its way back: what happens to baton alone changes nothing.
func TestNodesComeAndGoWithoutAnybodyLosingARole(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		c := startCluster(t, family, nil)
		before := c.whole(t)
		t.Run("all nodes are killed and started again", func(t *testing.T) {
			for range 2 {
				for _, n := range c.Nodes {
					c.kill(t, n)
				}
				c.moreAcknowledged(t, 20)
				c.unchanged(t, before)
				c.moreAcknowledged(t, 20)
			}
		})
		t.Run("the node beside the primary is killed", func(t *testing.T) {
			c.kill(t, c.Node(string(before.Primary)))
			v := c.await(t, "recorded that the agent is lost", func(v api.DatabaseView) bool { return v.Database.Refusal.Code == decide.AgentLost })
			if v.Database.Epoch != before.Epoch || v.Database.Primary != before.Primary {
				t.Errorf("the loss of an agent cost a reign: %s", describe(v))
			}
			c.moreAcknowledged(t, 20)
			c.unchanged(t, before)
			c.await(t, "well again", func(v api.DatabaseView) bool { return v.Database.Refusal.Zero() })
		})
		t.Run("the node beside the primary is restarted", func(t *testing.T) {
			for range 3 {
				n := c.Node(string(before.Primary))
				if err := n.Stop(); err != nil {
					t.Fatal(err)
				}
				c.unchanged(t, before)
			}
		})
		t.Run("somebody opens a replica", func(t *testing.T) {
			replica := before.Ackers[0]
			c.sql(t, replica, "SET GLOBAL read_only = 0")
			eventually(t, "closed again", func(ctx context.Context) error {
				db := c.open(t, replica)
				defer db.Close()
				var on bool
				if err := db.QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&on); err != nil {
					return err
				}
				if !on {
					return fmt.Errorf("%s takes writes", replica)
				}
				return nil
			})
			c.unchanged(t, before)
		})
		c.nothingLost(t)
	})
}

// unchanged starts whoever is down and waits until everything is as it was, in the same epoch.
func (c *cluster) unchanged(t *testing.T, before *registry.Database) {
	t.Helper()
	after := c.whole(t)
	if after.Epoch != before.Epoch || after.Primary != before.Primary {
		t.Fatalf("%s reigned in epoch %d, now %s does in epoch %d: %s\n%s", before.Primary, before.Epoch, after.Primary, after.Epoch,
			after.Cause, describe(c.view(t)))
	}
}

package agent_test

import (
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// TestAClosedPrimaryWithoutItsAgentIsReplaced closes the primary's server while nobody is there to open it: its replicas hear
// it, and no write gets through.
func TestAClosedPrimaryWithoutItsAgentIsReplaced(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		c := startCluster(t, family, nil)
		t.Run("somebody closes it", func(t *testing.T) {
			why := c.closeAlone(t, func(t *testing.T, d *registry.Database) { c.sql(t, d.Primary, "SET GLOBAL read_only = 1") })
			if why != decide.PrimaryClosed {
				t.Errorf("the next epoch began for %q", why)
			}
		})
		t.Run("it is started again", func(t *testing.T) {
			why := c.closeAlone(t, func(t *testing.T, d *registry.Database) {
				if err := c.server(t, d.Primary).Kill(); err != nil {
					t.Fatal(err)
				}
				if err := c.server(t, d.Primary).Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
			if why != decide.PrimaryClosed && why != decide.PrimarySilent { // a slow start is taken for the end of the server
				t.Errorf("the next epoch began for %q", why)
			}
		})
		c.nothingLost(t)
	})
}

// closeAlone kills the agent of the primary, lets its server be closed, and returns why the next epoch began.
func (c *cluster) closeAlone(t *testing.T, closes func(*testing.T, *registry.Database)) (why string) {
	t.Helper()
	before := c.whole(t)
	c.moreAcknowledged(t, 20)
	c.kill(t, c.Node(string(before.Primary)))
	closes(t, before)
	c.acknowledged(t, before.Epoch)
	v := c.await(t, "served by another", func(v api.DatabaseView) bool {
		return v.Database.Epoch > before.Epoch && v.Database.Phase == registry.Serving && v.Database.Primary != before.Primary
	})
	for _, e := range v.Database.History {
		if e.Epoch == before.Epoch+1 && e.Phase == registry.Fencing {
			why = e.Cause.Code
		}
	}
	c.moreAcknowledged(t, 20)
	c.whole(t) // the former primary follows when its agent is back
	return why
}

// An open primary whose agent is dead reigns on, also when nobody writes: an idle server is not a closed one.
func TestAnIdlePrimaryWithoutItsAgentIsNotReplaced(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		c := startCluster(t, family, nil)
		c.moreAcknowledged(t, 20)
		c.stopLoad()
		before := c.whole(t)
		c.kill(t, c.Node(string(before.Primary)))
		// Its replicas ask it when nothing has come for two seconds, and say no more than that it is heard.
		v := c.await(t, "asked whether it takes writes", func(v api.DatabaseView) bool {
			return v.Database.Refusal.Code == decide.AgentLost && v.Database.Epoch == before.Epoch && unheardFor(v, before.Primary) > 8
		})
		if v.Database.Primary != before.Primary || v.Database.Epoch != before.Epoch {
			t.Errorf("the loss of an agent cost a reign: %s", describe(v))
		}
		c.unchanged(t, before)
		c.startLoad(t)
		c.moreAcknowledged(t, 20)
	})
}

// unheardFor is for how many seconds an instance was not heard, 0 for one that never was.
func unheardFor(v api.DatabaseView, id registry.InstanceID) int64 {
	for _, i := range v.Instances {
		if i.Instance == id && i.AgeMillis != nil {
			return *i.AgeMillis / 1000
		}
	}
	return 0
}

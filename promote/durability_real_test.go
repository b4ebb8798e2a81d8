package promote_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// current is what a guard reads through the log of the leader.
func (c *trio) current(context.Context) (*registry.Database, error) {
	if c.unasked.Load() {
		return nil, errors.New("no server answers")
	}
	return c.database(), nil
}

func (c *trio) policy(change func(*registry.Policy)) {
	c.t.Helper()
	p := c.database().Policy
	change(&p)
	c.propose(&registry.PutDatabase{Name: "orders", Policy: p})
}

// gone kills servers that stay dead, back starts them again.
func (c *trio) gone(ids ...registry.InstanceID) {
	c.t.Helper()
	for _, id := range ids {
		if err := c.server(id).Kill(); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *trio) back(ids ...registry.InstanceID) {
	c.t.Helper()
	for _, id := range ids {
		if err := c.server(id).Start(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
}

// closed waits until the server refuses writes, or takes them.
func (c *trio) closed(id registry.InstanceID, want int) {
	c.t.Helper()
	db := c.admin(id)
	deadline := time.After(20 * time.Second)
	for now := -1; now != want; {
		if err := db.QueryRowContext(c.t.Context(), "SELECT @@GLOBAL.read_only").Scan(&now); err != nil {
			c.t.Fatal(err)
		}
		select {
		case <-deadline:
			c.t.Fatalf("read_only of %s is %d, want %d", id, now, want)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// heard waits until the leader has heard of everything that the server holds now.
func (c *trio) heard(id registry.InstanceID) {
	c.t.Helper()
	server, err := mysqld.Open(mysqld.Config{Socket: c.server(id).Socket(), User: "baton", Password: "baton"})
	if err != nil {
		c.t.Fatal(err)
	}
	defer server.Close()
	now, err := server.Status(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for {
		has, err := mysqld.ParseGTIDSet(now.Flavor, c.board.View("orders")[id].Position)
		if err == nil && has.Contains(now.Position()) {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-c.t.Context().Done():
			c.t.Fatalf("of %s the leader has heard %s, want %s", id, has, now.Position())
		}
	}
}

func TestAPrimaryLeftAloneGoesOnAndIsLosslessAgain(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(0)
			c.policy(func(p *registry.Policy) { p.WhenAlone = registry.Yield })
			alone := func(d *registry.Database) bool { return d.Durability == registry.Degraded }
			c.gone(first.Ackers...)
			c.insert(1) // it waits until the primary goes on alone
			d := c.await("alone", alone)
			if d.Primary != first.Primary || d.Alone == nil || d.Alone.Position == "" {
				t.Fatalf("%s is primary, alone since %+v", d.Primary, d.Alone)
			}
			c.back(first.Ackers...)
			d = c.await("lossless again", func(d *registry.Database) bool { return d.IsLossless() && d.Change == nil })
			c.insert(2)
			if got := c.clients(d.Primary, family); got == "0" || d.Primary != first.Primary || d.K != 1 {
				t.Errorf("%s replicas acknowledge for %s, k %d", got, d.Primary, d.K)
			}

			// Alone again, and lost: nobody is promoted by itself, and an operator says so.
			c.gone(first.Ackers...)
			c.insert(3)
			c.await("alone again", alone)
			c.heard(first.Primary)
			c.gone(first.Primary)
			c.back(first.Ackers...)
			d = c.await("refused", func(d *registry.Database) bool { return d.Refusal.Code == decide.WritesAtRisk })
			c.propose(&registry.AcceptLoss{Database: "orders", Epoch: d.Epoch, Cause: registry.Cause{Code: decide.DataLossAccepted, Detail: "by a test"}})
			refused := d.Epoch // a primary that a slow machine has closed or restarted reigns in another epoch than at first
			d = c.await("promoted", func(d *registry.Database) bool { return d.Phase == registry.Serving && d.Epoch > refused })
			if d.Primary == first.Primary || d.Loss == nil || d.Loss.Known == "" || d.Loss.From != first.Primary {
				t.Errorf("%s is primary, lost is %+v", d.Primary, d.Loss)
			}
			c.insert(4)
		})
	}
}

func TestAnAsyncPrimaryReignsByItsLease(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.policy(func(p *registry.Policy) { p.Durability = registry.Async })
			c.await("async", func(d *registry.Database) bool { return d.Durability == registry.Async })
			c.insert(0)
			c.unasked.Store(true)
			c.closed(first.Primary, 1) // it closes itself when its lease is over
			c.unasked.Store(false)
			c.closed(first.Primary, 0)
			c.insert(1)
			c.gone(first.Primary)
			d := c.await("replaced", func(d *registry.Database) bool { return d.Phase == registry.Serving && d.Epoch > first.Epoch })
			if d.Primary == first.Primary || d.Durability != registry.Async || d.Loss == nil {
				t.Errorf("%s is primary, %s, lost is %+v", d.Primary, d.Durability, d.Loss)
			}
			c.insert(2)
			c.policy(func(p *registry.Policy) { p.Durability = registry.Lossless })
			c.await("lossless", func(d *registry.Database) bool { return d.IsLossless() })
			c.insert(3)
		})
	}
}

package promote_test

import (
	"database/sql"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/registry"
)

func TestAnAckerIsRemovedWhileWritesGoOn(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(0)
			goes, stays := first.Ackers[0], first.Ackers[1]
			written := c.write(first.Primary)
			c.propose(&registry.Leave{Database: "orders", Instance: goes, Cause: registry.Cause{Code: registry.MemberLeaving, Detail: "by a test"}})
			d := c.await("removed", func(d *registry.Database) bool { _, member := d.Member(goes); return !member })
			n := written()
			if d.Epoch != first.Epoch || len(d.Ackers) != 1 || d.Ackers[0] != stays || d.Change != nil {
				t.Fatalf("epoch %d, ackers %v, change %+v: want %s alone in epoch %d", d.Epoch, d.Ackers, d.Change, stays, first.Epoch)
			}
			if n == 0 {
				t.Error("no write got through meanwhile")
			}
			if got := c.clients(d.Primary, family); got != "1" {
				t.Errorf("%s replicas acknowledge, want 1", got)
			}
			c.propose(&registry.Leave{Database: "orders", Instance: goes})
			m, _ := first.Member(goes)
			c.propose(&registry.PutMember{Database: "orders", Member: m})
			c.await("let in again", serving)
			c.insert(1 << 20)
		})
	}
}

func TestTheNumberOfAcknowledgementsFollowsThePolicy(t *testing.T) {
	c := startTrio(t, lab.MySQL)
	d := c.await("formed", serving)
	c.insert(0)
	for i, k := range []int{2, 1, 2} {
		p := d.Policy
		p.K = k
		c.propose(&registry.PutDatabase{Name: "orders", Policy: p})
		d = c.await("changed", func(d *registry.Database) bool { return d.K == k && d.Change == nil })
		c.insert(i + 1)
	}
	var now int
	if err := c.admin(d.Primary).QueryRowContext(t.Context(), "SELECT @@GLOBAL.rpl_semi_sync_source_wait_for_replica_count").Scan(&now); err != nil {
		t.Fatal(err)
	}
	if now != 2 {
		t.Errorf("the server waits for %d acknowledgements, the registry says 2", now)
	}
}

// write writes until the returned function is called, which says how many writes were acknowledged.
func (c *trio) write(id registry.InstanceID) func() int64 {
	c.t.Helper()
	db := c.open(id)
	var n atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := db.ExecContext(c.t.Context(), "INSERT INTO t VALUES (?)", i); err != nil {
				c.t.Errorf("write %d: %v", i, err)
				return
			}
			n.Add(1)
		}
	})
	return func() int64 { close(stop); all.Wait(); return n.Load() }
}

// admin is a connection that may see everything.
func (c *trio) admin(id registry.InstanceID) *sql.DB {
	c.t.Helper()
	db, err := sql.Open("mysql", "admin:admin@tcp("+c.server(id).Addr().String()+")/")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = db.Close() })
	return db
}

// clients is how many replicas the server thinks acknowledge.
func (c *trio) clients(id registry.InstanceID, family lab.Family) string {
	c.t.Helper()
	pattern := "Rpl_semi_sync_source_clients"
	if family == lab.MariaDB {
		pattern = "Rpl_semi_sync_%_clients" // it has the old name
	}
	var name, value string
	if err := c.admin(id).QueryRowContext(c.t.Context(), "SHOW GLOBAL STATUS LIKE '"+pattern+"'").Scan(&name, &value); err != nil {
		c.t.Fatal(err)
	}
	return value
}

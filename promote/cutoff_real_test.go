package promote_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// The primary loses its ackers, which cannot log in to it any more, while everybody's agent is heard.
func TestAPrimaryThatItsAckersDoNotReachIsReplaced(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(1)
			c.shutOut(first.Primary)
			c.insert(2)
			d := c.await("replaced", func(d *registry.Database) bool { return d.Phase == registry.Serving && d.Epoch > first.Epoch })
			if d.Primary == first.Primary {
				t.Errorf("%s reigns, which its ackers do not reach", d.Primary)
			}
			for _, e := range d.History {
				if e.Epoch == first.Epoch+1 && e.Phase == registry.Fencing && e.Cause.Code != decide.PrimaryCutOff {
					t.Errorf("epoch %d began for %s", e.Epoch, e.Cause)
				}
			}
		})
	}
}

// shutOut lets nobody replicate from a server.
func (c *trio) shutOut(id registry.InstanceID) {
	c.t.Helper()
	db, err := sql.Open("mysql", "admin:admin@tcp("+c.server(id).Addr().String()+")/")
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range []string{"SET SESSION sql_log_bin = 0", "ALTER USER 'repl'@'%' ACCOUNT LOCK"} {
		if _, err := conn.ExecContext(c.t.Context(), text); err != nil {
			c.t.Fatalf("%s: %v", text, err)
		}
	}
	rows, err := conn.QueryContext(c.t.Context(), "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")
	if err != nil {
		c.t.Fatal(err)
	}
	var ids []int
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			c.t.Fatal(err)
		}
		ids = append(ids, n)
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		c.t.Fatalf("nobody replicates from %s: %v", id, err)
	}
	for _, n := range ids {
		if _, err := conn.ExecContext(c.t.Context(), fmt.Sprintf("KILL %d", n)); err != nil {
			c.t.Fatal(err)
		}
	}
}

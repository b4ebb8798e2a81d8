package promote_test

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/registry"
)

// A replica that stands still while much is written has less than the other one, whatever waits in its sockets.
func TestAPreferredReplicaThatIsBehindCatchesUpAndWins(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(1)
			behind, ahead := first.Ackers[0], first.Ackers[1]
			m, _ := first.Member(behind)
			m.Preference = registry.Prefer
			c.propose(&registry.PutMember{Database: "orders", Member: m})
			if err := c.server(behind).Freeze(); err != nil {
				t.Fatal(err)
			}
			const rows = 24
			c.fill(first.Primary, rows)
			if err := c.server(first.Primary).Kill(); err != nil {
				t.Fatal(err)
			}
			if err := c.server(behind).Thaw(); err != nil {
				t.Fatal(err)
			}
			second := c.await("replaced", func(d *registry.Database) bool { return d.Phase == registry.Serving && d.Epoch > first.Epoch })
			detour := slices.ContainsFunc(second.History, func(e registry.Event) bool {
				return e.Instance == behind && strings.Contains(e.Cause.Detail, string(behind)+" catches up from "+string(ahead))
			})
			if second.Primary != behind || !detour {
				t.Fatalf("%s is primary, detour %t; want the preferred %s after one: %+v", second.Primary, detour, behind, second.History)
			}
			if n := c.count(second.Primary); n != rows {
				t.Errorf("%d of %d acknowledged rows are there", n, rows)
			}
			c.insert(2)
			if err := c.server(first.Primary).Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.await("whole again", serving)
		})
	}
}

func (c *trio) open(id registry.InstanceID) *sql.DB {
	c.t.Helper()
	db, err := sql.Open("mysql", "app:app@tcp("+c.server(id).Addr().String()+")/app")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = db.Close() })
	return db
}

// fill writes rows of a megabyte, each acknowledged.
func (c *trio) fill(id registry.InstanceID, rows int) {
	c.t.Helper()
	db := c.open(id)
	if _, err := db.ExecContext(c.t.Context(), "CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB)"); err != nil {
		c.t.Fatal(err)
	}
	for i := range rows {
		if _, err := db.ExecContext(c.t.Context(), "INSERT INTO big VALUES (?, REPEAT('x', 1000000))", i); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *trio) count(id registry.InstanceID) (n int) {
	c.t.Helper()
	if err := c.open(id).QueryRowContext(c.t.Context(), "SELECT COUNT(*) FROM big").Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

package promote_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/registry"
)

// until waits until a setting of id, the one like pattern, is want.
func (c *trio) until(id registry.InstanceID, pattern, want string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 40*time.Second)
	defer cancel()
	db := c.admin(id)
	for {
		var name, got string
		if err := db.QueryRowContext(ctx, showSetting(pattern)).Scan(&name, &got); err != nil {
			c.t.Fatalf("%s of %s is %q, want %q: %v", pattern, id, got, want, err)
		}
		if got == want {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func showSetting(pattern string) string { return "SHOW GLOBAL VARIABLES LIKE '" + pattern + "'" }

// setting is the name, which is not the same in both families, and the value of a setting of id.
func (c *trio) setting(ctx context.Context, id registry.InstanceID, pattern string) (name, value string) {
	c.t.Helper()
	if err := c.admin(id).QueryRowContext(ctx, showSetting(pattern)).Scan(&name, &value); err != nil {
		c.t.Fatalf("%s of %s: %v", pattern, id, err)
	}
	return name, value
}

// Whatever somebody changes of how commits wait for acknowledgements is put back while the primary reigns.
func TestSettingsOfAPrimaryThatSomebodyChangesArePutBack(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			d := c.await("formed", serving)
			c.insert(0)
			enabled, _ := c.setting(t.Context(), d.Primary, "rpl_semi_sync%_wait_point")
			enabled = strings.TrimSuffix(enabled, "wait_point") + "enabled"
			for i, s := range [][3]string{
				{enabled, "OFF", "ON"}, {"rpl_semi_sync%wait_no%", "OFF", "ON"}, {"rpl_semi_sync%timeout", "10", "4294967295"},
				{"rpl_semi_sync%wait_point", "AFTER_COMMIT", "AFTER_SYNC"},
			} {
				pattern := s[0]
				if i == 2 {
					pattern = strings.TrimSuffix(enabled, "enabled") + "timeout" // there is one for killed connections
				}
				name, was := c.setting(t.Context(), d.Primary, pattern)
				if was != s[2] {
					t.Fatalf("%s is %s", name, was)
				}
				if _, err := c.admin(d.Primary).ExecContext(t.Context(), "SET GLOBAL "+name+" = "+s[1]); err != nil {
					t.Fatal(err)
				}
				c.until(d.Primary, name, s[2])
				c.insert(i + 1)
			}
			if now := c.database(); now.Epoch != d.Epoch || now.Primary != d.Primary {
				t.Errorf("the primary moved: epoch %d, %s", now.Epoch, now.Primary)
			}
		})
	}
}

// A replica that nobody registered acknowledges: commits wait for one acknowledgement more, so that an acker is among those
// they get, as long as it does. MariaDB cannot; there it is told.
func TestAStrangersAcknowledgementIsNotEnough(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			d := c.await("formed", serving)
			c.insert(0)
			alone := labtest.StartEach(t, labtest.Require(t, family), 1, func(_ int, o *lab.Options) { o.Name, o.ServerID = "stranger", 99 })[0]
			stranger, err := mysqld.Open(mysqld.Config{Socket: alone.Socket(), User: "baton", Password: "baton"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stranger.Close() })
			addr := c.server(d.Primary).Addr()
			src := mysqld.Source{Host: addr.Addr().String(), Port: addr.Port(), User: "repl", Password: "repl", SemiSync: true}
			if err := stranger.Follow(t.Context(), src); err != nil {
				t.Fatal(err)
			}
			told := func(want bool) {
				t.Helper()
				deadline := time.After(40 * time.Second)
				for strings.Contains(c.guard(d.Primary).Report().Strangers, "server id 99") != want {
					select {
					case <-deadline:
						t.Fatalf("strangers %q, want one told of: %t", c.guard(d.Primary).Report().Strangers, want)
					case <-time.After(time.Millisecond):
					}
				}
			}
			told(true)
			const count = "rpl_semi_sync%wait_for_replica_count"
			if family == lab.MySQL {
				c.until(d.Primary, count, "2")
			}
			c.insert(1)
			src.SemiSync = false
			if err := stranger.Follow(t.Context(), src); err != nil {
				t.Fatal(err)
			}
			told(false)
			if family == lab.MySQL {
				c.until(d.Primary, count, "1")
			}
			c.insert(2)
			if now := c.database(); now.Epoch != d.Epoch {
				t.Errorf("the primary moved to epoch %d", now.Epoch)
			}
		})
	}
}

func (c *trio) guard(id registry.InstanceID) *promote.Guard {
	for i, s := range c.servers {
		if s.Name() == string(id) {
			return c.guards[i]
		}
	}
	c.t.Fatalf("no guard of %q", id)
	return nil
}

package promote_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// refused waits until nothing is done, for this reason.
func (c *trio) refused(code string) *registry.Database {
	c.t.Helper()
	return c.await("refused: "+code, func(d *registry.Database) bool { return d.Refusal.Code == code })
}

// rows is how many rows insert has written that are there.
func (c *trio) rows(id registry.InstanceID) (n int) {
	c.t.Helper()
	if err := c.open(id).QueryRowContext(c.t.Context(), "SELECT COUNT(*) FROM t").Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// reignsAnew waits for the next reign.
func (c *trio) reignsAnew(since *registry.Database) *registry.Database {
	c.t.Helper()
	return c.await("served anew", func(d *registry.Database) bool { return d.Phase == registry.Serving && d.Epoch > since.Epoch })
}

// follows waits until id holds everything that is asked of an acker, as the leader has heard: a second loss before that may be one too many.
func (c *trio) follows(id registry.InstanceID) *registry.Database {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 40*time.Second)
	defer cancel()
	for {
		d, g := c.database(), c.board.View("orders")[id].Guard
		if serving(d) && d.IsAcker(id) && g.Follows == d.Epoch && g.CaughtUp && !g.Amnesiac {
			return d
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			c.t.Fatalf("%s does not follow: %+v", id, g)
		}
	}
}

// run says a statement to a server.
func (c *trio) run(id registry.InstanceID, statements ...string) {
	c.t.Helper()
	for _, text := range statements {
		if _, err := c.admin(id).ExecContext(c.t.Context(), text); err != nil {
			c.t.Fatalf("%s on %s: %v", text, id, err)
		}
	}
}

// Five servers and two acknowledgements: two are lost at once and nothing is; with a third one nobody is promoted, and what
// was acknowledged is there when one of them is back.
func TestFiveServersLoseTwoAtOnceAndNoWrite(t *testing.T) {
	bin := labtest.Require(t, lab.MySQL) // MariaDB waits for one
	policy := registry.DefaultPolicy()
	policy.K = 2
	c := startGroup(t, policy, bin, bin, bin, bin, bin)
	first := c.await("formed", serving)
	c.insert(1)
	c.gone(first.Primary, first.Ackers[0])
	second := c.reignsAnew(first)
	c.insert(2)
	// The acker that dies may have been fenced before it did, and then it is one of the next reign's too.
	if n := c.rows(second.Primary); n != 2 || second.K != 2 || len(second.Ackers) < 2 {
		t.Errorf("%s has %d of 2 rows, and waits for %d of %v", second.Primary, n, second.K, second.Ackers)
	}
	c.gone(second.Primary)
	lost := c.refused(decide.AckersMissing)
	if lost.Epoch != second.Epoch || !strings.Contains(lost.Refusal.Detail, "Way out") {
		t.Errorf("epoch %d, want still %d: %s", lost.Epoch, second.Epoch, lost.Refusal)
	}
	c.back(first.Ackers[0])
	third := c.reignsAnew(second)
	c.insert(3)
	if n := c.rows(third.Primary); n != 3 {
		t.Errorf("%s has %d of 3 rows", third.Primary, n)
	}
	c.back(first.Primary, second.Primary)
	c.await("whole again", serving)
}

// Two servers: whichever dies, nothing is lost, nobody is promoted without the other, and it goes on by itself when that is back.
func TestTwoServersWaitForEachOther(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			bin := labtest.Require(t, family)
			c := startGroup(t, registry.DefaultPolicy(), bin, bin)
			first := c.await("formed", serving)
			c.insert(1)
			c.gone(first.Primary)
			if d := c.refused(decide.AckersMissing); d.Epoch != first.Epoch {
				t.Errorf("epoch %d, want still %d", d.Epoch, first.Epoch)
			}
			c.back(first.Primary)
			second := c.reignsAnew(first)
			c.insert(2)
			c.await("both are there", func(d *registry.Database) bool { return serving(d) && d.Refusal.Zero() })
			c.gone(second.Ackers[0])
			written := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			db := c.open(second.Primary)
			var writing sync.WaitGroup
			defer writing.Wait()
			writing.Go(func() {
				_, err := db.ExecContext(ctx, "INSERT INTO t VALUES (3)")
				written <- err
			})
			if d := c.refused(decide.AckersLonely); d.Epoch != second.Epoch {
				t.Errorf("epoch %d, want still %d", d.Epoch, second.Epoch)
			}
			select {
			case err := <-written:
				t.Fatalf("a write ended without an acknowledgement: %v", err)
			default:
			}
			c.back(second.Ackers[0])
			if err := <-written; err != nil {
				t.Errorf("the write that waited: %v", err)
			}
			if n := c.rows(second.Primary); n != 3 {
				t.Errorf("%d of 3 rows", n)
			}
		})
	}
}

// A replica that is kept behind on purpose is told apart: it is not read from, does not acknowledge when it might, keeps its
// delay over a failover, and is a replica like others when somebody lifts the delay.
func TestADelayedReplicaStaysOutOfEverything(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			bin := labtest.Require(t, family)
			c := startGroup(t, registry.DefaultPolicy(), bin, bin, bin, bin)
			first := c.await("formed", serving)
			c.insert(1)
			late := first.Ackers[2]
			c.await("read from", func(d *registry.Database) bool { m, _ := d.Member(late); return m.OutOf.Zero() })
			c.run(late, lab.DelayStatements(family, 2000)...)
			out := func(d *registry.Database) bool {
				m, _ := d.Member(late)
				return m.OutOf.Code == decide.ReplicaLagging && strings.Contains(m.OutOf.Detail, "on purpose")
			}
			c.await("not read from", out)
			c.insert(2)
			c.gone(first.Primary)
			second := c.reignsAnew(first)
			c.insert(3)
			if second.Primary == late || second.IsAcker(late) {
				t.Errorf("%s is primary, %v acknowledge; %s is delayed", second.Primary, second.Ackers, late)
			}
			if n := c.rows(second.Primary); n != 3 {
				t.Errorf("%s has %d of 3 rows", second.Primary, n)
			}
			c.back(first.Primary)
			c.await("the former primary acknowledges", func(d *registry.Database) bool { return d.Phase == registry.Serving && d.IsAcker(first.Primary) })
			if d := c.database(); d.IsAcker(late) {
				t.Errorf("%s acknowledges although it is delayed", late)
			}
			c.run(late, lab.DelayStatements(family, 0)...)
			c.await("an acker like others", func(d *registry.Database) bool { m, _ := d.Member(late); return d.IsAcker(late) && m.OutOf.Zero() })
		})
	}
}

// secondMariaDB is the release after the installed one, where scripts/get-mariadb-11.8 has built it.
func secondMariaDB(t *testing.T) *lab.Binaries {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	root := filepath.Join(cache, "baton", "mariadb-11.8")
	if _, err := os.Stat(root); err != nil {
		t.Skip("run scripts/get-mariadb-11.8: ", err)
	}
	t.Setenv("BATON_MARIADB_ROOT", root)
	return labtest.Require(t, lab.MariaDB)
}

// A newer server replicates from older ones and acknowledges for them, but is not promoted over one that could not follow it,
// also when it is preferred and has everything.
func TestANewerServerIsNotPromotedOverAnOlderOne(t *testing.T) {
	newer := secondMariaDB(t)
	t.Setenv("BATON_MARIADB_ROOT", "")
	older := labtest.Require(t, lab.MariaDB)
	if older.Version == newer.Version {
		t.Skip("both are ", older.Version)
	}
	c := startGroup(t, registry.DefaultPolicy(), older, older, newer)
	d := c.await("formed", serving)
	if d.Primary == "db3" {
		t.Fatal("the newer one was chosen first")
	}
	m, _ := d.Member("db3")
	if !strings.HasPrefix(newer.Version, m.Version[:4]) {
		t.Errorf("db3 is registered as %s, want %s", m.Version, newer.Version)
	}
	c.run("db3", lab.PlainStatements()...)
	d = c.follows("db3")
	m.Preference = registry.Prefer
	c.propose(&registry.PutMember{Database: "orders", Member: m})
	for i := range 2 {
		c.insert(i)
		if err := c.server(d.Primary).Crash(); err != nil {
			t.Fatal(err)
		}
		d = c.reignsAnew(d)
		if slices.ContainsFunc(d.History, func(e registry.Event) bool { return e.Cause.Code == decide.Elected && e.Instance == "db3" }) {
			t.Fatalf("the newer one was elected: %+v", d.History)
		}
		for _, id := range d.Ackers {
			c.follows(id)
		}
		d = c.follows("db3")
	}
	if n := c.rows(d.Primary); n != 2 {
		t.Errorf("%d of 2 rows", n)
	}
}

// The registry is put back to what it was before a failover: guards wait, nobody is promoted by it, and nothing that was
// acknowledged since is given up. With the younger one back everything goes on.
func TestARegistryThatWasRestoredOlderIsNotActedOn(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(1)
			before := c.log.State()
			if err := c.server(first.Primary).Crash(); err != nil {
				t.Fatal(err)
			}
			c.reignsAnew(first)
			c.insert(2)
			second := c.await("whole again", serving)
			after := c.log.State()
			restore := func(s *registry.State) {
				c.log.mu.Lock()
				defer c.log.mu.Unlock()
				c.log.Publish(s.WithIndex(c.log.State().Index() + 1))
			}
			restore(before)
			c.refused(decide.RegistryBehind)
			if err := c.server(first.Primary).Crash(); err != nil { // it reigns, by this registry
				t.Fatal(err)
			}
			if err := c.server(first.Primary).Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.heard(first.Primary)
			if d := c.refused(decide.RegistryBehind); d.Epoch != first.Epoch || d.Phase != registry.Serving {
				t.Errorf("%s in epoch %d was decided by an older registry", d.Phase, d.Epoch)
			}
			restore(after)
			c.insert(3)
			d := c.await("whole again", serving)
			if n := c.rows(d.Primary); n != 3 || d.Epoch < second.Epoch {
				t.Errorf("%d of 3 rows, epoch %d", n, d.Epoch)
			}
		})
	}
}

// A former primary whose configuration lets it take writes when it boots is closed by its guard, and follows.
func TestAFormerPrimaryThatBootsOpenIsClosed(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(1)
			old := c.server(first.Primary)
			c.gone(first.Primary)
			c.reignsAnew(first)
			c.insert(2)
			open := []string{"--read-only=OFF"}
			if family == lab.MySQL {
				open = append(open, "--super-read-only=OFF")
			}
			old.SetExtra(open...)
			c.back(first.Primary)
			d := c.await("whole again", serving)
			if d.Primary == first.Primary {
				t.Errorf("%s reigns again", d.Primary)
			}
			c.closed(first.Primary, 1)
		})
	}
}

// The wanted winner of a hand-over dies when the primary has been told to close: somebody takes writes again, and nothing is lost.
func TestAHandOverWhoseWinnerOrPrimaryDiesEndsInAReign(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			d := c.await("formed", serving)
			for i, dies := range []func(d *registry.Database, to registry.InstanceID) registry.InstanceID{
				func(_ *registry.Database, to registry.InstanceID) registry.InstanceID { return to },
				func(d *registry.Database, _ registry.InstanceID) registry.InstanceID { return d.Primary },
			} {
				c.insert(i)
				to := d.Ackers[0]
				victim := dies(d, to)
				c.propose(&registry.Revoke{Database: "orders", Epoch: d.Epoch + 1, To: to, Cause: registry.Cause{Code: decide.Switchover}})
				c.gone(victim)
				after := c.reignsAnew(d)
				c.insert(10 + i)
				if after.Primary == victim && i == 0 {
					t.Errorf("%s reigns, which was killed", victim)
				}
				c.back(victim)
				d = c.follows(victim)
			}
			if n := c.rows(d.Primary); n != 4 {
				t.Errorf("%d of 4 rows", n)
			}
		})
	}
}

// A transaction that does not end holds nobody up for longer than the bound of a hand-over, and is never told that it is
// committed where it is not.
func TestAHandOverIsNotHeldUpByAnOpenTransaction(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			d := c.await("formed", serving)
			c.insert(1)
			tx, err := c.open(d.Primary).BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO t VALUES (2)"); err != nil {
				t.Fatal(err)
			}
			c.propose(&registry.Revoke{Database: "orders", Epoch: d.Epoch + 1, To: d.Ackers[0], Cause: registry.Cause{Code: decide.Switchover}})
			after := c.reignsAnew(d)
			want := 1
			if err := tx.Commit(); err == nil {
				want = 2
			}
			if n := c.rows(after.Primary); n != want {
				t.Errorf("%s has %d rows, want %d: %s", after.Primary, n, want, after.Cause)
			}
			t.Logf("%s -> %s (%s), the transaction committed: %t", d.Primary, after.Primary, after.History[len(after.History)-1].Cause.Code, want == 2)
			c.insert(3)
			c.await("whole again", serving)
		})
	}
}

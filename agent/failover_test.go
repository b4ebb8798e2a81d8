package agent_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// TestFailoversSurviveTheLossOfTheLeader is G5: whoever coordinates may be killed at any step, and at the same moment as
// the primary; the next leader finishes what was begun, nobody helps, and nothing is lost.
func TestFailoversSurviveTheLossOfTheLeader(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		c := startCluster(t, family, nil)
		t.Run("on the primary's machine", func(t *testing.T) { c.loseLeaderAndPrimary(t, true) })
		t.Run("on another machine", func(t *testing.T) { c.loseLeaderAndPrimary(t, false) })
		crash := func(t *testing.T, d *registry.Database) { c.crash(t, d.Primary) }
		handOver := func(t *testing.T, d *registry.Database) {
			eventually(t, "a replica that can take over", func(ctx context.Context) error {
				_, err := c.Client.Switchover(ctx, "orders", api.SwitchoverRequest{}, 0)
				if problem, ok := errors.AsType[*api.Problem](err); ok && problem.Code == api.CodeNoCandidate {
					return err // the receivers have just been pointed at the primary
				}
				if err != nil {
					t.Logf("switchover: %v", err) // the leader may be killed before it answers
				}
				return nil
			})
		}
		t.Run("once the primary is revoked", func(t *testing.T) { c.killLeaderIn(t, registry.Fencing, crash) })
		t.Run("once a winner is elected", func(t *testing.T) { c.killLeaderIn(t, registry.Promoting, crash) })
		t.Run("once the winner is established", func(t *testing.T) { c.killLeaderIn(t, registry.Serving, crash) })
		t.Run("while the primary closes", func(t *testing.T) { c.killLeaderIn(t, registry.Closing, handOver) })
		t.Run("while another takes over", func(t *testing.T) { c.killLeaderIn(t, registry.Promoting, handOver) })
		t.Run("after two failures in a row", c.crashTwice)
		oneWinnerEach(t, c.whole(t))
		c.nothingLost(t)
	})
}

// loseLeaderAndPrimary kills the leader's process and the primary's server at once.
func (c *cluster) loseLeaderAndPrimary(t *testing.T, beside bool) {
	c.whole(t)
	n := c.leader(t)
	d := c.primaryOn(t, n, beside)
	n = c.leader(t) // it may have changed meanwhile
	t.Logf("%s leads, %s is primary in epoch %d", n.Name, d.Primary, d.Epoch)
	c.crash(t, d.Primary)
	c.kill(t, n)
	// Without the node on another machine one acker alone could be fenced: the primary's server, which its supervisor
	// starts again, is what completes the election.
	epoch := c.acknowledged(t, d.Epoch)
	t.Logf("writes are acknowledged in epoch %d", epoch)
	c.whole(t)
}

// killLeaderIn begins something and kills the leader's process as soon as another server shows the phase; a supervisor
// starts it again at once.
func (c *cluster) killLeaderIn(t *testing.T, phase registry.Phase, begin func(*testing.T, *registry.Database)) {
	d := c.whole(t)
	n := c.leader(t)
	var others []string
	for i, addr := range c.APIs() {
		if c.Nodes[i] != n {
			others = append(others, addr)
		}
	}
	follower := c.follow(t, others[0])
	seen := make(chan registry.Phase, 1)
	eventually(t, "followed", func(context.Context) error {
		if follower.State().Index() == 0 {
			return errNothing
		}
		return nil
	})
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var killer sync.WaitGroup
	defer killer.Wait()
	killer.Go(func() {
		for ctx.Err() == nil {
			changed := follower.Changed()
			now, _ := follower.State().Database("orders")
			// A phase may pass between two looks: whatever comes after it will do.
			if now != nil && now.Epoch > d.Epoch && order(now.Phase) >= order(phase) {
				seen <- now.Phase
				done <- n.Kill()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
		done <- ctx.Err()
	})
	begin(t, d)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Logf("killed %s, the leader, in %s of epoch %d", n.Name, <-seen, d.Epoch+1)
	c.start(t, n)
	c.acknowledged(t, d.Epoch)
	oneWinnerEach(t, c.whole(t))
}

// order is how far a phase is from the end of a reign.
func order(p registry.Phase) int {
	switch p {
	case registry.Closing, registry.Fencing:
		return 1
	case registry.Promoting:
		return 2
	}
	return 3
}

// crashTwice crashes the next primary as soon as it is one.
func (c *cluster) crashTwice(t *testing.T) {
	d := c.whole(t)
	c.crash(t, d.Primary)
	c.acknowledged(t, d.Epoch)
	v := c.await(t, "served again", func(v api.DatabaseView) bool {
		return v.Database.Epoch > d.Epoch && v.Database.Phase == registry.Serving
	})
	c.crash(t, v.Database.Primary)
	c.acknowledged(t, v.Database.Epoch)
	c.whole(t)
}

// TestAPrimaryThatIsBackAtOnceIsNeverASecondOne restarts the primary faster than anybody can be elected.
func TestAPrimaryThatIsBackAtOnceIsNeverASecondOne(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		c := startCluster(t, family, func(o *demo.Options) { o.Restart = 50 * time.Millisecond })
		for range 3 {
			d := c.whole(t)
			c.crash(t, d.Primary)
			c.acknowledged(t, d.Epoch)
		}
		oneWinnerEach(t, c.whole(t))
		c.nothingLost(t)
	})
}

// TestAServerWithTransactionsOfItsOwnIsKeptOut makes a primary die with a transaction that no replica has received.
func TestAServerWithTransactionsOfItsOwnIsKeptOut(t *testing.T) {
	eachFamily(t, func(t *testing.T, family lab.Family) {
		c := startCluster(t, family, nil)
		c.moreAcknowledged(t, 20)
		c.stopLoad() // what it has acknowledged is compared at the end
		d := c.whole(t)
		old := d.Primary
		for _, n := range c.Nodes {
			c.kill(t, n) // nobody starts the receivers again
		}
		for _, id := range d.Ackers {
			c.sql(t, id, map[lab.Family]string{lab.MariaDB: "STOP REPLICA IO_THREAD", lab.MySQL: "STOP REPLICA IO_THREAD"}[family])
		}
		c.writeUnacknowledged(t, old)
		if err := c.server(t, old).Kill(); err != nil {
			t.Fatal(err)
		}
		for _, n := range c.Nodes {
			c.start(t, n)
		}
		c.await(t, "served by another", func(v api.DatabaseView) bool {
			return v.Database.Phase == registry.Serving && v.Database.Epoch > d.Epoch && v.Database.Primary != old
		})
		if err := c.server(t, old).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		v := c.await(t, "kept out with a reason", func(v api.DatabaseView) bool {
			m, _ := v.Database.Member(old)
			return m.OutOf.Code == decide.ReplicaDiverged && report(v, old).Guard.Problem != ""
		})
		m, _ := v.Database.Member(old)
		r := report(v, old)
		for _, text := range []string{m.OutOf.Detail, r.Guard.Problem} {
			if r.Guard.Diverged == "" || !strings.Contains(text, r.Guard.Diverged) {
				t.Errorf("the reason does not name the transactions %q: %q", r.Guard.Diverged, text)
			}
		}
		if !strings.Contains(r.Guard.Problem, "Way out") || !r.ReadOnly {
			t.Errorf("read only %t, problem %q", r.ReadOnly, r.Guard.Problem)
		}
		if !v.Database.IsAcker(old) {
			c.nothingLost(t)
			return
		}
		t.Errorf("%s acknowledges although it has what the primary lacks", old)
	})
}

// report is what was last heard of an instance.
func report(v api.DatabaseView, id registry.InstanceID) (r health.Report) {
	for _, i := range v.Instances {
		if i.Instance == id && i.Report != nil {
			return *i.Report
		}
	}
	return r
}

// writeUnacknowledged begins a write that waits for ackers, and returns when the server has it in its log.
func (c *cluster) writeUnacknowledged(t *testing.T, id registry.InstanceID) {
	t.Helper()
	db := c.open(t, id)
	t.Cleanup(func() { db.Close() })
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	var writing sync.WaitGroup
	t.Cleanup(func() { cancel(); writing.Wait() })
	writing.Go(func() {
		// It never returns well: the server is killed.
		if _, err := db.ExecContext(ctx, "CREATE TABLE app.nobody_has_this (id INT PRIMARY KEY)"); err == nil {
			t.Error("a write was acknowledged although nobody received it")
		}
	})
	waits := "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'CREATE TABLE app.nobody%' AND STATE LIKE '%semi-sync%'"
	eventually(t, "waiting for an acknowledgement", func(ctx context.Context) error {
		look := c.open(t, id)
		defer look.Close()
		var n int
		if err := look.QueryRowContext(ctx, waits).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return errNothing
		}
		return nil
	})
}

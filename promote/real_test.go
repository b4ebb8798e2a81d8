package promote_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// atomicLog stands in for raft: one copy, every proposal is committed or refused at once.
type atomicLog struct {
	mu sync.Mutex
	*registry.Feed
}

func (l *atomicLog) Propose(_ context.Context, c registry.Command) (registry.Index, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := c.Apply(l.State())
	if err != nil {
		return 0, err
	}
	next := s.WithIndex(l.State().Index() + 1)
	l.Publish(next)
	return next.Index(), nil
}

// trio is three real servers with their guards, and one leader, in one process.
type trio struct {
	t       *testing.T
	log     *atomicLog
	servers []*lab.Server
	guards  []*promote.Guard
	board   *health.Board
	unasked atomic.Bool // nobody is told how the database stands
}

func startTrio(t *testing.T, family lab.Family) *trio {
	t.Helper()
	bin := labtest.Require(t, family)
	return startGroup(t, registry.DefaultPolicy(), bin, bin, bin)
}

// startGroup is a trio of any size: one server of each of these programs. What policy expects is how many there are.
func startGroup(t *testing.T, policy registry.Policy, bins ...*lab.Binaries) *trio {
	t.Helper()
	c := &trio{t: t, log: &atomicLog{Feed: registry.NewFeed(registry.New("test"))}, board: health.NewBoard()}
	subnet := labtest.Subnet(t)
	for i, bin := range bins {
		c.servers = append(c.servers, labtest.New(t, bin, lab.Options{Name: fmt.Sprintf("db%d", i+1), IP: subnet.IP(i + 1), ServerID: uint32(i + 1),
			Supervise: 300 * time.Millisecond}))
	}
	starting, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	if err := lab.StartAll(starting, c.servers...); err != nil {
		t.Fatal(err)
	}
	policy.Expect = len(bins)
	board := c.board
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	level := slog.LevelInfo
	logger := slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: level}))
	c.propose(&registry.PutDatabase{Name: "orders", Policy: policy})
	for i, s := range c.servers {
		id := registry.InstanceID(s.Name())
		server, err := mysqld.Open(mysqld.Config{Socket: s.Socket(), User: "baton", Password: "baton"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		cfg := health.DefaultCheckerConfig()
		cfg.Instance = s.Name()
		checker := health.NewChecker(cfg, server)
		guard, err := promote.NewGuard(promote.GuardConfig{Database: "orders", Instance: id, Dir: t.TempDir(), Current: c.current,
			Replication: mysqld.Source{User: "repl", Password: "repl"}, Logger: logger.With("guard", id)}, server, checker, c.log)
		if err != nil {
			t.Fatal(err)
		}
		c.guards = append(c.guards, guard)
		all.Go(func() { _ = checker.Run(ctx) })
		all.Go(func() { _ = guard.Run(ctx) })
		all.Go(func() { c.report(ctx, i, server, checker, guard, board) })
	}
	rules := decide.DefaultRules()
	rules.CatchUp = 20 * time.Second // this machine may be slow: who wins is looked at, not when
	leader := &decide.Leader{Feed: c.log, Board: board, Proposer: c.log, Rules: rules, Logger: logger.With("room", "leader"),
		Probe: func(ctx context.Context, addr string) health.Probe {
			if mysqld.Probe(ctx, addr) == nil {
				return health.ProbeAlive
			}
			return health.ProbeDead
		}}
	all.Go(func() { _ = leader.Run(ctx) })
	return c
}

// report does what an agent does: it registers its member and reports every few milliseconds.
func (c *trio) report(ctx context.Context, i int, server *mysqld.Server, checker *health.Checker, guard *promote.Guard, board *health.Board) {
	s := c.servers[i]
	registered := registry.Member{}
	for seq := uint64(1); ctx.Err() == nil; seq++ {
		r := health.Report{Database: "orders", Instance: registry.InstanceID(s.Name()), Node: registry.NodeID(s.Name()), Boot: "1", Seq: seq, Preflight: true,
			Member: registry.Member{ID: registry.InstanceID(s.Name()), Node: registry.NodeID(s.Name()), Address: s.Addr().String(), Preference: registry.Normal,
				PromiseFile: guard.PromiseFile()}}
		r.Guard = guard.Report()
		health.Describe(checker.Latest(), &r)
		if r.Member.Flavor != "" && r.Member != registered {
			if _, err := c.log.Propose(ctx, &registry.PutMember{Database: "orders", Member: r.Member}); err == nil {
				registered = r.Member
			}
		}
		board.Receive(r)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (c *trio) propose(cmd registry.Command) {
	c.t.Helper()
	if _, err := c.log.Propose(context.Background(), cmd); err != nil {
		c.t.Fatal(err)
	}
}

func (c *trio) database() *registry.Database {
	d, _ := c.log.State().Database("orders")
	return d
}

// await waits until the database is as wanted.
func (c *trio) await(what string, ok func(*registry.Database) bool) *registry.Database {
	c.t.Helper()
	deadline := time.After(40 * time.Second)
	for {
		changed := c.log.Changed()
		if d := c.database(); ok(d) {
			return d
		}
		select {
		case <-changed:
		case <-deadline:
			for i, g := range c.guards {
				c.t.Logf("guard %d: %+v", i+1, g.Report())
			}
			c.t.Fatalf("not %s: %s", what, c.database().Why())
		}
	}
}

func (c *trio) server(id registry.InstanceID) *lab.Server {
	for _, s := range c.servers {
		if s.Name() == string(id) {
			return s
		}
	}
	c.t.Fatalf("no server %q", id)
	return nil
}

// insert writes rows until one is acknowledged.
func (c *trio) insert(id int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		d := c.database()
		if d.Phase == registry.Serving {
			db, err := sql.Open("mysql", "app:app@tcp("+c.server(d.Primary).Addr().String()+")/app")
			if err != nil {
				c.t.Fatal(err)
			}
			_, last = db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)")
			if last == nil {
				_, last = db.ExecContext(ctx, "INSERT INTO t VALUES (?)", id)
			}
			_ = db.Close()
			if last == nil {
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
	c.t.Fatalf("no write was acknowledged: %v", last)
}

type logWriter struct{ t *testing.T }

func (w logWriter) Write(b []byte) (int, error) {
	if os.Getenv("BATON_TEST_LOG") != "" {
		fmt.Fprintf(os.Stderr, "%s %s", time.Now().Format("05.000"), b)
	}
	return len(b), nil
}

func serving(d *registry.Database) bool {
	return d.Phase == registry.Serving && len(d.Ackers) == len(d.Members)-1
}

func TestAKilledPrimaryIsReplacedAndComesBack(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			first := c.await("formed", serving)
			c.insert(1)
			if err := c.server(first.Primary).Crash(); err != nil {
				t.Fatal(err)
			}
			second := c.await("replaced", func(d *registry.Database) bool { return d.Phase == registry.Serving && d.Epoch > first.Epoch })
			if second.Primary == first.Primary {
				t.Fatalf("the dead %s won", first.Primary)
			}
			c.insert(2)
			c.await("whole again", serving)
		})
	}
}

func TestAHandOverMovesThePrimaryAndComesBack(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			d := c.await("formed", serving)
			c.insert(1)
			for n := range 4 {
				to, why := d.Ackers[n%2], registry.Cause{Code: decide.Switchover}
				if n < 2 {
					c.propose(&registry.Revoke{Database: "orders", Epoch: d.Epoch + 1, To: to, Cause: why})
				} else {
					c.propose(&registry.Prepare{Database: "orders", Epoch: d.Epoch, To: to, Cause: why})
				}
				epoch := d.Epoch
				d = c.await("handed over", func(d *registry.Database) bool { return d.Epoch > epoch && serving(d) })
				if d.Primary != to {
					t.Fatalf("%s is primary, want %s: %+v", d.Primary, to, d.History)
				}
				c.insert(n + 2)
			}
		})
	}
}

// The primary goes on serving while everybody else moves; here the hand-over is then given up.
func TestAPreparationLetsWritesGoOnAndIsUndone(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			c := startTrio(t, family)
			d := c.await("formed", serving)
			c.insert(0)
			written := c.write(d.Primary)
			c.propose(&registry.Prepare{Database: "orders", Epoch: d.Epoch, To: d.Ackers[0], Cause: registry.Cause{Code: decide.Switchover}})
			p := d.Policy
			p.Paused = true // nobody begins a hand-over
			c.propose(&registry.PutDatabase{Name: "orders", Policy: p})
			c.await("given up", func(d *registry.Database) bool { return d.Handover == nil })
			p.Paused = false
			c.propose(&registry.PutDatabase{Name: "orders", Policy: p})
			if got := c.await("still served", serving); got.Epoch != d.Epoch || got.Primary != d.Primary {
				t.Errorf("%s reigns in epoch %d, want %s in %d", got.Primary, got.Epoch, d.Primary, d.Epoch)
			}
			for got := ""; got != "2"; got = c.clients(d.Primary, family) { // those who moved come back
				if err := t.Context().Err(); err != nil {
					t.Fatal(err)
				}
			}
			if written() == 0 {
				t.Error("no write got through meanwhile")
			}
		})
	}
}

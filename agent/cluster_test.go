package agent_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/registry"
)

// patience bounds every wait; nothing is measured against it.
const patience = time.Minute

// errNothing is returned while there is nothing to see yet.
var errNothing = errors.New("nothing yet")

// cluster is three database servers, their nodes and a load.
type cluster struct {
	*demo.Rig
	t        *testing.T
	family   lab.Family
	Load     *demo.Load
	stopLoad func()
}

// newCluster prepares everything and starts nothing.
func newCluster(t *testing.T, family lab.Family, change func(*demo.Options)) *cluster {
	t.Helper()
	labtest.Require(t, family)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	opts := demo.Options{Families: []lab.Family{family}, Nodes: 3, PerSecond: 50, Dir: t.TempDir(), Baton: []string{self},
		Restart: time.Second, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&opts)
	}
	rig, err := demo.NewRig(opts)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Rig: rig, t: t, family: family}
	t.Cleanup(c.close)
	return c
}

// close ends everything and looks at what the nodes have said.
func (c *cluster) close() {
	if c.stopLoad != nil {
		c.stopLoad()
	}
	for _, n := range c.Nodes {
		// An orderly end is a test of its own; here the last leader would wait for a successor.
		if err := n.Kill(); err != nil {
			c.t.Errorf("close: %v", err)
		}
	}
	if err := c.Close(); err != nil {
		c.t.Errorf("close: %v", err)
	}
	for _, n := range c.Nodes {
		b, err := os.ReadFile(n.Log())
		if err != nil {
			continue // it was never started
		}
		for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
			if i := strings.Index(string(b), bad); i >= 0 {
				c.t.Errorf("%s said:\n%.4000s", n.Name, b[i:])
			}
		}
		if c.t.Failed() {
			c.t.Logf("%s said at last:\n%s", n.Name, lastLines(string(b), 60))
		}
	}
}

func lastLines(s string, n int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// startCluster returns when the database is served, everybody follows, and the load runs.
func startCluster(t *testing.T, family lab.Family, change func(*demo.Options)) *cluster {
	t.Helper()
	c := newCluster(t, family, change)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.whole(t)
	c.startLoad(t)
	return c
}

func (c *cluster) startLoad(t *testing.T) {
	t.Helper()
	var err error
	if c.Load, c.stopLoad, err = c.StartLoad(context.WithoutCancel(t.Context()), 50); err != nil {
		t.Fatal(err)
	}
}

// whole waits until everybody follows; a server that is kept out is emptied.
func (c *cluster) whole(t *testing.T) *registry.Database {
	t.Helper()
	for _, n := range c.Nodes {
		if n.Pid() == 0 {
			c.start(t, n)
		}
	}
	if wiped, err := c.Heal(t.Context(), len(c.Databases)-1); err != nil {
		t.Fatal(err)
	} else if len(wiped) > 0 {
		t.Logf("emptied %v: they held what nobody acknowledged", wiped)
	}
	return c.view(t).Database
}

func (c *cluster) start(t *testing.T, n *demo.Node) {
	t.Helper()
	if err := c.StartNode(n); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) kill(t *testing.T, n *demo.Node) {
	t.Helper()
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until ok returns nil.
func eventually(t *testing.T, what string, ok func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not %s: %v", what, err)
		}
	}
}

// view is the database as any server sees it that answers and knows a leader.
func (c *cluster) view(t *testing.T) (v api.DatabaseView) {
	t.Helper()
	eventually(t, "answered", func(ctx context.Context) (err error) {
		v, err = c.Client.Database(ctx, "orders", api.Current)
		return err
	})
	return v
}

// await waits until the database is as ok wants it.
func (c *cluster) await(t *testing.T, what string, ok func(api.DatabaseView) bool) (v api.DatabaseView) {
	t.Helper()
	eventually(t, what, func(ctx context.Context) (err error) {
		if v, err = c.Client.Database(ctx, "orders", api.Current); err != nil {
			return err
		}
		if !ok(v) {
			return errors.New(describe(v))
		}
		return nil
	})
	return v
}

func describe(v api.DatabaseView) string {
	text := v.Why
	for _, i := range v.Instances {
		text += fmt.Sprintf("\n  %s %s", i.Instance, i.Part)
		if i.Report != nil {
			text += fmt.Sprintf(": process %s, unreachable %d ms, %q, guard %+v", i.Report.Process, i.Report.UnreachableMillis, i.Report.ServerError, i.Report.Guard)
		}
	}
	return text
}

// leader is the node that leads now.
func (c *cluster) leader(t *testing.T) (n *demo.Node) {
	t.Helper()
	eventually(t, "led", func(ctx context.Context) error {
		s, err := c.Client.Status(ctx, api.Current)
		if err != nil {
			return err
		}
		if n = c.Node(string(s.Raft.Leader)); n == nil {
			return fmt.Errorf("leader is %q", s.Raft.Leader)
		}
		return nil
	})
	return n
}

// primaryOn hands the database over to a server beside n, or to another when there is to be none.
func (c *cluster) primaryOn(t *testing.T, n *demo.Node, beside bool) *registry.Database {
	t.Helper()
	to := registry.InstanceID(n.Name)
	for _, s := range c.Databases {
		if !beside && s.Name() != n.Name {
			to = registry.InstanceID(s.Name())
		}
	}
	eventually(t, "handed over", func(ctx context.Context) error {
		v, err := c.Client.Database(ctx, "orders", api.Current)
		if err != nil {
			return err
		}
		if p := v.Database.Primary; p == to || (!beside && p != "" && string(p) != n.Name) {
			return nil
		}
		_, err = c.Client.Switchover(ctx, "orders", api.SwitchoverRequest{To: to}, 10*time.Second)
		return errors.Join(errors.New("asked for "+string(to)), err)
	})
	return c.whole(t)
}

// server is the database server called id.
func (c *cluster) server(t *testing.T, id registry.InstanceID) *lab.Server {
	t.Helper()
	s, err := c.Database(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *cluster) crash(t *testing.T, id registry.InstanceID) {
	t.Helper()
	if err := c.server(t, id).Crash(); err != nil {
		t.Fatal(err)
	}
}

// acknowledged waits for a write acknowledged in a reign after epoch.
func (c *cluster) acknowledged(t *testing.T, epoch registry.Epoch) registry.Epoch {
	t.Helper()
	for {
		newest, grown := c.Load.Ledger.Newest()
		if newest > uint64(epoch) {
			return registry.Epoch(newest)
		}
		select {
		case <-grown:
		case <-time.After(patience):
			t.Fatalf("no write was acknowledged after epoch %d: %s", epoch, describe(c.view(t)))
		}
	}
}

// moreAcknowledged waits for n more acknowledged writes.
func (c *cluster) moreAcknowledged(t *testing.T, n int) {
	t.Helper()
	want := c.Load.Ledger.Acknowledged() + n
	eventually(t, "written to", func(context.Context) error {
		if got := c.Load.Ledger.Acknowledged(); got < want {
			return fmt.Errorf("%d writes are acknowledged, want %d", got, want)
		}
		return nil
	})
}

// nothingLost ends the load and compares.
func (c *cluster) nothingLost(t *testing.T) {
	t.Helper()
	c.stopLoad()
	v, err := c.Check(t.Context(), c.Load.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d writes acknowledged, %d unknown", v.Acknowledged, v.Unknown)
	if len(v.Lost)+len(v.Double) > 0 || v.Acknowledged == 0 {
		t.Errorf("lost %v, acknowledged twice %v of %d", v.Lost, v.Double, v.Acknowledged)
	}
}

// oneWinnerEach fails when two instances were elected in one epoch.
func oneWinnerEach(t *testing.T, d *registry.Database) {
	t.Helper()
	winner := map[registry.Epoch]registry.InstanceID{}
	for _, e := range d.History {
		if e.Phase != registry.Promoting && e.Phase != registry.Serving {
			continue
		}
		if e.Cause.Code != "Elected" && e.Cause.Code != "Marked" {
			continue
		}
		if w, ok := winner[e.Epoch]; ok && w != e.Instance {
			t.Errorf("epoch %d has two winners, %s and %s", e.Epoch, w, e.Instance)
		}
		winner[e.Epoch] = e.Instance
	}
}

// sql runs one statement on a server as an administrator.
func (c *cluster) sql(t *testing.T, id registry.InstanceID, statement string) {
	t.Helper()
	db := c.open(t, id)
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		t.Fatalf("%s on %s: %v", statement, id, err)
	}
}

func (c *cluster) open(t *testing.T, id registry.InstanceID) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "admin:admin@tcp("+c.server(t, id).Addr().String()+")/")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// client asks only the servers that are given, as an operator.
func (c *cluster) client(t *testing.T, addrs ...string) *api.Client {
	t.Helper()
	id, err := identity.Load(filepath.Join(c.Dir, "operator"))
	if err != nil {
		t.Fatal(err)
	}
	transport := api.NewTransport(api.TransportConfig{TLS: func() *tls.Config { return id.ClientTLS("", identity.ALPNHTTP2) }})
	t.Cleanup(transport.Close)
	client, err := api.NewClient(api.ClientConfig{Addrs: api.Static(addrs...), Transport: transport, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// follow keeps a copy of the state by the stream of the servers that are given, until the test ends.
func (c *cluster) follow(t *testing.T, addrs ...string) *api.Follower {
	t.Helper()
	f := api.NewFollower(c.client(t, addrs...), "demo")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = f.Run(ctx) }) // it returns nil
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return f
}

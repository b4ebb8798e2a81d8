package rejoin_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/registry"
)

// oneLog stands in for raft: every proposal is committed or refused at once.
type oneLog struct {
	mu sync.Mutex
	*registry.Feed
}

func (l *oneLog) Propose(_ context.Context, c registry.Command) (registry.Index, error) {
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

// host is one server with what an agent runs beside it.
type host struct {
	lab      *lab.Server
	server   *mysqld.Server
	checker  *health.Checker
	guard    *promote.Guard
	returner *rejoin.Returner
	cfg      rejoin.Config
	through  func(rejoin.Server) rejoin.Server // what stands between the returner and the server; nil: nothing
	dead     context.CancelFunc                // ends the returner alone
	ended    chan struct{}
}

// trio is three real servers with guards and returners, and one leader.
type trio struct {
	t     *testing.T
	ctx   context.Context
	all   sync.WaitGroup
	log   *oneLog
	board *health.Board
	hosts map[registry.InstanceID]*host
}

// start makes the trio. edit may change what a returner may do before it runs.
func start(t *testing.T, family lab.Family, supervise time.Duration, edit func(*host)) *trio {
	t.Helper()
	bin := labtest.Require(t, family)
	labtest.BinlogTool(t, bin)
	c := &trio{t: t, log: &oneLog{Feed: registry.NewFeed(registry.New("test"))}, board: health.NewBoard(), hosts: map[registry.InstanceID]*host{}}
	servers := labtest.StartEach(t, bin, 3, func(_ int, o *lab.Options) { o.Supervise = supervise })
	ctx, cancel := context.WithCancel(context.Background())
	c.ctx = ctx
	t.Cleanup(func() { cancel(); c.all.Wait() })
	c.propose(&registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()})
	for _, s := range servers {
		c.host(s, edit)
	}
	leader := &decide.Leader{Feed: c.log, Board: c.board, Proposer: c.log, Rules: alone(), Logger: c.logger("leader"),
		Probe: func(ctx context.Context, addr string) health.Probe {
			if mysqld.Probe(ctx, addr) == nil {
				return health.ProbeAlive
			}
			return health.ProbeDead
		}}
	c.all.Go(func() { _ = leader.Run(ctx) })
	return c
}

func (c *trio) logger(who string) *slog.Logger {
	if os.Getenv("BATON_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil)).With("who", who)
}

func (c *trio) host(s *lab.Server, edit func(*host)) {
	c.t.Helper()
	id := registry.InstanceID(s.Name())
	h := &host{lab: s}
	var err error
	if h.server, err = mysqld.Open(mysqld.Config{Socket: s.Socket(), User: "baton", Password: "baton"}); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = h.server.Close() })
	check := health.DefaultCheckerConfig()
	check.Instance = s.Name()
	h.checker = health.NewChecker(check, h.server)
	data := c.t.TempDir()
	if err := os.Mkdir(data+"/guard", 0o700); err != nil {
		c.t.Fatal(err)
	}
	account := mysqld.Source{User: "repl", Password: "repl"}
	h.cfg = rejoin.Config{Database: "orders", Instance: id, Data: data, Replication: account, Logger: c.logger("returner " + s.Name()),
		Start: s.Start, Stop: func(context.Context) error { return s.Kill() }}
	edit(h)
	h.guard, err = promote.NewGuard(promote.GuardConfig{Database: "orders", Instance: id, Dir: data + "/guard", Replication: account,
		Returning: func() string { return h.returner.Busy() }, Logger: c.logger("guard " + s.Name())}, h.server, h.checker, c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	c.hosts[id] = h
	c.renew(h)
	c.all.Go(func() { _ = h.checker.Run(c.ctx) })
	c.all.Go(func() { _ = h.guard.Run(c.ctx) })
	c.all.Go(func() { c.report(h) })
}

// renew starts a returner on what the last one has left on its disk.
func (c *trio) renew(h *host) {
	c.t.Helper()
	var server rejoin.Server = h.server
	if h.through != nil {
		server = h.through(server)
	}
	r, err := rejoin.New(h.cfg, rejoin.Parts{Server: server, Guard: func() rejoin.Guard { return h.guard }, Observer: h.checker, Feed: c.log})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	h.returner, h.dead, h.ended = r, cancel, make(chan struct{})
	c.all.Go(func() { defer close(h.ended); _ = r.Run(ctx) })
}

// report does what an agent does: it registers its member and reports every few milliseconds.
func (c *trio) report(h *host) {
	known := registry.Member{}
	for seq := uint64(1); c.ctx.Err() == nil; seq++ {
		id, node := registry.InstanceID(h.lab.Name()), registry.NodeID(h.lab.Name())
		r := health.Report{Database: "orders", Instance: id, Node: node, Boot: "1", Seq: seq, Preflight: true, Member: registry.Member{ID: id, Node: node,
			Address: h.lab.Addr().String(), Preference: registry.Normal, PromiseFile: h.guard.PromiseFile()}}
		r.Guard = h.guard.Report()
		health.Describe(h.checker.Latest(), &r)
		if r.Member.Flavor != "" && r.Member != known {
			if _, err := c.log.Propose(c.ctx, &registry.PutMember{Database: "orders", Member: r.Member}); err == nil {
				known = r.Member
			}
		}
		c.board.Receive(r)
		select {
		case <-c.ctx.Done():
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

// await waits until ok.
func (c *trio) await(what string, ok func(*registry.Database) bool) *registry.Database {
	c.t.Helper()
	deadline, tick := time.After(90*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		if d := c.database(); ok(d) {
			return d
		}
		select {
		case <-tick.C:
		case <-deadline:
			for id, h := range c.hosts {
				doing, kept := h.returner.Report()
				c.t.Logf("%s: guard %+v, returner %+v, %d archives", id, h.guard.Report(), doing, len(kept))
			}
			c.t.Fatalf("not %s: %s", what, c.database().Why())
		}
	}
}

// whole says that somebody reigns whom both others follow and acknowledge.
func whole(d *registry.Database) bool { return d.Phase == registry.Serving && len(d.Ackers) == 2 }

func (c *trio) db(id registry.InstanceID) *sql.DB {
	c.t.Helper()
	db, err := sql.Open("mysql", "admin:admin@unix("+c.hosts[id].lab.Socket()+")/")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (c *trio) exec(id registry.InstanceID, statements ...string) {
	c.t.Helper()
	conn, err := c.db(id).Conn(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range statements {
		if _, err := conn.ExecContext(c.t.Context(), text); err != nil {
			c.t.Fatalf("%s: %s: %v", id, text, err)
		}
	}
}

func (c *trio) rows(id registry.InstanceID) string {
	var s sql.NullString
	if err := c.db(id).QueryRowContext(c.t.Context(), "SELECT GROUP_CONCAT(v ORDER BY id) FROM app.t").Scan(&s); err != nil {
		return err.Error()
	}
	return s.String
}

// alone are the rules, but a primary that is cut off from its replicas is left as it is until the test ends it.
func alone() decide.Rules {
	r := decide.DefaultRules()
	r.CutOff = time.Hour
	return r
}

// diverge leaves the primary alone with two writes that nobody acknowledges, and returns how to end it.
func (c *trio) diverge(primary registry.InstanceID) {
	c.t.Helper()
	c.exec(primary, "CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(50))", "INSERT INTO app.t VALUES (1, 'for all')")
	h := c.hosts[primary]
	places, err := h.server.Places(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	// Its replicas cannot come back once they are cut off, and what is written then stays there.
	c.exec(primary, "SET SESSION sql_log_bin = 0", "ALTER USER 'repl'@'%' ACCOUNT LOCK")
	c.cutReplicas(primary)
	for i := range 2 {
		db := c.db(primary)
		c.all.Go(func() {
			_, _ = db.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO app.t VALUES (%d, 'only there')", 2+i))
		})
	}
	c.await("two writes wait on "+string(primary), func(*registry.Database) bool { return c.onlyThere(places) == 2 })
}

// onlyThere counts the rows of diverge in the last binary log. Canaries stand there as well, so transactions are not counted; and
// MariaDB writes the statement beside the row.
func (c *trio) onlyThere(places mysqld.Places) int {
	c.t.Helper()
	index, err := os.ReadFile(places.BinlogIndex)
	if err != nil {
		c.t.Fatal(err)
	}
	names := strings.Fields(string(index))
	last := names[len(names)-1]
	if !filepath.IsAbs(last) {
		last = filepath.Join(places.DataDir, last)
	}
	text, err := os.ReadFile(last)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Count(string(text), "only there") - strings.Count(string(text), "'only there'")
}

// cutReplicas ends the sessions in which replicas are fed.
func (c *trio) cutReplicas(primary registry.InstanceID) {
	c.t.Helper()
	c.await("its replicas are cut off", func(*registry.Database) bool {
		rows, err := c.db(primary).QueryContext(c.t.Context(), "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")
		if err != nil {
			return false
		}
		defer rows.Close()
		var ids []string
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return false
			}
			ids = append(ids, id)
		}
		for _, id := range ids {
			_, _ = c.db(primary).ExecContext(c.t.Context(), "KILL "+id) // it may be gone already
		}
		return len(ids) == 0
	})
}

// kept is the one archive of a host, with its text.
func (c *trio) kept(id registry.InstanceID) (health.Archived, string) {
	c.t.Helper()
	_, all := c.hosts[id].returner.Report()
	if len(all) != 1 {
		c.t.Fatalf("%d archives on %s, want 1: %+v", len(all), id, all)
	}
	text, err := os.ReadFile(all[0].File)
	if err != nil {
		c.t.Fatal(err)
	}
	return all[0], string(text)
}

// check sees that everybody has the same, and that what was taken away is kept.
func (c *trio) check(former registry.InstanceID) {
	c.t.Helper()
	d := c.database()
	c.exec(d.Primary, "INSERT INTO app.t VALUES (9, 'afterwards')")
	for id := range c.hosts {
		c.await("equal rows on "+string(id), func(*registry.Database) bool { return c.rows(id) == "for all,afterwards" })
	}
	a, text := c.kept(former)
	if a.Count < 2 || strings.Count(text, "@2='only there'") != 2 || strings.Contains(text, "for all") {
		c.t.Errorf("kept %+v:\n%s", a, text)
	}
}

package mysqld_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
)

// node is a real server, what baton says to it, and an administrator.
type node struct {
	*mysqld.Server
	t     *testing.T
	lab   *lab.Server
	admin *sql.Conn
}

// logout ends the administrator's session: baton may not kill it on MySQL.
func (n *node) logout() {
	n.t.Helper()
	n.must(n.admin.Raw(func(conn any) error { return conn.(driver.Conn).Close() }))
}

// families runs a test against both kinds of real server.
func families(t *testing.T, test func(t *testing.T, bin *lab.Binaries)) {
	for _, family := range []lab.Family{lab.MySQL, lab.MariaDB} {
		t.Run(string(family), func(t *testing.T) { test(t, labtest.Require(t, family)) })
	}
}

// nodes starts n servers that are closed to applications and follow nobody.
func nodes(t *testing.T, bin *lab.Binaries, n int) []*node {
	t.Helper()
	var all []*node
	for _, s := range labtest.Start(t, bin, n) {
		all = append(all, &node{Server: opened(t, s), t: t, lab: s, admin: connect(t, s, "admin")})
	}
	return all
}

// reign starts n servers of which the first is an open primary with a table app.t, and the others acknowledge.
func reign(t *testing.T, bin *lab.Binaries, n int) []*node {
	t.Helper()
	all := nodes(t, bin, n)
	for _, r := range all[1:] {
		r.must(r.Follow(t.Context(), all[0].source(true)))
	}
	p := all[0]
	p.must(p.BecomeSource(t.Context(), 1))
	p.must(p.Mark(t.Context(), 1, "db1", ""))
	p.must(p.OpenWrites(t.Context()))
	p.exec("CREATE TABLE app.t (id INT PRIMARY KEY, v INT NOT NULL)", "INSERT INTO app.t VALUES (1, 1)")
	for _, r := range all[1:] {
		r.must(r.WaitApplied(t.Context(), p.status().Executed))
	}
	return all
}

func opened(t *testing.T, s *lab.Server) *mysqld.Server {
	t.Helper()
	server, err := mysqld.Open(mysqld.Config{Socket: s.Socket(), User: "baton", Password: "baton", ProbeTimeout: 5 * time.Second,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// connect is one connection of an account whose password is its name.
func connect(t *testing.T, s *lab.Server, user string) *sql.Conn {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = "unix", s.Socket(), user, user
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = db.Close() })
	return conn
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatalf("%s: %v", n.lab.Name(), err)
	}
}

func (n *node) exec(statements ...string) {
	n.t.Helper()
	for _, text := range statements {
		if _, err := n.admin.ExecContext(n.t.Context(), text); err != nil {
			n.t.Fatalf("%s: %s: %v", n.lab.Name(), text, err)
		}
	}
}

// ask returns the values of one column, one per line.
func (n *node) ask(query string) string {
	n.t.Helper()
	rows, err := n.admin.QueryContext(n.t.Context(), query)
	if err != nil {
		n.t.Fatalf("%s: %s: %v", n.lab.Name(), query, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var v sql.NullString
		n.must(rows.Scan(&v))
		all = append(all, v.String)
	}
	n.must(rows.Err())
	return strings.Join(all, "\n")
}

func (n *node) status() mysqld.Status {
	n.t.Helper()
	st, err := n.Status(n.t.Context())
	n.must(err)
	return st
}

// source is how others follow this node.
func (n *node) source(acks bool) mysqld.Source {
	return mysqld.Source{Host: n.lab.Addr().Addr().String(), Port: n.lab.Addr().Port(), User: "repl", Password: "repl", SemiSync: acks}
}

// background runs a statement of an application and returns its error when it ends.
func (n *node) background(statement string) <-chan error {
	n.t.Helper()
	conn, done := connect(n.t, n.lab, "app"), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := conn.ExecContext(context.Background(), statement)
		done <- err
	})
	n.t.Cleanup(func() { _ = n.lab.Kill(); wg.Wait() })
	return done
}

// hold makes the applier stand still at the next change of app.t, without stopping it.
func (n *node) hold() (release func()) {
	n.t.Helper()
	conn := connect(n.t, n.lab, "admin")
	if _, err := conn.ExecContext(n.t.Context(), "LOCK TABLES app.t READ"); err != nil {
		n.t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(n.t.Context(), "UNLOCK TABLES"); err != nil {
			n.t.Error(err)
		}
	}
}

// receive lets the node receive a row that it cannot apply yet, and returns what it holds then.
func (n *node) receive(p *node, id int) mysqld.GTIDSet {
	n.t.Helper()
	p.exec(fmt.Sprintf("INSERT INTO app.t VALUES (%d, 0)", id))
	want := p.status().Executed
	until(n.t, "received", func() bool { return n.status().Position().Contains(want) })
	if n.status().Executed.Contains(want) {
		n.t.Fatal("the applier was not held")
	}
	return want
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// shortly is a context that ends soon, for calls that must not succeed.
func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// listen serves every connection with serve until the test ends, and returns the address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

package archive_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/archive"
)

// scene is a server with transactions of which the last are wanted.
type scene struct {
	t      *testing.T
	lab    *lab.Server
	server *mysqld.Server
	admin  *sql.DB
	places mysqld.Places
	tool   archive.Tool
}

func begin(t *testing.T, bin *lab.Binaries) *scene {
	t.Helper()
	s := &scene{t: t, lab: labtest.Start(t, bin, 1)[0]}
	var err error
	if s.server, err = mysqld.Open(mysqld.Config{Socket: s.lab.Socket(), User: "baton", Password: "baton"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.server.Close() })
	if s.admin, err = sql.Open("mysql", "admin:admin@unix("+s.lab.Socket()+")/"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.admin.Close() })
	if s.places, err = s.server.Places(t.Context()); err != nil {
		t.Fatal(err)
	}
	labtest.BinlogTool(t, bin)
	if s.tool, err = archive.FindTool(t.Context(), s.places); err != nil {
		t.Fatal(err)
	}
	s.exec("SET GLOBAL read_only = OFF", "CREATE TABLE app.t (id INT PRIMARY KEY, v TEXT)", "INSERT INTO app.t VALUES (1, 'known to all')")
	return s
}

func (s *scene) exec(statements ...string) {
	s.t.Helper()
	for _, text := range statements {
		if _, err := s.admin.ExecContext(s.t.Context(), text); err != nil {
			s.t.Fatalf("%s: %v", text, err)
		}
	}
}

func (s *scene) executed() mysqld.GTIDSet {
	s.t.Helper()
	st, err := s.server.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Executed
}

func (s *scene) request(wanted mysqld.GTIDSet) archive.Request {
	return archive.Request{Database: "orders", Instance: "db1", Primary: "db2", Epoch: 7, Wanted: wanted, Places: s.places, Tool: s.tool,
		Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func families(t *testing.T, test func(*testing.T, *scene)) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) { test(t, begin(t, labtest.Require(t, family))) })
	}
}

func TestTransactionsAreKeptAsSQLAlsoOfADeadServer(t *testing.T) {
	families(t, func(t *testing.T, s *scene) {
		before := s.executed()
		s.exec("INSERT INTO app.t VALUES (2, 'only here')", "FLUSH BINARY LOGS", "UPDATE app.t SET v = 'changed, it''s only here' WHERE id = 2",
			"CREATE TABLE app.u (id INT PRIMARY KEY)")
		wanted := s.executed().Minus(before)
		s.exec("FLUSH BINARY LOGS")
		if err := s.lab.Kill(); err != nil {
			t.Fatal(err)
		}
		dir := archive.Dir(t.TempDir(), "orders", "db1")
		e, err := archive.Save(t.Context(), dir, s.request(wanted))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(e.Dir, e.SQL))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"only here", "it's only here", "### UPDATE", "CREATE TABLE app.u", "BINLOG '"} {
			if !strings.Contains(strings.ReplaceAll(string(text), `\'`, "'"), want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
		if strings.Contains(string(text), "known to all") {
			t.Errorf("what the primary has is archived too:\n%s", text)
		}
		if e.Count != 3 || e.GTIDs != wanted.String() || e.Bytes != int64(len(text)) || e.Server != s.places.Source || e.Epoch != 7 || e.Last.Before(e.First) || e.First.Year() < 2020 {
			t.Errorf("manifest %+v", e.Manifest)
		}
		listed, err := archive.List(dir)
		if err != nil || len(listed) != 1 || listed[0] != e {
			t.Errorf("listed %+v, %v; want %+v", listed, err, e)
		}
	})
}

func TestWhatIsArchivedIsNotArchivedAgain(t *testing.T) {
	families(t, func(t *testing.T, s *scene) {
		before := s.executed()
		s.exec("INSERT INTO app.t VALUES (2, 'only here')")
		wanted := s.executed().Minus(before)
		dir := archive.Dir(t.TempDir(), "orders", "db1")
		// An attempt that was cut off leaves a directory without its final name.
		if err := os.MkdirAll(filepath.Join(dir, ".20260102T030405Z-e7-00000000"), 0o700); err != nil {
			t.Fatal(err)
		}
		first, err := archive.Save(t.Context(), dir, s.request(wanted))
		if err != nil {
			t.Fatal(err)
		}
		later := s.request(wanted)
		later.Now, later.Epoch = later.Now.Add(time.Hour), 9
		if again, err := archive.Save(t.Context(), dir, later); err != nil || again != first {
			t.Errorf("again: %+v, %v; want %+v", again, err, first)
		}
		s.exec("INSERT INTO app.t VALUES (3, 'only here too')")
		later.Wanted = s.executed().Minus(before)
		if more, err := archive.Save(t.Context(), dir, later); err != nil || more.ID == first.ID || more.Count != 2 {
			t.Errorf("more: %+v, %v", more, err)
		}
		if all, err := archive.List(dir); err != nil || len(all) != 2 {
			t.Errorf("listed %+v, %v", all, err)
		}
	})
}

func TestWhatCannotBeKeptWholeIsNotKept(t *testing.T) {
	families(t, func(t *testing.T, s *scene) {
		before := s.executed()
		s.exec("INSERT INTO app.t VALUES (2, 'only here')")
		wanted := s.executed().Minus(before)
		dir := archive.Dir(t.TempDir(), "orders", "db1")
		nothing := func(what string) {
			t.Helper()
			if all, err := archive.List(dir); err != nil || len(all) != 0 {
				t.Errorf("%s: listed %+v, %v", what, all, err)
			}
		}
		r := s.request(wanted)
		r.Tool.Path = filepath.Join(t.TempDir(), "gone")
		if _, err := archive.Save(t.Context(), dir, r); err == nil {
			t.Error("archived without a tool")
		}
		nothing("without a tool")
		r.Tool.Path = "/bin/true" // prints nothing and is content
		if _, err := archive.Save(t.Context(), dir, r); err == nil || !strings.Contains(err.Error(), "did not print") {
			t.Errorf("with a tool that prints nothing: %v", err)
		}
		nothing("with a tool that prints nothing")
		gone, err := mysqld.ParseGTIDSet(s.places.Flavor, map[mysqld.Flavor]string{mysqld.MariaDB: "1-1-1000..1001", mysqld.MySQL: s.places.Source + ":1000"}[s.places.Flavor])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Save(t.Context(), dir, s.request(wanted.Union(gone))); !errors.Is(err, archive.ErrMissing) {
			t.Errorf("of a log that is gone: %v", err)
		}
		nothing("of a log that is gone")
	})
}

func TestTheToolOfTheOtherFamilyIsNotTaken(t *testing.T) {
	families(t, func(t *testing.T, s *scene) {
		empty := s.places
		empty.BaseDir = t.TempDir()
		other := empty
		other.Flavor = mysqld.MySQL
		if empty.Flavor == mysqld.MySQL {
			other.Flavor = mysqld.MariaDB
		}
		bin := filepath.Join(empty.BaseDir, "bin")
		if err := os.Mkdir(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(s.tool.Path, filepath.Join(bin, "mysqlbinlog")); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", "/usr/bin:/bin")
		got, err := archive.FindTool(t.Context(), empty)
		if err != nil || filepath.Dir(got.Path) != bin && empty.Flavor == mysqld.MySQL {
			t.Errorf("its own: %+v, %v", got, err)
		}
		if got, err := archive.FindTool(t.Context(), other); err == nil && filepath.Dir(got.Path) == bin || err != nil && !errors.Is(err, archive.ErrNoTool) {
			t.Errorf("for %s: %+v, %v", other.Flavor, got, err)
		}
	})
}

// A log that was purged may have held some of what is wanted: its last transaction alone is not all of it.
func TestWhatWasPurgedIsMissedAndNotTakenForWhole(t *testing.T) {
	families(t, func(t *testing.T, s *scene) {
		s.exec("FLUSH BINARY LOGS") // what is known to all is in logs that may go
		before := s.executed()
		s.exec("INSERT INTO app.t VALUES (2, 'only here')")
		newest := s.purged()
		dir := archive.Dir(t.TempDir(), "orders", "db1")
		if e, err := archive.Save(t.Context(), dir, s.request(s.executed().Minus(before))); err != nil || e.Count != 1 {
			t.Errorf("all of it is there: %+v, %v", e, err)
		}
		s.exec("FLUSH BINARY LOGS", "INSERT INTO app.t VALUES (3, 'only here too')")
		if s.purged() == newest {
			t.Fatal("nothing was purged")
		}
		e, err := archive.Save(t.Context(), dir, s.request(s.executed().Minus(before)))
		if !errors.Is(err, archive.ErrMissing) {
			t.Errorf("the first of two is gone: %+v, %v", e, err)
		}
	})
}

// purged leaves the newest binary log only, and returns its name.
func (s *scene) purged() string {
	s.t.Helper()
	rows, err := s.admin.QueryContext(s.t.Context(), "SHOW BINARY LOGS")
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		s.t.Fatal(err)
	}
	var name, rest string
	into := make([]any, len(names))
	for i := range into {
		into[i] = &rest
	}
	into[0] = &name
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		s.t.Fatal(err)
	}
	s.exec("PURGE BINARY LOGS TO '" + name + "'")
	return name
}

package rejoin_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
)

// documented returns the indented blocks of "A server that diverged", by hand, as they stand in docs/operate.md.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "## A server that diverged\n")
	section, _, _ := strings.Cut(rest, "\n## ")
	_, byHand, ok := strings.Cut(section, "### By hand\n")
	if !ok {
		t.Fatal("there is no such section")
	}
	var all []string
	inside := false
	for line := range strings.Lines(byHand) {
		switch code, ok := strings.CutPrefix(line, "       "); {
		case ok && inside:
			all[len(all)-1] += code
		case ok:
			all, inside = append(all, code), true
		default:
			inside = false
		}
	}
	return all
}

// A person who copies the statements of docs/operate.md gets a server that follows.
func TestTheDocumentedCopyByHandWorks(t *testing.T) {
	blocks := documented(t)
	if len(blocks) != 4 {
		t.Fatalf("%d blocks, want 2 for MySQL and 2 for MariaDB: %q", len(blocks), blocks)
	}
	families(t, func(t *testing.T, family lab.Family) {
		servers := labtest.Start(t, labtest.Require(t, family), 2)
		donor, diverged := servers[0], servers[1]
		person := func(s *lab.Server) *sql.DB {
			db, err := sql.Open("mysql", "admin:admin@unix("+s.Socket()+")/")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			db.SetMaxOpenConns(1) // statements belong together
			return db
		}
		for s, rows := range map[*lab.Server]string{donor: "(1), (2)", diverged: "(1), (99)"} {
			for _, text := range []string{"SET GLOBAL read_only = OFF", "CREATE TABLE app.t (id INT PRIMARY KEY)", "INSERT INTO app.t VALUES " + rows, "SET GLOBAL read_only = ON"} {
				if _, err := person(s).ExecContext(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
		}
		if family == lab.MySQL {
			copyMySQL(t, blocks[:2], donor, diverged, person)
		} else {
			copyMariaDB(t, blocks[2:], donor, diverged)
		}
		follower, err := mysqld.Open(mysqld.Config{Socket: diverged.Socket(), User: "baton", Password: "baton"})
		if err != nil {
			t.Fatal(err)
		}
		defer follower.Close()
		a := donor.Addr()
		src := mysqld.Source{Host: a.Addr().String(), Port: a.Port(), User: "repl", Password: "repl"}
		theirs, err := follower.SourcePosition(t.Context(), src)
		if err != nil {
			t.Fatal(err)
		}
		st, err := follower.Status(t.Context())
		if err != nil || !st.Position().Minus(theirs).IsEmpty() || !st.ReadOnly {
			t.Fatalf("after the copy: %+v, %v; the donor has %s", st, err, theirs)
		}
		if _, err := person(donor).ExecContext(t.Context(), "INSERT INTO app.t VALUES (3)"); err != nil { // as a person may
			_, err = person(donor).ExecContext(t.Context(), "SET GLOBAL read_only = OFF")
			if err == nil {
				_, err = person(donor).ExecContext(t.Context(), "INSERT INTO app.t VALUES (3)")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := follower.Follow(t.Context(), src); err != nil {
			t.Fatal(err)
		}
		if theirs, err = follower.SourcePosition(t.Context(), src); err != nil {
			t.Fatal(err)
		}
		if err := follower.WaitApplied(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		var rows string
		if err := person(diverged).QueryRowContext(t.Context(), "SELECT GROUP_CONCAT(id ORDER BY id) FROM app.t").Scan(&rows); err != nil || rows != "1,2,3" {
			t.Errorf("rows %q, %v; want 1,2,3", rows, err)
		}
	})
}

func copyMySQL(t *testing.T, blocks []string, donor, diverged *lab.Server, person func(*lab.Server) *sql.DB) {
	t.Helper()
	a := donor.Addr()
	blocks[0] = strings.NewReplacer("10.0.0.12", a.Addr().String(), "'...'", "'repl'").Replace(blocks[0])
	before := diverged.Exited()
	for text := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(blocks[0]), ";"), ";\n") {
		_, err := person(diverged).ExecContext(t.Context(), text)
		if err != nil && (!strings.HasPrefix(text, "CLONE") || mysqld.Refused(err)) {
			t.Fatalf("%s: %v", text, err)
		}
	}
	<-before
	if err := diverged.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for text := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(blocks[1]), ";"), ";\n") {
		if _, err := person(diverged).ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

func copyMariaDB(t *testing.T, blocks []string, donor, diverged *lab.Server) {
	t.Helper()
	dir := t.TempDir()
	run := func(command, input string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	login := func(s *lab.Server) string {
		return " --no-defaults --user=admin --password=admin --socket=" + s.Socket() + " "
	}
	run(strings.Replace(blocks[0], "mariadb-dump ", "mariadb-dump"+login(donor), 1), "")
	run("mariadb"+login(diverged), blocks[1])
}

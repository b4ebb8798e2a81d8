package config_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/baton-db/baton/config"
)

var update = flag.Bool("update", false, "write the golden files")

// base is a node file in which nothing is wrong.
const base = `cluster = "prod"
node = "db1"
role = "server"
zone = "a"
data_dir = "/var/lib/baton"
join = ["127.1.2.4:7451"]
gossip_key_file = "$DIR/gossip.key"
servers = {
  db1 = "127.1.2.3:7450"
  db2 = "127.1.2.4:7450"
  db3 = "127.1.2.5:7450"
}
log {
  level = "debug"
}
listen {
  advertise = "127.1.2.3"
}
dns {
  domain = "baton.internal"
  listen = ["127.1.2.3:7453"]
  hold = "2s"
}
hosts "system" {
  path = "/etc/hosts"
  aliases = { "orders-db" = "primary.orders.db" }
}
mysql {
  database = "orders"
  address = "127.1.2.3:3306"
  socket = "/run/mysqld.sock"
  user = "baton"
  replication_user = "repl"
  replication_password_file = "$DIR/repl.pw"
  preference = "normal"
  expect = 3
  k = 1
  max_lag = "5s"
  switchover_timeout = "3s"
  on_divergence = "wait"
  start = ["/usr/bin/systemctl", "start", "mariadb"]
  stop = ["/usr/bin/systemctl", "stop", "mariadb"]
}
`

// key is 32 bytes in base64.
const key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// site is a directory with a good configuration, in which a case then breaks something.
type site struct {
	t    *testing.T
	dir  string
	load string
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir()} // its length shows in no golden file
	s.load = "baton.hcl"
	s.write("baton.hcl", base)
	s.write("gossip.key", key+"\n")
	s.write("repl.pw", "secret\n")
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "$DIR", s.dir)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// change replaces in baton.hcl what stands before " => " in each line of edits by what stands after it.
func (s *site) change(edits string) {
	s.t.Helper()
	text := base
	for line := range strings.Lines(edits) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " => ")
		before, after = strings.ReplaceAll(before, `\n`, "\n"), strings.ReplaceAll(after, `\n`, "\n")
		if !ok || !strings.Contains(text, before) {
			s.t.Fatalf("the change %q does not apply", line)
		}
		text = strings.Replace(text, before, after, 1)
	}
	s.write("baton.hcl", text)
}

// command does a line of the comment of a case; the first line says what is wrong.
func (s *site) command(line string) {
	s.t.Helper()
	words := strings.Fields(line)
	var err error
	switch words[0] {
	case "mode":
		mode, bad := strconv.ParseUint(words[2], 8, 32)
		err = errors.Join(bad, os.Chmod(filepath.Join(s.dir, words[1]), os.FileMode(mode)))
	case "remove":
		err = os.Remove(filepath.Join(s.dir, words[1]))
	case "load":
		s.load = words[1]
	default:
		err = fmt.Errorf("unknown command")
	}
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
}

func TestEveryMistakeIsNamedWithItsLineAndAWayOut(t *testing.T) {
	paths, err := filepath.Glob("testdata/mistakes/*.txtar")
	if err != nil || len(paths) < 40 {
		t.Fatalf("%d cases, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { mistake(t, path) })
	}
}

func mistake(t *testing.T, path string) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	want := ""
	for _, f := range a.Files {
		switch f.Name {
		case "want":
			want = string(f.Data)
		case "change":
			s.change(string(f.Data))
		default:
			s.write(f.Name, string(f.Data))
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(string(a.Comment)), "\n")[1:] {
		s.command(line)
	}
	_, err = config.Load(filepath.Join(s.dir, s.load))
	var bad *config.Error
	if !errors.As(err, &bad) {
		t.Fatalf("got %v, want a *config.Error", err)
	}
	for _, f := range bad.Findings {
		if f.Fix == "" || f.Problem == "" || f.File == "" || (f.Line == 0 && f.Code != "BT-1001") {
			t.Errorf("incomplete: %+v", f)
		}
	}
	got := strings.ReplaceAll(bad.Error(), s.dir, "$DIR") + "\n"
	if *update {
		a.Files = append(without(a.Files, "want"), txtar.File{Name: "want", Data: []byte(got)})
		if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func without(files []txtar.File, name string) []txtar.File {
	var kept []txtar.File
	for _, f := range files {
		if f.Name != name {
			kept = append(kept, f)
		}
	}
	return kept
}

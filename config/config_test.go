package config_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/config"
	"github.com/baton-db/baton/registry"
)

func (s *site) mustLoad() agent.Config {
	s.t.Helper()
	cfg, err := config.Load(filepath.Join(s.dir, s.load))
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	return cfg
}

func TestEverySettingArrives(t *testing.T) {
	got := newSite(t).mustLoad()
	want := agent.Config{
		Cluster: "prod", Node: "db1", Role: "server", Zone: "a", DataDir: "/var/lib/baton",
		Advertise: netip.MustParseAddr("127.1.2.3"), API: "127.1.2.3:7450", Gossip: "127.1.2.3:7451",
		GossipKey: []byte("01234567890123456789012345678901"),
		Servers:   []agent.Server{{Node: "db1", API: "127.1.2.3:7450"}, {Node: "db2", API: "127.1.2.4:7450"}, {Node: "db3", API: "127.1.2.5:7450"}},
		Join:      []string{"127.1.2.4:7451"},
		DNS:       agent.DNS{Domain: "baton.internal", Listen: []string{"127.1.2.3:7453"}, Hold: 2 * time.Second, MaxStale: 10 * time.Second},
		Hosts:     []agent.HostsFile{{Path: "/etc/hosts", Aliases: map[string]string{"orders-db": "primary.orders.db"}}},
		Database: &agent.Database{Name: "orders", Instance: "db1", Address: "127.1.2.3:3306", Socket: "/run/mysqld.sock",
			User: "baton", ReplUser: "repl", ReplSecret: "secret", Preference: "normal", OnDivergence: "wait",
			Start: []string{"/usr/bin/systemctl", "start", "mariadb"}, Stop: []string{"/usr/bin/systemctl", "stop", "mariadb"},
			Policy: registry.Policy{Expect: 3, K: 1, MaxLagSeconds: 5, SwitchoverSeconds: 3}},
		Debug: true,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The sample has every setting, and every value in it that is commented out is the default.
func TestSampleLoadsAndItsCommentedValuesAreTheDefaults(t *testing.T) {
	text, err := os.ReadFile("sample.hcl")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.write("mysql.pw", "secret\n")
	load := func(text string) agent.Config {
		s.write("baton.hcl", strings.ReplaceAll(text, "/etc/baton/", "$DIR/"))
		return s.mustLoad()
	}
	asWritten := load(string(text))
	var all strings.Builder
	for line := range strings.Lines(string(text)) {
		indent, rest, commented := strings.Cut(line, "# ")
		if commented && strings.TrimSpace(indent) == "" && isSetting(rest) {
			line = indent + rest
		}
		all.WriteString(line)
	}
	everything := load(all.String())
	if diff := cmp.Diff(asWritten, everything, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("a commented value of the sample is not the default: -default +sample:\n%s", diff)
	}
	for _, name := range config.AllSettings() {
		if last := name[strings.LastIndex(name, ".")+1:]; !strings.Contains(all.String(), last) {
			t.Errorf("sample.hcl lacks %s", name)
		}
	}
}

// isSetting reports whether a commented line is a setting that was commented out, and no sentence.
func isSetting(line string) bool {
	name, _, ok := strings.Cut(line, "=")
	return ok && !strings.Contains(strings.TrimSpace(name), " ")
}

// Nothing is written when a file is read: the agent makes the key that is missing.
func TestTheFirstServerNeedsNoGossipKey(t *testing.T) {
	s := newSite(t)
	s.change(`zone = => bootstrap = true\nzone =`)
	if got := s.mustLoad(); !got.Bootstrap || len(got.GossipKey) != 32 || got.GossipKeyFile != "" {
		t.Errorf("a key that is there: %v, %d bytes, to be made at %q", got.Bootstrap, len(got.GossipKey), got.GossipKeyFile)
	}
	path := filepath.Join(s.dir, "gossip.key")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := s.mustLoad(); len(got.GossipKey) != 0 || got.GossipKeyFile != path {
		t.Errorf("a key that is not there: %d bytes, to be made at %q", len(got.GossipKey), got.GossipKeyFile)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("loading made the key")
	}
	for name, text := range map[string]string{"short": "MDEyMw==\n", "empty": ""} {
		s.write("gossip.key", text)
		if _, err := config.Load(filepath.Join(s.dir, s.load)); err == nil || !strings.Contains(err.Error(), "BT-1008") {
			t.Errorf("a key that is %s: %v", name, err)
		}
	}
	s.change(`gossip_key_file = => bootstrap = false\ngossip_key_file =`)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(filepath.Join(s.dir, s.load)); err == nil || !strings.Contains(err.Error(), "first server") {
		t.Errorf("bootstrap = false without a key: %v", err)
	}
}

func TestEverySettingIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range config.AllSettings() {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("docs/config.md has no line for %s", name)
		}
	}
}

func TestFilesOfADirectoryAreMergedInTheOrderOfTheirNames(t *testing.T) {
	s := newSite(t)
	s.load = "."
	for _, name := range []string{"20-b", "10-a", "30-c"} {
		s.write("conf.d/"+name+".hcl", fmt.Sprintf("hosts %q {\n  path = \"/etc/%s\"\n}\n", name, name))
	}
	s.write("conf.d/40-notes.txt", "this is no configuration")
	var got []string
	for _, h := range s.mustLoad().Hosts {
		got = append(got, h.Path)
	}
	if diff := cmp.Diff([]string{"/etc/hosts", "/etc/10-a", "/etc/20-b", "/etc/30-c"}, got); diff != "" {
		t.Error(diff)
	}
}

// What editors on other systems leave behind means nothing, and is no mistake.
func TestByteOrderMarkTabsAndCarriageReturnsAreAccepted(t *testing.T) {
	s := newSite(t)
	text := strings.ReplaceAll(strings.ReplaceAll(base, "\n  ", "\n\t"), "\n", "\r\n")
	s.write("baton.hcl", "\ufeff"+text)
	if cfg := s.mustLoad(); cfg.Cluster != "prod" {
		t.Errorf("cluster %q", cfg.Cluster)
	}
}

func TestDirectoryWhoseNameIsAPatternIsRead(t *testing.T) {
	s := newSite(t)
	s.dir = filepath.Join(s.dir, "a[b]*c")
	for name, text := range map[string]string{"baton.hcl": base, "gossip.key": key, "repl.pw": "x", "conf.d/1.hcl": "hosts \"x\" {\n  path = \"/x\"\n}\n"} {
		s.write(name, text)
	}
	s.load = "."
	if n := len(s.mustLoad().Hosts); n != 2 {
		t.Errorf("%d hosts files, want 2", n)
	}
}

// Nothing here may wait for the other end of a pipe, or read a disk to its end.
func TestWhatIsNoSmallRegularFileIsRefused(t *testing.T) {
	s := newSite(t)
	pipe := filepath.Join(s.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	s.write("large.hcl", strings.Repeat("# long\n", 1<<20))
	for _, path := range []string{pipe, "/dev/zero", filepath.Join(s.dir, "large.hcl")} {
		var bad *config.Error
		if _, err := config.Load(path); !errors.As(err, &bad) || bad.Findings[0].Code != "BT-1001" {
			t.Errorf("%s: got %v", path, err)
		}
	}
	s.change(`"$DIR/repl.pw" => "` + pipe + `"`)
	if _, err := config.Load(filepath.Join(s.dir, "baton.hcl")); err == nil || !strings.Contains(err.Error(), "BT-1008") {
		t.Errorf("a pipe for a secret: %v", err)
	}
}

func TestUnreadableBytesAreRefusedWithALine(t *testing.T) {
	for name, text := range map[string]string{
		"UTF-16": "\xff\xfec\x00l\x00", "NUL": "cluster = \"a\x00b\"\n", "Latin-1": "zone = \"M\xfcnchen\"\n",
		"nested": "join = " + strings.Repeat("[", 60_000), "template": "zone = \"" + strings.Repeat("${", 30_000),
		"negated": "k = " + strings.Repeat("!", 60_000), "conditional": "k = " + strings.Repeat("1?1:", 15_000),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.write("baton.hcl", text)
			var bad *config.Error
			_, err := config.Load(filepath.Join(s.dir, "baton.hcl"))
			if !errors.As(err, &bad) || bad.Findings[0].Line == 0 {
				t.Fatalf("got %.500v", err)
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(base))
	f.Add([]byte("cluster = prod\nhosts {\n"))
	f.Add([]byte("mysql {\n  k = 1e999\n  max_lag = \"${1}\"\n}\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "baton.hcl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(path)
		var bad *config.Error
		switch {
		case err == nil:
			t.Fatalf("loaded without a gossip key: %q", text)
		case !errors.As(err, &bad) || len(bad.Findings) == 0:
			t.Fatalf("%T: %v", err, err)
		}
		for _, f := range bad.Findings {
			if f.Code == "" || f.Problem == "" || f.Fix == "" || f.File == "" {
				t.Errorf("incomplete: %+v", f)
			}
		}
	})
}

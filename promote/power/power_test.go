package power

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// server is one that can be told what its settings are, and that refuses to change them while refuses is set.
type server struct {
	now      health.Observation
	refuses  error
	asked    int
	observed func() // runs when it is asked to put settings back
}

func (s *server) Latest() health.Observation                 { return s.now }
func (s *server) Refresh(context.Context) health.Observation { return s.now }
func (s *server) Tighten(context.Context) (mysqld.Tightened, error) {
	s.asked++
	if s.observed != nil {
		s.observed()
	}
	if s.refuses != nil {
		return mysqld.Tightened{}, s.refuses
	}
	was := s.now.Status.Loose
	s.now.Status.Loose = nil
	return mysqld.Tightened{Was: was, By: "root@localhost at noon"}, nil
}

func (s *server) runs(process string, loose ...string) {
	s.now = health.Observation{Incarnation: process, Good: true, Status: mysqld.Status{Flavor: mysqld.MySQL, Loose: loose}}
}

// reigning is a registry in which db2 is a member of orders in its first epoch.
func reigning(t *testing.T, durability registry.Durability) *registry.Feed {
	t.Helper()
	policy := registry.DefaultPolicy()
	policy.Durability = durability
	s := registry.New("test")
	for _, c := range []registry.Command{
		&registry.PutDatabase{Name: "orders", Policy: policy},
		&registry.PutMember{Database: "orders", Member: registry.Member{ID: "db2", Node: "db2", Address: "10.0.0.2:3306", Flavor: registry.MySQL, Preference: registry.Normal,
			ServerUUID: "00000000-0000-0000-0000-000000000002", ServerID: 2, Version: "9.7.4", PromiseFile: "f"}},
		&registry.Revoke{Database: "orders", Epoch: 1, Cause: registry.Cause{Code: "Formation"}},
	} {
		next, err := c.Apply(s)
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	return registry.NewFeed(s)
}

func watch(t *testing.T, dir string, s *server, feed Feed) *Watch {
	t.Helper()
	w, err := New(Config{Database: "orders", Instance: "db2", Dir: dir, Notify: func() {}, Logger: slog.New(slog.DiscardHandler)}, s, s, feed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *Watch) says(process string) health.Report {
	r := health.Report{Incarnation: process, Guard: health.Guard{CaughtUp: true}}
	w.Describe(&r)
	return r
}

func TestWhatSomebodyLoosenedIsWrittenDownPutBackAndSaid(t *testing.T) {
	dir, s := t.TempDir(), &server{}
	w := watch(t, dir, s, reigning(t, registry.Lossless))
	s.runs("7-1-boot1", "innodb_flush_log_at_trx_commit = 2", "sync_relay_log = 10000")
	s.observed = func() {
		if r, err := read(w.path); err != nil || r.Process != "7-1-boot1" {
			t.Errorf("it was put back before it was written down: %+v, %v", r, err)
		}
	}
	w.look(t.Context())
	p := w.says("7-1-boot1").Power
	if p.Loose != "" || p.Restored != 1 || !p.Recent || !strings.Contains(p.Last, "trx_commit = 2") || p.LastBy == "" || p.RestoredAt == "" {
		t.Errorf("it says %+v", p)
	}
	if r, err := read(w.path); err != nil || r.Process != "" {
		t.Errorf("it is not struck out: %+v, %v", r, err)
	}
	w.look(t.Context())
	if s.asked != 1 {
		t.Errorf("it was asked %d times", s.asked)
	}
}

// An agent that was killed after the settings were put back does not know whether what was committed before is durable.
func TestASettingThatIsRightAgainIsStruckOutOnlyWhenAllIsDurable(t *testing.T) {
	dir, s := t.TempDir(), &server{refuses: errors.New("denied")}
	feed := reigning(t, registry.Lossless)
	s.runs("7-1-boot1", "sync_binlog = 0")
	w := watch(t, dir, s, feed)
	w.look(t.Context())
	if p := w.says("7-1-boot1").Power; p.Loose != "sync_binlog = 0" || !strings.Contains(p.Problem, "denied") {
		t.Errorf("it says %+v", p)
	}
	s.runs("7-1-boot1")
	s.refuses = nil
	w = watch(t, dir, s, feed)
	w.look(t.Context())
	if s.asked != 2 {
		t.Errorf("it was asked %d times, want once by each agent", s.asked)
	}
	if r, err := read(w.path); err != nil || r.Process != "" {
		t.Errorf("it is not struck out: %+v, %v", r, err)
	}
}

func TestAServerThatLostPowerWhileLooseProvesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		loose []string
		now   string
		torn  bool
	}{
		"the same process":                          {[]string{"sync_binlog = 0"}, "7-1-boot1", false},
		"it was restarted, the machine was not":     {[]string{"sync_binlog = 0"}, "8-2-boot1", false},
		"the machine was":                           {[]string{"sync_binlog = 0"}, "7-1-boot2", true},
		"the log was flushed now and then":          {[]string{"innodb_flush_log_at_trx_commit = 2"}, "7-1-boot2", true},
		"that stays in the memory of the process":   {[]string{"innodb_flush_log_at_trx_commit = 0"}, "8-2-boot1", true},
		"what is only received is measured anyway":  {[]string{"sync_relay_log = 0"}, "7-1-boot2", false},
		"nothing was wrong when the power was lost": {nil, "7-1-boot2", false},
	} {
		dir, s := t.TempDir(), &server{refuses: errors.New("denied")}
		feed := reigning(t, registry.Lossless)
		s.runs("7-1-boot1", c.loose...)
		watch(t, dir, s, feed).look(t.Context())
		w := watch(t, dir, s, feed) // after the loss
		for range 2 {               // also before its first look
			r := w.says(c.now)
			if torn := r.Power.Torn != ""; torn != c.torn || r.Guard.Amnesiac != c.torn || r.Guard.CaughtUp == c.torn {
				t.Errorf("%s: torn %q, amnesiac %t, caught up %t", name, r.Power.Torn, r.Guard.Amnesiac, r.Guard.CaughtUp)
			}
			s.refuses = nil
			s.runs(c.now, c.loose...) // another one with the same settings does not make it good
			w.look(t.Context())
		}
		if err := os.Remove(w.path); err != nil {
			continue // nothing was written
		}
		w.look(t.Context())
		if r := w.says(c.now); r.Power.Torn != "" {
			t.Errorf("%s: an operator has given it a copy, and it says %q", name, r.Power.Torn)
		}
	}
}

func TestSettingsOfADatabaseThatMayLoseWritesAreLeftAlone(t *testing.T) {
	forming, err := (&registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()}).Apply(registry.New("test"))
	if err != nil {
		t.Fatal(err)
	}
	for name, feed := range map[string]Feed{"async": reigning(t, registry.Async), "not formed": registry.NewFeed(forming)} {
		s := &server{}
		s.runs("7-1-boot1", "sync_binlog = 0")
		w := watch(t, t.TempDir(), s, feed)
		w.look(t.Context())
		if p := w.says("7-1-boot1").Power; s.asked != 0 || p != (health.Power{}) {
			t.Errorf("%s: asked %d times, says %+v", name, s.asked, p)
		}
	}
}

func TestADamagedRecordIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "power-orders-db2")
	for _, content := range []string{"", "{", `{"version":2}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Database: "orders", Instance: "db2", Dir: dir}, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "Way out") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

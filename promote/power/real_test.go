package power_test

import (
	"context"
	"database/sql"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/power"
	"github.com/baton-db/baton/registry"
)

// host is one real server with what an agent runs beside it.
type host struct {
	*lab.Server
	t       *testing.T
	server  *mysqld.Server
	checker *health.Checker
	watch   *power.Watch
	admin   *sql.DB
}

func (h *host) exec(text string) {
	h.t.Helper()
	if _, err := h.admin.ExecContext(h.t.Context(), text); err != nil {
		h.t.Fatalf("%s: %s: %v", h.Name(), text, err)
	}
}

// says waits until what is reported is as wanted.
func (h *host) says(what string, want func(health.Power) bool) health.Power {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 60*time.Second)
	defer cancel()
	for {
		r := health.Report{Incarnation: h.checker.Latest().Incarnation}
		if h.watch.Describe(&r); want(r.Power) {
			return r.Power
		}
		select {
		case <-ctx.Done():
			h.t.Fatalf("%s: not %s: %+v", h.Name(), what, r.Power)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// start makes a primary that waits for one acknowledgement, and its acker.
func start(t *testing.T, family lab.Family) (primary, acker *host) {
	t.Helper()
	var all []*host
	s := registry.New("test")
	apply := func(c registry.Command) {
		next, err := c.Apply(s)
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	apply(&registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()})
	for _, l := range labtest.Start(t, labtest.Require(t, family), 2) {
		h := &host{Server: l, t: t}
		var err error
		if h.server, err = mysqld.Open(mysqld.Config{Socket: l.Socket(), User: "baton", Password: "baton"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.server.Close() })
		if h.admin, err = sql.Open("mysql", "admin:admin@unix("+l.Socket()+")/"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.admin.Close() })
		st, err := h.server.Status(t.Context())
		if err != nil || len(st.Loose) > 0 {
			t.Fatalf("%s begins with %v: %v", l.Name(), st.Loose, err)
		}
		apply(&registry.PutMember{Database: "orders", Member: registry.Member{ID: registry.InstanceID(l.Name()), Node: registry.NodeID(l.Name()), Address: l.Addr().String(),
			Flavor: registry.Flavor(st.Flavor), Version: st.Version, ServerUUID: st.UUID, ServerID: st.ServerID, Preference: registry.Normal, PromiseFile: "f" + l.Name()}})
		all = append(all, h)
	}
	apply(&registry.Revoke{Database: "orders", Epoch: 1, Cause: registry.Cause{Code: "Formation"}})
	feed := registry.NewFeed(s)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for _, h := range all {
		cfg := health.DefaultCheckerConfig()
		cfg.Instance = h.Name()
		h.checker = health.NewChecker(cfg, h.server)
		var err error
		h.watch, err = power.New(power.Config{Database: "orders", Instance: registry.InstanceID(h.Name()), Dir: t.TempDir(), Notify: func() {},
			Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, h.server, h.checker, feed)
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = h.checker.Run(ctx) })
	}
	primary, acker = all[0], all[1]
	to := mysqld.Source{Host: primary.Addr().Addr().String(), Port: primary.Addr().Port(), User: "repl", Password: "repl", SemiSync: true}
	for _, do := range []func() error{
		func() error { return acker.server.Follow(t.Context(), to) },
		func() error { return primary.server.BecomeSource(t.Context(), 1) },
		func() error { return primary.server.Mark(t.Context(), 1, primary.Name(), "") },
		func() error { return primary.server.OpenWrites(t.Context()) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range all {
		running.Go(func() { _ = h.watch.Run(ctx) })
	}
	return primary, acker
}

// Somebody loosens a setting of the primary, and of an acker: it is put back and said, and on MySQL who it was. MariaDB lets baton
// do that only with rights that it need not have; without them it is said what is wrong.
func TestSettingsThatAreLoosenedArePutBackAndSaid(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			primary, acker := start(t, family)
			for _, h := range []*host{primary, acker} {
				if family == lab.MariaDB {
					h.exec("SET GLOBAL sync_binlog = 0")
					p := h.says("said to be refused", func(p health.Power) bool { return p.Loose != "" && p.Problem != "" })
					if !strings.Contains(p.Loose, "sync_binlog = 0") || !strings.Contains(p.Problem, "BINLOG ADMIN") {
						t.Errorf("%s says %+v", h.Name(), p)
					}
					h.grant("BINLOG ADMIN, SUPER")
					h.says("put back", func(p health.Power) bool { return p.Restored == 1 && p.Loose == "" })
				}
				before := h.says("begun", func(health.Power) bool { return true }).Restored
				for i, setting := range []string{"sync_binlog = 0", "innodb_flush_log_at_trx_commit = 2", "sync_relay_log = 10000"} {
					h.exec("SET GLOBAL " + setting)
					p := h.says("put back", func(p health.Power) bool { return p.Restored == before+i+1 && p.Loose == "" })
					if p.Last != setting || (p.LastBy != "") != (family == lab.MySQL) || !p.Recent || p.Torn != "" {
						t.Errorf("%s says %+v of %s", h.Name(), p, setting)
					}
					if st, err := h.server.Status(t.Context()); err != nil || len(st.Loose) > 0 {
						t.Errorf("%s has %v: %v", h.Name(), st.Loose, err)
					}
				}
			}
		})
	}
}

// grant gives baton's account more rights on this server alone, and lets it log in anew.
func (h *host) grant(rights string) {
	h.t.Helper()
	c, err := h.admin.Conn(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, text := range []string{"SET SESSION sql_log_bin = 0", "GRANT " + rights + " ON *.* TO 'baton'@'localhost'"} {
		if _, err := c.ExecContext(h.t.Context(), text); err != nil {
			h.t.Fatalf("%s: %v", text, err)
		}
	}
	if err := c.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.exec("KILL USER 'baton'@'localhost'") // a session keeps the rights that it began with
}

package rejoin_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/registry"
)

func families(t *testing.T, test func(t *testing.T, family lab.Family)) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) { test(t, family) })
	}
}

func asItIs(*host) {}

// A former primary that baton starts is archived, rewound, and acknowledges again.
func TestACrashedPrimaryIsRewoundAndComesBack(t *testing.T) {
	families(t, func(t *testing.T, family lab.Family) {
		c := start(t, family, 0, asItIs)
		former := c.await("formed", whole).Primary
		c.diverge(former)
		if err := c.hosts[former].lab.Kill(); err != nil {
			t.Fatal(err)
		}
		c.await("replaced and whole again", func(d *registry.Database) bool { return whole(d) && d.Primary != former })
		c.check(former)
	})
}

// An agent that is killed between the archive and the rewind finds what was begun and goes on.
func TestAnAgentThatIsKilledOnTheWayGoesOn(t *testing.T) {
	families(t, func(t *testing.T, family lab.Family) {
		killed := make(chan struct{})
		c := start(t, family, 0, func(h *host) {
			h.cfg.Stop = func(ctx context.Context) error {
				select {
				case <-killed:
				default:
					close(killed)
				}
				<-ctx.Done() // it never comes so far
				return ctx.Err()
			}
		})
		former := c.await("formed", whole).Primary
		c.diverge(former)
		h := c.hosts[former]
		if err := h.lab.Kill(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-killed:
		case <-time.After(time.Minute):
			t.Fatal("the rewind never began")
		}
		h.dead()
		<-h.ended
		if a, _ := c.kept(former); a.Count < 2 {
			t.Errorf("begun with %+v kept", a)
		}
		h.cfg.Stop = func(context.Context) error { return h.lab.Kill() }
		c.renew(h)
		if h.returner.Busy() == "" {
			t.Error("a new agent does not know what was begun")
		}
		c.await("whole again", func(d *registry.Database) bool { return whole(d) && d.Primary != former })
		c.check(former)
	})
}

// A former primary that somebody else started again has committed what waited. MySQL becomes a copy, MariaDB waits.
func TestAPrimaryThatWasStartedAgainIsCopiedOrWaits(t *testing.T) {
	families(t, func(t *testing.T, family lab.Family) {
		c := start(t, family, 50*time.Millisecond, func(h *host) { h.cfg.Start, h.cfg.Stop = nil, nil }) // the init system does it
		former := c.await("formed", whole).Primary
		c.diverge(former)
		h := c.hosts[former]
		if err := h.lab.Crash(); err != nil {
			t.Fatal(err)
		}
		if family == lab.MySQL {
			c.await("replaced and whole again", func(d *registry.Database) bool { return whole(d) && d.Primary != former })
			c.check(former)
			if p, err := h.server.CloneProgress(t.Context()); err != nil || p.Running || p.Error != "" || p.Stage == "" {
				t.Errorf("after the copy: %+v, %v", p, err)
			}
			return
		}
		c.await("archived, and waiting for a person", func(d *registry.Database) bool {
			doing, kept := h.returner.Report()
			return d.Phase == registry.Serving && d.Primary != former && len(kept) == 1 && doing != nil && strings.Contains(doing.Why, "Way out: ")
		})
		if d := c.database(); d.IsAcker(former) {
			t.Errorf("%s acknowledges although it is diverged", former)
		}
		doing, _ := h.returner.Report()
		if doing.Archive == "" || !strings.Contains(doing.Why, "MariaDB cannot copy itself") {
			t.Errorf("it says %+v", doing)
		}
	})
}

// While the transactions cannot be archived nothing is changed, and it is said.
func TestWithoutAnArchiveNothingIsTakenAway(t *testing.T) {
	families(t, func(t *testing.T, family lab.Family) {
		blocked := make(chan struct{})
		c := start(t, family, 0, func(h *host) {
			// A file is where the directory should be.
			if err := os.WriteFile(filepath.Join(h.cfg.Data, "archive"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			stop := h.cfg.Stop
			h.cfg.Stop = func(ctx context.Context) error {
				select {
				case <-blocked:
				default:
					t.Error("it was touched before its transactions were archived")
				}
				return stop(ctx)
			}
		})
		former := c.await("formed", whole).Primary
		c.diverge(former)
		h := c.hosts[former]
		if err := h.lab.Kill(); err != nil {
			t.Fatal(err)
		}
		c.await("the archive fails, and that is said", func(*registry.Database) bool {
			doing, _ := h.returner.Report()
			return doing != nil && doing.Doing == "archive" && strings.Contains(doing.Problem, "not a directory") && doing.Archive == ""
		})
		close(blocked)
		if err := os.Remove(filepath.Join(h.cfg.Data, "archive")); err != nil {
			t.Fatal(err)
		}
		c.await("whole again", func(d *registry.Database) bool { return whole(d) && d.Primary != former })
		c.check(former)
	})
}

func TestAProgramIsRunWithoutAShellAndItsWordsAreHeard(t *testing.T) {
	if rejoin.Program(nil) != nil {
		t.Error("no program is one")
	}
	path := filepath.Join(t.TempDir(), "made $HOME")
	if err := rejoin.Program([]string{"/bin/touch", path})(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	err := rejoin.Program([]string{"/bin/sh", "-c", "echo unit not found >&2; exit 5"})(t.Context())
	if err == nil || !strings.Contains(err.Error(), "unit not found") {
		t.Errorf("a program that fails: %v", err)
	}
	// What it leaves behind may hold its output open.
	if err := rejoin.Program([]string{"/bin/sh", "-c", "exec sleep 5 &"})(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server that may not copy goes on as it was, closed to everybody, and says which right is missing.
func TestACopyThatIsRefusedLeavesTheServerAsItWas(t *testing.T) {
	c := start(t, lab.MySQL, 50*time.Millisecond, func(h *host) { h.cfg.Start, h.cfg.Stop = nil, nil })
	d := c.await("formed", whole)
	former := d.Primary
	for _, id := range d.Ackers { // each is a donor
		c.exec(id, "SET GLOBAL super_read_only = OFF", "SET SESSION sql_log_bin = 0", "REVOKE BACKUP_ADMIN ON *.* FROM 'repl'@'%'", "SET GLOBAL super_read_only = ON")
	}
	c.diverge(former)
	h := c.hosts[former]
	if err := h.lab.Crash(); err != nil {
		t.Fatal(err)
	}
	c.await("it says why not", func(d *registry.Database) bool {
		doing, _ := h.returner.Report()
		return d.Phase == registry.Serving && d.Primary != former && doing != nil && doing.Doing == "wait" && strings.Contains(doing.Why, "BACKUP_ADMIN")
	})
	var closed bool
	if err := c.db(former).QueryRowContext(t.Context(), "SELECT @@GLOBAL.super_read_only").Scan(&closed); err != nil || !closed {
		t.Errorf("super_read_only is %t, %v", closed, err)
	}
	if got := c.rows(former); got != "for all,only there,only there" {
		t.Errorf("it has %q", got)
	}
	// The right is given, and an operator asks again.
	for _, id := range c.database().Ackers {
		c.exec(id, "SET GLOBAL super_read_only = OFF", "SET SESSION sql_log_bin = 0", "GRANT BACKUP_ADMIN ON *.* TO 'repl'@'%'", "SET GLOBAL super_read_only = ON")
	}
	c.propose(&registry.Rejoin{Database: "orders", Epoch: c.database().Epoch, Instance: former, How: "clone", AtMillis: 7})
	c.await("whole again", whole)
	c.check(former)
}

// A primary that crashed while nobody could take over is started again, reigns again, and has lost nothing.
func TestAPrimaryThatNobodyCanReplaceComesBack(t *testing.T) {
	families(t, func(t *testing.T, family lab.Family) {
		c := start(t, family, 0, asItIs)
		d := c.await("formed", whole)
		c.exec(d.Primary, "CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(50))", "INSERT INTO app.t VALUES (1, 'for all')")
		for _, id := range append(d.Ackers, d.Primary) {
			if err := c.hosts[id].lab.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		c.await("the primary answers", func(*registry.Database) bool { return c.hosts[d.Primary].lab.Pid() != 0 })
		for _, id := range d.Ackers {
			if err := c.hosts[id].lab.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.await("whole again", whole)
		if got := c.rows(c.database().Primary); got != "for all" {
			t.Errorf("rows %q", got)
		}
	})
}

package mysqld_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
)

// Applications that hold every connection do not make a server look dead: baton has its own, and what is turned away at the
// door is turned away by a server that lives.
func TestAServerWithoutAFreeConnectionIsStillLookedAt(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p := reign(t, bin, 2)[0]
		p.must(p.Warm(t.Context()))
		p.must(p.Canary(t.Context(), "db1"))
		p.exec("SET GLOBAL max_connections = 30")
		full := false
		for range 60 {
			cfg := mysql.NewConfig()
			cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.Logger = "tcp", p.lab.Addr().String(), "app", "app", &mysql.NopLogger{}
			connector, err := mysql.NewConnector(cfg)
			p.must(err)
			db := sql.OpenDB(connector)
			t.Cleanup(func() { _ = db.Close() })
			if err := db.PingContext(t.Context()); err != nil {
				full = true
				break
			}
		}
		if !full {
			t.Fatal("sixty connections fit in thirty")
		}
		// The door itself keeps one place more, for an administrator, so it still greets.
		if err := mysqld.Probe(t.Context(), p.lab.Addr().String()); err != nil && !errors.Is(err, mysqld.ErrRefusing) {
			t.Errorf("a full server is probed as %v", err)
		}
		p.status()
		p.must(p.Canary(t.Context(), "db1"))
		if _, err := p.Process(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A global read lock stops every commit, and not the look at the server; what waits for it waits for no acknowledgement.
func TestAGlobalReadLockStopsTheCanaryAndNotTheLook(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p := reign(t, bin, 2)[0]
		p.must(p.Canary(t.Context(), "db1"))
		p.exec("FLUSH TABLES WITH READ LOCK")
		if err := p.Canary(shortly(t), "db1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a commit under a global read lock: %v", err)
		}
		if st := p.status(); st.ReadOnly {
			t.Error("a locked server says that it is closed")
		}
		if n, err := p.CommitsWaitForAcks(t.Context()); err != nil || n != 0 {
			t.Errorf("%d commits wait for acknowledgements (%v)", n, err)
		}
		p.exec("UNLOCK TABLES")
		p.must(p.Canary(t.Context(), "db1"))
	})
}

// What a canary waits for is said in the server's words, by whom where MySQL says it; a canary that waits for acknowledgements, or
// for a row, waits for no lock. A backup that stops no commit is none.
func TestACanarySaysForWhichLockItWaits(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p := reign(t, bin, 2)[0]
		p.must(p.Canary(t.Context(), "db1"))
		global, stages := "Waiting for global read lock", []string(nil)
		if bin.Family == lab.MariaDB {
			global = "Waiting for backup lock"
			stages = []string{"BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL", "BACKUP STAGE BLOCK_COMMIT"}
		}
		me := p.ask("SELECT CONNECTION_ID()")
		waits := func(want, end string, statements ...string) {
			t.Helper()
			p.exec(statements...)
			failed := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { failed <- p.Canary(ctx, "db1") })
			var got mysqld.Lock
			until(t, "a canary waits: "+want, func() (ok bool) {
				var err error
				got, err = p.CanaryLock(t.Context())
				p.must(err)
				return got.State != ""
			})
			cancel()
			wg.Wait()
			if <-failed == nil {
				t.Errorf("a canary went through %q", statements)
			}
			if got.State != want || bin.Family == lab.MySQL && (got.Session != me || got.Account != "admin@localhost") {
				t.Errorf("%q: %+v, want %s by session %s", statements, got, want, me)
			}
			p.exec(end)
			until(t, "canaries go through again", func() bool { return p.Canary(t.Context(), "db1") == nil })
			if got, err := p.CanaryLock(t.Context()); err != nil || got != (mysqld.Lock{}) {
				t.Errorf("after %q: %+v, %v", end, got, err)
			}
		}
		waits(global, "UNLOCK TABLES", "FLUSH TABLES WITH READ LOCK")
		waits("Waiting for table metadata lock", "UNLOCK TABLES", "LOCK TABLES baton.canary READ")
		waits("Waiting for table metadata lock", "UNLOCK TABLES", "LOCK TABLES baton.canary WRITE")
		if stages != nil {
			waits(global, "BACKUP STAGE END", stages...)
		} else {
			p.exec("LOCK INSTANCE FOR BACKUP")
			p.must(p.Canary(t.Context(), "db1"))
			p.exec("UNLOCK INSTANCE")
		}
		p.exec("BEGIN", "SELECT * FROM baton.canary FOR UPDATE")
		if err := p.Canary(shortly(t), "db1"); err == nil {
			t.Error("a canary changed a row that is locked")
		}
		if got, err := p.CanaryLock(t.Context()); err != nil || got != (mysqld.Lock{}) {
			t.Errorf("a canary that waits for a row waits for %+v, %v", got, err)
		}
		p.exec("ROLLBACK")
	})
}

// A primary whose disk is full answers, or has ended itself; its commits wait for room and not for acknowledgements, so it is
// stuck and not lonely; and it can be killed.
func TestAFullDiskStopsTheCanaryAndNotTheKill(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		disk := smallDisk(t, 500)
		servers := labtest.StartEach(t, bin, 2, func(i int, opts *lab.Options) {
			if i == 0 {
				opts.DataDir = filepath.Join(disk, "data")
			}
		})
		p := &node{Server: opened(t, servers[0]), t: t, lab: servers[0], admin: connect(t, servers[0], "admin")}
		r := &node{Server: opened(t, servers[1]), t: t, lab: servers[1], admin: connect(t, servers[1], "admin")}
		r.must(r.Follow(t.Context(), p.source(true)))
		p.must(p.BecomeSource(t.Context(), 1))
		p.must(p.Mark(t.Context(), 1, "db1", ""))
		p.must(p.OpenWrites(t.Context()))
		run, err := p.Process(t.Context())
		p.must(err)
		fill(t, disk)
		until(t, "no commit gets through", func() bool { return p.Canary(shortly(t), "db1") != nil })
		if n, err := p.CommitsWaitForAcks(shortly(t)); err == nil && n > 0 {
			t.Errorf("%d commits are said to wait for acknowledgements", n)
		}
		p.must(run.Kill())
		until(t, "it is gone", func() bool {
			select {
			case <-servers[0].Exited():
				return true
			default:
				return false
			}
		})
	})
}

package mysqld_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

// lonely is a primary whose only acker is gone and whose one commit waits, and that commit.
func lonely(t *testing.T, bin *lab.Binaries) (p, r *node, commit <-chan error) {
	all := reign(t, bin, 2)
	p, r = all[0], all[1]
	r.must(r.StopReceiver(t.Context()))
	until(t, "the acker is gone", func() bool { return p.status().SemiSync.ConnectedAckers == 0 })
	commit = p.background("INSERT INTO app.t VALUES (20, 0)")
	until(t, "the commit waits", func() bool { n, err := p.CommitsWaitForAcks(t.Context()); p.must(err); return n > 0 })
	return p, r, commit
}

func TestClosingFailsWhileACommitWaitsAndLeavesNothingBehind(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p, r, commit := lonely(t, bin)
		if err := p.CloseWrites(t.Context()); err == nil {
			t.Fatal("closed, although a commit waits")
		}
		if err := p.CloseWrites(shortly(t)); !errors.Is(err, context.DeadlineExceeded) && err == nil {
			t.Fatalf("closed, although a commit waits: %v", err)
		}
		until(t, "nobody is still closing the server", func() bool {
			return p.ask("SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%read_only = ON%' AND ID <> CONNECTION_ID()") == ""
		})
		if p.status().ReadOnly {
			t.Error("it failed to close, and is closed")
		}
		r.must(r.Follow(t.Context(), p.source(true)))
		p.must(<-commit)
		p.must(p.CloseWrites(t.Context()))
		if !p.status().ReadOnly {
			t.Error("closed and open")
		}
		if _, err := connect(t, p.lab, "app").ExecContext(t.Context(), "INSERT INTO app.t VALUES (21, 0)"); err == nil {
			t.Error("an application wrote to a closed server")
		}
		p.must(p.OpenWrites(t.Context()))
		if _, err := connect(t, p.lab, "app").ExecContext(t.Context(), "INSERT INTO app.t VALUES (21, 0)"); err != nil {
			t.Error(err)
		}
	})
}

func TestCutClientsSparesReplicationAndBaton(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p := all[0]
		app := connect(t, p.lab, "app")
		const dumps = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'"
		before := p.ask(dumps)
		p.must(p.Canary(t.Context(), "db1"))
		p.logout()
		p.must(p.CutClients(t.Context()))
		if err := app.PingContext(t.Context()); err == nil {
			t.Error("the application is still connected")
		}
		p.admin = connect(t, p.lab, "admin")
		if after := p.ask(dumps); after != before || before == "" {
			t.Errorf("dump threads: %q, then %q", before, after)
		}
		p.must(p.Canary(t.Context(), "db1"))
	})
}

func TestCuttingAWaitingClientNeverAnswersOK(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p, _, commit := lonely(t, bin)
		p.logout()
		p.must(p.CutClients(t.Context()))
		if err := <-commit; err == nil {
			t.Error("a commit that nobody acknowledged was answered with OK")
		}
	})
}

func TestCanaryTellsAWritePathThatWorks(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		p.must(p.Canary(t.Context(), "db1"))
		p.must(p.Canary(t.Context(), "db1"))
		if got := p.ask("SELECT n FROM baton.canary WHERE instance LIKE 'db1%'"); got != "2" {
			t.Errorf("canaries counted %q", got)
		}
		for _, closed := range []*node{r, p} {
			if closed == p {
				p.must(p.CloseWrites(t.Context()))
			}
			before := closed.status().Executed
			if err := closed.Canary(t.Context(), "db1"); err == nil {
				t.Errorf("%s: a canary was written to a closed server", closed.lab.Name())
			}
			if after := closed.status().Executed; !after.Equal(before) && closed == p {
				t.Errorf("the canary left %s", after.Minus(before))
			}
		}
	})
}

func TestStrandedCommitIsFreedByTheCanary(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p, r, commit := lonely(t, bin)
		for range 5 { // a canary that waits is not sent again and again
			if err := p.Canary(shortly(t), "db1"); err == nil {
				t.Fatal("a canary was acknowledged by nobody")
			}
		}
		if n, err := p.CommitsWaitForAcks(t.Context()); err != nil || n == 0 {
			t.Errorf("%d commits wait, %v", n, err)
		}
		if got := p.ask("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%baton.canary%' AND ID <> CONNECTION_ID()"); got != "1" {
			t.Errorf("%s canaries wait", got)
		}
		// The replica gets the events without acknowledging them, and acknowledges from then on.
		r.must(r.Follow(t.Context(), p.source(false)))
		until(t, "received in silence", func() bool {
			return r.ask("SELECT (SELECT COUNT(*) FROM app.t WHERE id = 20) + (SELECT COUNT(*) FROM baton.canary)") == "2"
		})
		r.must(r.Follow(t.Context(), p.source(true)))
		if p.status().Flavor == mysqld.MySQL {
			p.must(p.Canary(t.Context(), "db1"))
			p.must(<-commit)
			return
		}
		// MariaDB writes no third group of commits while two wait: what frees them is the proof that they are held.
		if n, err := p.ReleaseHeld(t.Context(), mysqld.GTIDSet{}); n != 0 || err != nil {
			t.Errorf("without proof %d released, %v", n, err)
		}
		until(t, "the canary is acknowledged", func() bool {
			_, err := p.ReleaseHeld(t.Context(), r.status().Position())
			p.must(err)
			return p.Canary(shortly(t), "db1") == nil
		})
		t.Log(<-commit) // with an error or without: it is held
	})
}

func TestStatusAnswersWhileCommitsWait(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p, _, _ := lonely(t, bin)
		st := p.status()
		if st.ReadOnly || st.SemiSync.Waiting == 0 || st.SemiSync.ConnectedAckers != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestStatusOfAFrozenServerFailsInTime(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p := nodes(t, bin, 1)[0]
		server, err := mysqld.Open(mysqld.Config{Socket: p.lab.Socket(), User: "baton", Password: "baton"})
		p.must(err)
		_, err = server.Status(t.Context())
		p.must(err)
		p.must(p.lab.Freeze())
		if _, err := server.Status(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a warm connection: %v", err)
		}
		if _, err := server.Status(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a new connection: %v", err)
		}
		p.must(p.lab.Thaw())
		until(t, "it answers again", func() bool { _, err := server.Status(t.Context()); return err == nil })
		p.must(p.lab.Freeze())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := server.Status(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a call that its caller gave up: %v", err)
		}
		p.must(p.lab.Thaw())
		until(t, "it answers once more", func() bool { _, err := server.Status(t.Context()); return err == nil })
		p.must(server.Close())
		if err := server.Canary(t.Context(), "db1"); err == nil {
			t.Error("a closed Server commits")
		}
	})
}

func TestHeardChangesWithEveryHeartbeat(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		for range 3 {
			before := r.status().Replication.Heard
			until(t, "a heartbeat is heard", func() bool { return r.status().Replication.Heard != before })
		}
		p.must(p.lab.Freeze())
		last, since := "", time.Now()
		until(t, "nothing is heard of a frozen source", func() bool {
			if now := r.status().Replication.Heard; now != last {
				last, since = now, time.Now()
			}
			return time.Since(since) > time.Second
		})
		r.must(r.StopReceiver(t.Context()))
		p.must(p.lab.Thaw())
	})
}

func TestServerIsFoundAgainAfterARestart(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p := all[0]
		first := p.status()
		p.must(p.lab.Crash())
		if _, err := p.Status(t.Context()); err == nil {
			t.Error("a dead server has a status")
		}
		p.must(p.lab.Start(t.Context()))
		st := p.status()
		if st.UUID != first.UUID || !st.ReadOnly || st.SemiSync.SourceEnabled || !st.Executed.Contains(first.Executed) {
			t.Errorf("before %+v, after %+v", first, st)
		}
		p.must(p.BecomeSource(t.Context(), 1))
	})
}

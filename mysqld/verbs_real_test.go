package mysqld_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

func TestMarkReturnsOnlyWhenAcknowledged(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := nodes(t, bin, 2)
		p, r := all[0], all[1]
		p.must(p.BecomeSource(t.Context(), 1))
		if st := p.status(); !st.ReadOnly || !st.SemiSync.SourceEnabled || !st.SemiSync.SourceWaits || st.SemiSync.K != 1 || st.SemiSync.WaitPoint != "AFTER_SYNC" || !st.SemiSync.WaitNoReplica {
			t.Fatalf("a source: %+v", st)
		}
		if err := p.Mark(shortly(t), 1, "db1", "base"); err == nil {
			t.Fatal("a marker was acknowledged by nobody")
		}
		r.must(r.Follow(t.Context(), p.source(true)))
		p.must(p.Mark(t.Context(), 1, "db1", "base"))
		r.must(r.WaitApplied(t.Context(), p.status().Executed))
		epoch, instance, err := r.ReadMark(t.Context())
		if epoch != 1 || instance != "db1" || err != nil {
			t.Errorf("the replica reads epoch %d of %q, %v", epoch, instance, err)
		}
		if !p.status().ReadOnly {
			t.Error("writing the marker opened the server")
		}
		if err := p.Mark(t.Context(), 0, "db1", ""); !errors.Is(err, mysqld.ErrNewerMark) {
			t.Errorf("an older marker: %v", err)
		}
	})
}

func TestMarkIsAcknowledgedAnewEachTime(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		r.must(r.StopReceiver(t.Context()))
		p.must(p.CloseWrites(t.Context()))
		until(t, "the acker is gone", func() bool { return p.status().SemiSync.ConnectedAckers == 0 })
		if err := p.Mark(shortly(t), 1, "db1", ""); err == nil {
			t.Error("the marker that was there already passed for an acknowledged one")
		}
	})
}

func TestMarkRefusesWhereItWouldProveNothing(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p := nodes(t, bin, 1)[0]
		if err := p.Mark(t.Context(), 1, "db1", ""); !errors.Is(err, mysqld.ErrNotAcked) {
			t.Errorf("without semi-sync: %v", err)
		}
		p.must(p.MarkAlone(t.Context(), 1, "db1", ""))
		if err := p.OpenWrites(t.Context()); !errors.Is(err, mysqld.ErrNotSource) {
			t.Errorf("open a server whose commits wait for nobody: %v", err)
		}
		p.must(p.BecomeSource(t.Context(), 1))
		p.must(p.OpenWrites(t.Context()))
		if err := p.MarkAlone(t.Context(), 2, "db1", ""); !errors.Is(err, mysqld.ErrOpen) {
			t.Errorf("on an open server: %v", err)
		}
		if err := p.BecomeSource(t.Context(), 1); !errors.Is(err, mysqld.ErrOpen) {
			t.Errorf("become a source while open: %v", err)
		}
	})
}

func TestMarkerThatAnAckerGotSilentlyIsHelpedOn(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := nodes(t, bin, 2)
		p, r := all[0], all[1]
		p.must(p.BecomeSource(t.Context(), 1))
		r.must(r.Follow(t.Context(), p.source(false)))
		marked := make(chan error, 1)
		var wait = func() { marked <- p.Mark(t.Context(), 1, "db1", "") }
		done := inBackground(t, wait)
		until(t, "received without an acknowledgement", func() bool { return !r.status().Received.IsEmpty() })
		r.must(r.Follow(t.Context(), p.source(true)))
		p.must(<-marked)
		<-done
	})
}

func TestWhatWasReceivedSurvivesTheFence(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		release := r.hold()
		want := r.receive(p, 10)
		p.must(p.lab.Kill())
		r.must(r.StopReceiver(t.Context()))
		r.must(r.FenceReceiver(t.Context(), "7"))
		r.must(r.StopReceiver(t.Context()))
		r.must(r.FenceReceiver(t.Context(), "7"))
		st := r.status()
		if !st.Position().Contains(want) || st.Executed.Contains(want) || st.Replication.Receiver != mysqld.ReceiverStopped {
			t.Fatalf("fenced: %+v, replication %+v", st, st.Replication)
		}
		if host := st.Replication.SourceHost; (st.Flavor == mysqld.MySQL) != (host == "fenced-7.invalid") {
			t.Errorf("source %q", host)
		}
		again := opened(t, r.lab) // another agent
		if err := again.WaitApplied(shortly(t), want); err == nil {
			t.Error("what is held counts as applied")
		}
		release()
		r.must(again.WaitApplied(t.Context(), want))
		r.must(again.BecomeSource(t.Context(), 1))
		if got := r.ask("SELECT COUNT(*) FROM app.t WHERE id = 10"); got != "1" {
			t.Errorf("%s rows, want the acknowledged one", got)
		}
	})
}

func TestWhatWasReceivedSurvivesAStoppedApplier(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		r.exec("STOP REPLICA SQL_THREAD")
		want := r.receive(p, 10)
		p.must(p.lab.Freeze())
		r.must(r.StopReceiver(t.Context()))
		r.must(r.FenceReceiver(t.Context(), "8"))
		r.must(r.WaitApplied(t.Context(), want))
		r.must(r.BecomeSource(t.Context(), 1))
		if got := r.ask("SELECT COUNT(*) FROM app.t WHERE id = 10"); got != "1" {
			t.Errorf("%s rows, want the acknowledged one", got)
		}
		p.must(p.lab.Thaw())
	})
}

func TestANewSourceForgetsNothingThatItReceived(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		r.exec("STOP REPLICA SQL_THREAD")
		want := r.receive(p, 10)
		r.must(r.BecomeSource(t.Context(), 1)) // nobody was fenced, and nobody has waited
		if st := r.status(); !st.Executed.Contains(want) || st.Replication != nil || !st.SemiSync.SourceWaits {
			t.Errorf("%s is missing: %+v", want, st)
		}
		if got := r.ask("SELECT COUNT(*) FROM app.t WHERE id = 10"); got != "1" {
			t.Errorf("%s rows, want the acknowledged one", got)
		}
	})
}

func TestWhatWasReceivedAndARestartOfTheServer(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		r.hold()
		want := r.receive(p, 10)
		p.must(p.lab.Kill())
		r.must(r.StopReceiver(t.Context()))
		r.must(r.FenceReceiver(t.Context(), "9"))
		before, err := r.Process(t.Context())
		r.must(err)
		r.must(r.lab.Crash())
		r.must(r.lab.Start(t.Context()))
		until(t, "it answers", func() bool { _, err := r.Status(t.Context()); return err == nil })
		after, err := r.Process(t.Context())
		r.must(err)
		if before.Incarnation() == after.Incarnation() {
			t.Errorf("two runs are both %s", before.Incarnation())
		}
		switch err := r.WaitApplied(t.Context(), want); r.status().Flavor {
		case mysqld.MySQL:
			r.must(err)
		case mysqld.MariaDB:
			// Starting any thread would delete it; that decision is not taken here.
			if !errors.Is(err, mysqld.ErrApplierStopped) {
				t.Errorf("got %v", err)
			}
			if !r.status().Replication.Applier && r.status().Executed.Contains(want) {
				t.Error("applied by nobody")
			}
		}
	})
}

func TestFollowKeepsWhatWasReceived(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 3)
		p, winner, r := all[0], all[1], all[2]
		release := r.hold()
		want := r.receive(p, 10)
		p.must(p.CloseWrites(t.Context()))
		winner.must(winner.StopReceiver(t.Context()))
		winner.must(winner.WaitApplied(t.Context(), want))
		winner.must(winner.BecomeSource(t.Context(), 1))
		done := inBackground(t, func() {
			if err := r.Follow(t.Context(), winner.source(true)); err != nil {
				t.Error(err)
			}
		})
		if r.status().Flavor == mysqld.MySQL {
			<-done // without waiting for the applier
			if !r.status().Position().Contains(want) || r.status().Executed.Contains(want) {
				t.Error("the relay log was lost on the way")
			}
		}
		release()
		<-done
		winner.must(winner.Mark(t.Context(), 2, "db2", want.String()))
		winner.must(winner.OpenWrites(t.Context()))
		winner.exec("INSERT INTO app.t VALUES (11, 0)")
		r.must(r.WaitApplied(t.Context(), winner.status().Executed))
		if got := r.ask("SELECT id FROM app.t ORDER BY id"); got != "1\n10\n11" {
			t.Errorf("rows %q", got)
		}
	})
}

func TestFormerPrimaryFollows(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 3)
		for epoch := uint64(2); epoch <= 4; epoch++ { // round and back to a server that has reigned before
			p, next, other := all[(epoch-2)%3], all[(epoch-1)%3], all[epoch%3]
			p.must(p.CloseWrites(t.Context()))
			base := p.status().Position()
			next.must(next.StopReceiver(t.Context()))
			next.must(next.FenceReceiver(t.Context(), fmt.Sprint(epoch)))
			other.must(other.StopReceiver(t.Context()))
			other.must(other.FenceReceiver(t.Context(), fmt.Sprint(epoch)))
			next.must(next.WaitApplied(t.Context(), base))
			next.must(next.BecomeSource(t.Context(), 1))
			other.must(other.Follow(t.Context(), next.source(true)))
			next.must(next.Mark(t.Context(), epoch, next.lab.Name(), base.String()))
			next.must(next.OpenWrites(t.Context()))
			p.must(p.Follow(t.Context(), next.source(true)))
			next.exec(fmt.Sprintf("INSERT INTO app.t VALUES (%d, 0)", 100+epoch))
			for _, r := range []*node{p, other} {
				r.must(r.WaitApplied(t.Context(), next.status().Executed))
				st := r.status()
				if st.SemiSync.SourceEnabled || !st.SemiSync.ReplicaEnabled || !st.ReadOnly || !st.Replication.Applier {
					t.Errorf("%s follows: %+v, %+v", r.lab.Name(), st, st.Replication)
				}
				if !st.Position().Equal(next.status().Position()) {
					t.Errorf("%s holds %s, its primary %s", r.lab.Name(), st.Position(), next.status().Position())
				}
			}
		}
	})
}

func TestFollowLeavesAReplicaAloneThatFollowsAlready(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		const dumps = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'"
		before := p.ask(dumps)
		r.must(r.Follow(t.Context(), p.source(true)))
		if after := p.ask(dumps); after != before || before == "" {
			t.Errorf("connections of the replica: %q, then %q", before, after)
		}
		r.must(r.Follow(t.Context(), p.source(false)))
		until(t, "the replica no longer acknowledges", func() bool {
			return p.status().SemiSync.ConnectedAckers == 0 && r.status().Replication.Receiver == mysqld.ReceiverRunning
		})
	})
}

func TestSourcePositionFindsErrantTransactions(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		errant := func() mysqld.GTIDSet {
			own := r.status().Position()
			theirs, err := r.SourcePosition(t.Context(), p.source(true))
			r.must(err)
			return own.Minus(theirs)
		}
		if e := errant(); !e.IsEmpty() {
			t.Errorf("a true copy has extra transactions: %s", e)
		}
		r.exec("SET GLOBAL read_only = 0", "CREATE TABLE app.astray (id INT PRIMARY KEY)")
		st := r.status()
		key := st.UUID
		if st.Flavor == mysqld.MariaDB {
			key = fmt.Sprint(st.ServerID)
		}
		if e := errant(); e.IsEmpty() || !e.Only(key).Equal(e) {
			t.Errorf("extra transactions %q, want one of %s", e, key)
		}
	})
}

func TestASourceSaysToTheAccountOfReplicationWhetherItTakesWrites(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		closed := func() bool {
			got, err := r.SourceClosed(t.Context(), p.source(true))
			r.must(err)
			return got
		}
		if closed() {
			t.Error("an open source is called closed")
		}
		p.must(p.CloseWrites(t.Context()))
		if !closed() {
			t.Error("a closed source is called open")
		}
		p.must(p.lab.Kill())
		if got, err := r.SourceClosed(t.Context(), p.source(true)); err == nil || got {
			t.Errorf("a dead source is called closed (%t, %v)", got, err)
		}
	})
}

func TestRequireAcksReleasesByDecisionOnly(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		r.must(r.StopReceiver(t.Context()))
		commit := p.background("INSERT INTO app.t VALUES (20, 0)")
		until(t, "the commit waits", func() bool { n, err := p.CommitsWaitForAcks(t.Context()); p.must(err); return n > 0 })
		if err := p.Follow(t.Context(), r.source(true)); err == nil {
			t.Error("a primary whose commits wait became a replica")
		}
		select {
		case err := <-commit:
			t.Fatalf("the commit was answered with %v", err)
		default:
		}
		p.must(p.RequireAcks(t.Context(), 0))
		p.must(<-commit)
		p.must(p.RequireAcks(t.Context(), 1))
		if st := p.status().SemiSync; !st.SourceWaits {
			t.Errorf("commits do not wait again: %+v", st)
		}
	})
}

// inBackground runs f and returns a channel that is closed at its end.
func inBackground(t *testing.T, f func()) <-chan struct{} {
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		f()
	}()
	return done
}

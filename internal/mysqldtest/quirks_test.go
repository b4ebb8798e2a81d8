package mysqldtest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
)

// trio is db1 open and asking for k acknowledgements, and db2 and db3 following it with acknowledgements.
type trio struct {
	*testing.T
	*mysqldtest.Group
	db1, db2, db3 *mysqldtest.Server
	answered      []mysqldtest.Txn
}

func newTrio(t *testing.T, flavor mysqld.Flavor, k int) *trio {
	t.Helper()
	g := mysqldtest.NewGroup(flavor, 3)
	s := g.Servers()
	x := &trio{T: t, Group: g, db1: s[0], db2: s[1], db3: s[2]}
	g.OnAck = func(_ *mysqldtest.Server, txn mysqldtest.Txn) { x.answered = append(x.answered, txn) }
	x.ok(x.db1.BecomeSource(t.Context(), k))
	x.ok(x.db1.OpenWrites(t.Context()))
	x.ok(x.db2.Follow(t.Context(), to(x.db1)))
	x.ok(x.db3.Follow(t.Context(), to(x.db1)))
	return x
}

func to(s *mysqldtest.Server) mysqld.Source {
	return mysqld.Source{Host: s.Host, Port: s.Port, SemiSync: true}
}

func (x *trio) ok(err error) {
	x.Helper()
	if err != nil {
		x.Fatal(err)
	}
}

func (x *trio) commit() mysqldtest.Txn {
	x.Helper()
	txn, ok := x.Commit(x.db1)
	if !ok {
		x.Fatal("db1 takes no writes")
	}
	return txn
}

func look(s *mysqldtest.Server) mysqld.Status {
	o := mysqldtest.NewObserver(s, time.Now)
	o.Look()
	return o.Latest().Status
}

func flavors(t *testing.T, run func(*testing.T, mysqld.Flavor)) {
	for _, f := range []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB} {
		t.Run(string(f), func(t *testing.T) { run(t, f) })
	}
}

func TestACommitIsAnsweredWhenEnoughReplicasHaveIt(t *testing.T) {
	x := newTrio(t, mysqld.MySQL, 2)
	txn := x.commit()
	x.Deliver(x.db2)
	x.Ack(x.db1)
	if len(x.answered) > 0 || slices.Contains(x.db1.Visible(), txn) {
		t.Fatal("one acknowledgement of two was enough")
	}
	x.Deliver(x.db3)
	x.Ack(x.db1)
	if !slices.Equal(x.answered, []mysqldtest.Txn{txn}) {
		t.Errorf("answered %v", x.answered)
	}
	if slices.Contains(x.db2.Log(), txn) || !x.db2.Holds(txn) {
		t.Error("a replica acknowledges before it applies")
	}
}

func TestWhatNobodyAcknowledgedIsVisibleAfterARestart(t *testing.T) {
	flavors(t, func(t *testing.T, f mysqld.Flavor) {
		x := newTrio(t, f, 1)
		txn := x.commit()
		x.db1.Crash()
		x.db1.Start()
		if len(x.answered) > 0 || !slices.Contains(x.db1.Visible(), txn) || x.db1.Open() {
			t.Errorf("answered %v visible %v open %t", x.answered, x.db1.Visible(), x.db1.Open())
		}
	})
}

func TestAWaitingTransactionIsExecutedOnMariaDBOnly(t *testing.T) {
	flavors(t, func(t *testing.T, f mysqld.Flavor) {
		x := newTrio(t, f, 1)
		x.commit()
		if got := look(x.db1).Executed.IsEmpty(); got != (f == mysqld.MySQL) {
			t.Errorf("executed is empty: %t", got)
		}
	})
}

func TestARestartMayLoseTheRelayLog(t *testing.T) {
	for _, c := range []struct {
		flavor   mysqld.Flavor
		recovery bool
		kept     bool
	}{{mysqld.MySQL, false, true}, {mysqld.MySQL, true, false}, {mysqld.MariaDB, false, false}} {
		x := newTrio(t, c.flavor, 1)
		x.RelayLogRecovery = c.recovery
		txn := x.commit()
		x.Deliver(x.db2)
		x.db2.Crash()
		x.db2.Start()
		if got := x.db2.Holds(txn); got != c.kept {
			t.Errorf("%s recovery %t: kept %t", c.flavor, c.recovery, got)
		}
	}
}

func TestAnAcknowledgementOnItsWayOutlivesTheReplica(t *testing.T) {
	x := newTrio(t, mysqld.MySQL, 1)
	txn := x.commit()
	x.Deliver(x.db2)
	x.db2.Crash()
	x.Ack(x.db1)
	if !slices.Equal(x.answered, []mysqldtest.Txn{txn}) {
		t.Errorf("answered %v", x.answered)
	}
}

func TestAFenceOutlivesAHumanOnMySQLOnly(t *testing.T) {
	flavors(t, func(t *testing.T, f mysqld.Flavor) {
		x := newTrio(t, f, 1)
		x.ok(x.db2.StopReceiver(t.Context()))
		x.ok(x.db2.FenceReceiver(t.Context(), "2"))
		txn := x.commit()
		if x.Deliver(x.db2) {
			t.Fatal("a stopped receiver fetched")
		}
		x.db2.HumanStarts()
		x.Deliver(x.db2)
		if got := x.db2.Holds(txn); got != (f == mysqld.MariaDB) {
			t.Errorf("it fetched: %t", got)
		}
	})
}

func TestErrantTransactionsAreTakenBySilenceOnMySQLAndRefusedByMariaDB(t *testing.T) {
	flavors(t, func(t *testing.T, f mysqld.Flavor) {
		x := newTrio(t, f, 1)
		x.commit() // nobody gets it
		x.db1.Crash()
		x.db1.Start()
		x.ok(x.db2.BecomeSource(t.Context(), 1))
		x.ok(x.db3.Follow(t.Context(), to(x.db2)))
		x.ok(x.db2.OpenWrites(t.Context()))
		txn, _ := x.Commit(x.db2)
		x.ok(x.db1.Follow(t.Context(), to(x.db2)))
		x.Settle()
		if got := x.db1.Holds(txn); got != (f == mysqld.MySQL) {
			t.Errorf("joined: %t, %+v", got, look(x.db1).Replication)
		}
	})
}

func TestAFrozenServerGoesOnWhereItWas(t *testing.T) {
	x := newTrio(t, mysqld.MySQL, 1)
	txn := x.commit()
	x.Deliver(x.db2)
	x.db1.Freeze()
	if x.Ack(x.db1) || !errors.Is(x.db1.CloseWrites(t.Context()), mysqldtest.ErrDown) {
		t.Fatal("a frozen server did something")
	}
	x.db1.Thaw()
	x.Ack(x.db1)
	if !slices.Contains(x.answered, txn) {
		t.Error("the acknowledgement was lost")
	}
}

func TestAServerOnWhichCommitsWaitNeitherClosesNorFollows(t *testing.T) {
	x := newTrio(t, mysqld.MySQL, 1)
	x.commit()
	if err := x.db1.CloseWrites(t.Context()); !errors.Is(err, mysqldtest.ErrRefused) {
		t.Errorf("close: %v", err)
	}
	if err := x.db1.Follow(t.Context(), to(x.db2)); !errors.Is(err, mysqldtest.ErrRefused) || len(x.answered) > 0 {
		t.Errorf("follow: %v, answered %v", err, x.answered)
	}
}

func TestAMarkerWaitsForAcknowledgementsAndNeedsAClosedServer(t *testing.T) {
	x := newTrio(t, mysqld.MySQL, 1)
	if err := x.db1.Mark(t.Context(), 2, "db1", ""); !errors.Is(err, mysqldtest.ErrRefused) {
		t.Errorf("open: %v", err)
	}
	x.ok(x.db1.CloseWrites(t.Context()))
	if err := x.db1.Mark(t.Context(), 2, "db1", ""); !errors.Is(err, mysqldtest.ErrWaits) {
		t.Errorf("before the acknowledgement: %v", err)
	}
	x.Settle()
	x.ok(x.db1.Mark(t.Context(), 2, "db1", ""))
	if n := len(x.db1.Log()); n != 1 || len(x.answered) > 0 {
		t.Errorf("%d transactions, answered %v: want one marker, and no client", n, x.answered)
	}
}

func TestARelayLogIsAppliedBeforeItIsForgotten(t *testing.T) {
	flavors(t, func(t *testing.T, f mysqld.Flavor) {
		x := newTrio(t, f, 1)
		txn := x.commit()
		x.Deliver(x.db2)
		x.ok(x.db2.StopReceiver(t.Context()))
		if err := x.db2.BecomeSource(t.Context(), 1); !errors.Is(err, mysqldtest.ErrWaits) {
			t.Errorf("become source: %v", err)
		}
		x.Settle()
		x.ok(x.db2.BecomeSource(t.Context(), 1))
		if !slices.Contains(x.db2.Visible(), txn) {
			t.Errorf("%s is gone", txn)
		}
	})
}

func TestAKillEndsOnlyTheProcessThatWasSeen(t *testing.T) {
	g := mysqldtest.NewGroup(mysqld.MySQL, 1)
	s := g.Servers()[0]
	o := mysqldtest.NewObserver(s, time.Now)
	o.Look()
	s.Crash()
	s.Start()
	if err := o.Kill(); err != nil || !s.Running() {
		t.Errorf("killed a process it had not seen: %v", err)
	}
	if got := o.Refresh(context.Background()); got.Incarnation != "db1-2" {
		t.Errorf("sees %s", got.Incarnation)
	}
	if err := o.Kill(); err != nil || s.Running() {
		t.Errorf("did not kill: %v", err)
	}
}

package promote

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
)

func TestAnApplierThatSomebodyStoppedIsStartedBesideARunningReceiver(t *testing.T) {
	d := group(3).d
	idle := but(following(d, "db3", db1at, Acknowledges), func(l *Local) { l.Idle = true })
	if got := Next(d, "db3", idle); got.Verb != Apply {
		t.Errorf("%+v", got)
	}
	if got := Next(d, "db3", but(idle, func(l *Local) { l.CaughtUp = false })); got.Verb != Apply {
		t.Errorf("with something to measure: %+v", got)
	}
	if got := Next(d, "db3", but(idle, func(l *Local) { l.Receiving = false })); got.Verb == Apply {
		t.Errorf("with its receiver stopped as well: %+v", got)
	}
	paused := group(3).d
	paused.Policy.Paused = true
	if got := Next(paused, "db3", idle); got.Verb == Apply {
		t.Errorf("paused, for a backup: %+v", got)
	}
	for name, c := range map[string]struct {
		r    mysqld.Replication
		want bool
	}{
		"stopped by hand":    {mysqld.Replication{Receiver: mysqld.ReceiverRunning}, true},
		"it runs":            {mysqld.Replication{Receiver: mysqld.ReceiverRunning, Applier: true}, false},
		"by an error":        {mysqld.Replication{Receiver: mysqld.ReceiverRunning, ApplierErrorNumber: 1062}, false},
		"both are stopped":   {mysqld.Replication{Receiver: mysqld.ReceiverStopped}, false},
		"a receiver that is": {mysqld.Replication{Receiver: mysqld.ReceiverConnecting}, false},
	} {
		if got := c.r.ApplierIdle(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAGuardStartsAnApplierThatSomebodyStopped(t *testing.T) {
	both(t, func(t *testing.T, flavor mysqld.Flavor) {
		guarding(t, flavor, func(t *testing.T, w *ward) {
			w.reign("db1")
			w.acknowledged("db1")
			db3 := w.at("db3")
			before := db3.guard.Report()
			db3.HumanStopsApplier()
			w.until("it is seen", func() bool { return !db3.eyes.Latest().Status.Replication.Applier })
			w.until("it runs", func() bool { return db3.eyes.Latest().Status.Replication.Applier })
			if r := db3.guard.Report(); r.Amnesiac || r.CaughtUp != before.CaughtUp {
				t.Errorf("its memory: %+v", r)
			}
		})
	})
}

// A replica that never gets what its primary had when it connected does not acknowledge, and somebody has to be told.
func TestAMeasureThatDoesNotEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mysqldtest.NewGroup(mysqld.MySQL, 2).Servers()[0]
		g := guardWith(GuardConfig{Instance: "db1"}, &paper{}, s, mysqldtest.NewObserver(s, time.Now), nil)
		g.note(func(r *health.Guard) { r.Doing = "measure: still lacks 0-1-9" })
		stuck := func(v Verb) string { g.watchMeasure(v, time.Now()); return g.Report().Stuck }
		stuck(Measure)
		time.Sleep(StuckAfter - time.Second)
		if got := stuck(Measure); got != "" {
			t.Errorf("at once: %q", got)
		}
		time.Sleep(time.Second)
		if got := stuck(Measure); !strings.Contains(got, "0-1-9") {
			t.Errorf("after %s: %q", StuckAfter, got)
		}
		if got := stuck(Wait); got != "" {
			t.Errorf("it is over: %q", got)
		}
		time.Sleep(StuckAfter)
		if got := stuck(Measure); got != "" {
			t.Errorf("it has just begun again: %q", got)
		}
	})
}

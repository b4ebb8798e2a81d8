package health_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// A server that was started after the primary's host had died never hears it. When that server comes to lead, its own
// probe and the deaf ackers are all there is to know, and must be enough.
func TestAPrimaryThatWasNeverHeardIsReplaced(t *testing.T) {
	d := &registry.Database{Name: "orders", Policy: registry.DefaultPolicy(), Epoch: 1, Phase: registry.Serving, Primary: "db1",
		Ackers: []registry.InstanceID{"db2", "db3"}, K: 1, Durability: registry.Lossless}
	for _, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		d.Members = append(d.Members, registry.Member{ID: id, Flavor: registry.MySQL, Preference: registry.Normal})
	}
	for _, c := range []struct {
		probe health.Probe
		ends  bool
	}{{health.ProbeDead, true}, {health.ProbeAlive, false}, {health.ProbeRefusing, false}} {
		t.Run(string(c.probe), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				board := health.NewBoard()
				time.Sleep(time.Minute) // in the bubble: nobody is heard meanwhile
				for _, id := range d.Ackers {
					board.Receive(health.Report{Database: d.Name, Instance: id, Boot: "b", Seq: 1, Process: health.ProcessRunning, ReadOnly: true,
						Replication: &health.Replication{Receiver: "connecting", Applier: true, SilenceMillis: 60_000}, Guard: health.Guard{Promise: 1, Follows: 1}})
				}
				board.Probed(d.Name, "db1", c.probe)
				clock := decide.Clock{Watching: time.Minute, InPhase: time.Minute}
				decision := decide.Decide(d, board.View(d.Name), decide.DefaultRules(), clock)
				revoke, ok := decision.Command.(*registry.Revoke)
				if ok != c.ends || ok && revoke.Cause.Code != decide.PrimarySilent {
					t.Errorf("probe %s: command %#v, waiting for %s", c.probe, decision.Command, decision.Waiting)
				}
			})
		})
	}
}

func TestAnInstanceThatWasOnlyProbedIsAsOldAsTheBoardAndWasNeverHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := health.NewBoard()
		time.Sleep(time.Minute) // in the bubble
		board.Probed("orders", "db1", health.ProbeDead)
		h, ok := board.View("orders")["db1"]
		if !ok || h.Ever() || h.Age != time.Minute || h.Probed != health.ProbeDead {
			t.Errorf("known %t, heard %t, age %s, probe %q", ok, h.Ever(), h.Age, h.Probed)
		}
		time.Sleep(time.Second) // in the bubble
		board.Receive(health.Report{Database: "orders", Instance: "db1", Boot: "b", Seq: 1})
		if h := board.View("orders")["db1"]; !h.Ever() || h.Age != 0 || h.Probed != "" {
			t.Errorf("heard %t, age %s, probe %q, which is older than the report", h.Ever(), h.Age, h.Probed)
		}
	})
}

func TestAnAnsweredProbeOutweighsThoseThatFailInTheNextSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := health.NewBoard()
		probed := func() health.Probe { return b.View("orders")["db1"].Probed }
		b.Probed("orders", "db1", health.ProbeDead)
		if probed() != health.ProbeDead {
			t.Error("one that fails first says nothing")
		}
		b.Probed("orders", "db1", health.ProbeAlive)
		time.Sleep(900 * time.Millisecond) // in the bubble
		b.Probed("orders", "db1", health.ProbeDead)
		if probed() != health.ProbeAlive {
			t.Error("a lost packet makes a server dead that answered 0.9 s ago")
		}
		time.Sleep(200 * time.Millisecond)
		b.Probed("orders", "db1", health.ProbeDead)
		if probed() != health.ProbeDead {
			t.Error("it answered 1.1 s ago, and is not dead")
		}
	})
}

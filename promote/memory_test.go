package promote

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/registry"
)

// paper keeps a record in memory.
type paper struct{ r promise.Record }

func (p *paper) Record() promise.Record      { return p.r }
func (p *paper) Save(r promise.Record) error { p.r = r; return nil }
func (p *paper) Close() error                { return nil }

// acker is the server of a replica, without a loop and a clock; db1 or db2 is whom it follows.
type acker struct {
	t      *testing.T
	group  *mysqldtest.Group
	server *mysqldtest.Server
	eyes   *mysqldtest.Observer
	paper  *paper
	guard  *Driven
}

func newAcker(t *testing.T, flavor mysqld.Flavor) *acker {
	g := mysqldtest.NewGroup(flavor, 3)
	g.RelayLogRecovery = true
	a := &acker{t: t, group: g, server: g.Servers()[2], paper: &paper{promise.Record{File: "file-db3", Promise: 2}}}
	a.agent()
	for _, s := range g.Servers()[:2] {
		if err := s.BecomeSource(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// agent starts another agent.
func (a *acker) agent() {
	a.eyes = mysqldtest.NewObserver(a.server, func() time.Time { return time.Unix(1, 0) })
	a.eyes.Look()
	a.guard = NewDriven(GuardConfig{Database: "orders", Instance: "db3", Logger: slog.New(slog.DiscardHandler)}, a.paper, a.server, a.eyes)
}

func (a *acker) do(d *registry.Database, want Verb) {
	a.t.Helper()
	a.eyes.Look()
	s := a.guard.Next(d)
	if s.Verb != want {
		a.t.Fatalf("%s (%s), want %s", s.Verb, s.Why, want)
	}
	if _, err := a.guard.Perform(context.Background(), d, s); err != nil {
		a.t.Fatal(err)
	}
}

func (a *acker) amnesiac(want bool, when string) {
	a.t.Helper()
	a.eyes.Look()
	if got := a.guard.Report().Amnesiac; got != want {
		a.t.Errorf("%s: amnesiac %t, want %t", when, got, want)
	}
}

func reigns(flavor mysqld.Flavor, s *scene) *registry.Database {
	s.d.Base = ""
	for i := range s.d.Members {
		s.d.Members[i].Flavor, s.d.Members[i].ServerID = registry.Flavor(flavor), uint32(i+1)
	}
	return s.d
}

// An agent that was started again beside a server that was too sees an old state, and is told to follow the winner of the
// same epoch: what the process before acknowledged is gone.
func TestAServerThatFollowedBeforeInTheEpochIsNotWhole(t *testing.T) {
	for _, flavor := range []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB} {
		d := reigns(flavor, group(3).promoting())
		a := newAcker(t, flavor)
		a.do(d, Follow)
		if flavor == mysqld.MariaDB {
			a.amnesiac(true, "nobody has seen since when its threads run")
			a.do(d, Measure)
		}
		a.amnesiac(false, string(flavor)+" follows from the base")
		a.server.Crash()
		a.server.Start()
		a.agent()
		a.do(d, Follow)
		a.amnesiac(true, string(flavor)+" follows again")
	}
}

func TestAnAgentThatIsKilledWhileItFollowsDoesNotBeginAnew(t *testing.T) {
	d := reigns(mysqld.MySQL, group(3).promoting())
	a := newAcker(t, mysqld.MySQL)
	spy := &spy{Server: a.server}
	spy.follow = func() { spy.written = a.paper.r }
	a.guard = NewDriven(a.guard.guard.cfg, a.paper, spy, a.eyes)
	a.do(d, Follow)
	if spy.written.Follows != 2 || spy.written.Whole == "" {
		t.Fatalf("when it was told to follow, this was written: %+v", spy.written)
	}
	a.server.Crash()
	a.server.Start()
	a.paper.r = spy.written // nothing after it was
	a.agent()
	a.do(d, Follow)
	a.amnesiac(true, "it followed before, and forgot")
}

// spy is a server of which somebody sees when it is told to follow.
type spy struct {
	*mysqldtest.Server
	follow  func()
	written promise.Record
}

func (s *spy) Follow(ctx context.Context, src mysqld.Source) error {
	s.follow()
	return s.Server.Follow(ctx, src)
}

func TestAMariaDBWhoseThreadsWereStartedByHandIsMeasuredAnew(t *testing.T) {
	d := reigns(mysqld.MariaDB, group(3))
	a := newAcker(t, mysqld.MariaDB)
	a.paper.r.Promise = 1
	a.agent()
	primary := a.group.Servers()[0]
	if err := primary.OpenWrites(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.group.Commit(primary)
	a.do(d, Rejoin)
	a.group.Settle()
	a.do(d, Measure)
	a.amnesiac(false, "it has everything")
	written, _ := a.group.Commit(primary)
	for !a.server.Holds(written) {
		a.group.Deliver(a.server)
	}
	a.server.HumanRestarts()
	a.amnesiac(true, "what it received was deleted")
	a.do(d, Measure)
	a.amnesiac(true, "it still lacks what it acknowledged")
	a.group.Settle()
	a.do(d, Measure)
	a.amnesiac(false, "it has everything again")
}

// Who moves has applied everything before its relay log is deleted, so it has everything that it acknowledged: a fence may
// count on it while the hand-over is being prepared, and it is not called back.
func TestAnAckerThatMovesRemembersWhatItAcknowledged(t *testing.T) {
	for _, flavor := range []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB} {
		d := reigns(flavor, group(3))
		a := newAcker(t, flavor)
		a.paper.r.Promise = 1
		a.agent()
		primary, wanted := a.group.Servers()[0], a.group.Servers()[1]
		if err := primary.OpenWrites(t.Context()); err != nil {
			t.Fatal(err)
		}
		src := mysqld.Source{Host: "10.0.0.1", Port: 3306, SemiSync: true}
		if err := wanted.Follow(t.Context(), src); err != nil {
			t.Fatal(err)
		}
		a.do(d, Rejoin)
		a.group.Commit(primary)
		a.group.Settle()
		a.do(d, Measure)
		a.amnesiac(false, string(flavor)+": it has everything")
		d.Handover = &registry.Handover{To: "db2", Movers: []registry.InstanceID{"db3"}, Cause: registry.Cause{Code: "Switchover"}}
		a.do(d, Move)
		a.amnesiac(false, string(flavor)+": it has moved")
		if s := a.guard.Next(d); s.Verb != Wait {
			t.Errorf("%s: it has moved, and next it is to %s: %s", flavor, s.Verb, s.Why)
		}
	}
}

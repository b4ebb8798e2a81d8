package promote

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// bench is a guard beside db3 of three servers, whose steps the test performs one by one.
type bench struct {
	*mysqldtest.Server
	group    *mysqldtest.Group
	guard    *Guard
	eyes     *mysqldtest.Observer
	between  func() // runs when the guard asks the primary for its position
	database *registry.Database
}

func (b *bench) SourcePosition(ctx context.Context, src mysqld.Source) (mysqld.GTIDSet, error) {
	if b.between != nil {
		b.between()
	}
	return b.Server.SourcePosition(ctx, src)
}

// onBench is db3 that has followed and acknowledged db1, in the epoch after: db2 reigns now.
func onBench(t *testing.T) *bench {
	t.Helper()
	g := mysqldtest.NewGroup(mysqld.MySQL, 3)
	all := g.Servers()
	b := &bench{Server: all[2], group: g, eyes: mysqldtest.NewObserver(all[2], time.Now)}
	b.database = group(3).with(func(d *registry.Database) {
		d.Epoch, d.Primary, d.Ackers = 2, "db2", []registry.InstanceID{"db3"}
	}).d
	for _, s := range all[:2] {
		if err := s.BecomeSource(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := all[0].OpenWrites(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := all[2].Follow(t.Context(), mysqld.Source{Host: all[0].Host, Port: all[0].Port, SemiSync: true}); err != nil {
		t.Fatal(err)
	}
	guard, err := NewGuard(GuardConfig{Database: "orders", Instance: "db3", Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}, b, b.eyes, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.guard = guard
	b.eyes.Look()
	return b
}

func (b *bench) rejoin(t *testing.T) error {
	t.Helper()
	m, _ := b.database.Member("db2")
	return b.guard.perform(t.Context(), b.database, Step{Verb: Rejoin, Source: m, Acks: Acknowledges})
}

// It would be applied after the primary was changed, silently.
func TestWhatWasReceivedAndNotAppliedDivergesToo(t *testing.T) {
	b := onBench(t)
	if _, ok := b.group.Commit(b.group.Servers()[0]); !ok || !b.group.Deliver(b.Server) {
		t.Fatal("nothing was received")
	}
	if err := b.rejoin(t); !errors.Is(err, ErrDiverged) {
		t.Errorf("%v, want ErrDiverged", err)
	}
}

func TestAReplicaThatRejoinsHearsNobodyMeanwhile(t *testing.T) {
	b := onBench(t)
	db1 := b.group.Servers()[0]
	b.between = func() {
		b.group.Commit(db1)
		b.group.Deliver(b.Server)
	}
	if err := b.rejoin(t); err != nil {
		t.Fatal(err)
	}
	if log := db1.Log(); len(log) == 0 || b.Holds(log[0]) {
		t.Error("after it was compared it went on receiving from the primary that is over")
	}
}

// A reign that is kept has no marker that would prove what its ackers have: what one has forgotten is still missing.
func TestFollowingAKeptReignMakesNoMemoryWhole(t *testing.T) {
	for proof, amnesiac := range map[registry.Proof]bool{registry.ProofKept: true, registry.ProofFenced: false} {
		b := onBench(t)
		b.database.Phase, b.database.Proof = registry.Promoting, proof
		m, _ := b.database.Member("db2")
		if err := b.guard.perform(t.Context(), b.database, Step{Verb: Follow, Source: m, Acks: Acknowledges}); err != nil {
			t.Fatal(err)
		}
		if r := b.guard.Report(); r.Amnesiac != amnesiac || r.CaughtUp == amnesiac {
			t.Errorf("proof %s: amnesiac %t caught up %t", proof, r.Amnesiac, r.CaughtUp)
		}
	}
}

// restarting is a server that dies and comes back while the marker is written: the new process asks nobody.
type restarting struct{ *bench }

func (r restarting) Mark(context.Context, uint64, string, string) error {
	r.Crash()
	r.Start()
	return nil
}

func TestAMarkerCountsOnlyInTheProcessThatAskedForAcknowledgements(t *testing.T) {
	b := onBench(t)
	b.database.Phase, b.database.Primary, b.database.Proof, b.database.NextK = registry.Promoting, "db3", registry.ProofFenced, 1
	b.database.Base = ""
	db2 := b.group.Servers()[1]
	b.group.Settle()
	b.guard.server = restarting{b}
	b.eyes.Look()
	// The first look makes it a source; then somebody connects.
	if err := b.guard.perform(t.Context(), b.database, Step{Verb: Lead}); !errors.Is(err, errNotYet) {
		t.Fatalf("%v, want not yet: nobody is connected", err)
	}
	if err := db2.Follow(t.Context(), mysqld.Source{Host: b.Host, Port: b.Port, SemiSync: true}); err != nil {
		t.Fatal(err)
	}
	if err := b.guard.perform(t.Context(), b.database, Step{Verb: Lead}); !errors.Is(err, errNotYet) {
		t.Fatalf("%v, want not yet", err)
	}
	b.eyes.Look()
	if r := b.guard.Report(); r.Marked != 0 {
		t.Errorf("marked %d", r.Marked)
	}
}

// What is fenced or closed is a process; the next one may have lost its relay log.
func TestAFenceHoldsForTheProcessThatWasFenced(t *testing.T) {
	b := onBench(t)
	d := group(3).fencing().d
	for _, v := range []Verb{Fence, Attest} {
		if err := b.guard.perform(t.Context(), d, Step{Verb: v}); err != nil {
			t.Fatal(err)
		}
	}
	if r, l := b.guard.Report(), b.guard.local(); r.Fenced != 2 || r.Closed != 2 || l.Fenced != 2 || l.Closed != 2 {
		t.Fatalf("report %+v local %+v, want fenced and closed for 2", r, l)
	}
	b.Crash()
	b.Start()
	b.eyes.Look()
	if r, l := b.guard.Report(), b.guard.local(); r.Fenced != 0 || r.Closed != 0 || r.FencedPosition != "" || !r.Amnesiac || l.Fenced != 0 || l.Closed != 0 {
		t.Errorf("after a restart: report %+v local %+v", r, l)
	}
}

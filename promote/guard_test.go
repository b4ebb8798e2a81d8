package promote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/registry"
)

// station is one server of a group with the guard beside it, run as the agent runs it.
type station struct {
	*mysqldtest.Server
	eyes  *mysqldtest.Observer
	guard *Guard
	dir   string
	stop  func()

	mu    sync.Mutex
	calls []string      // what was done to the server, each with the promise that was on disk then
	block chan struct{} // while set, Follow hangs until its context ends
}

// ward is a group under guard. Everything is done in a bubble; there is no leader: the test commits.
type ward struct {
	t        *testing.T
	group    *mysqldtest.Group
	feed     *registry.Feed
	stations []*station
}

func guarding(t *testing.T, flavor mysqld.Flavor, play func(t *testing.T, w *ward)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &ward{t: t, group: mysqldtest.NewGroup(flavor, 3)}
		d := &registry.Database{Name: "orders", Policy: registry.DefaultPolicy(), Phase: registry.Forming, Durability: registry.Lossless}
		for _, s := range w.group.Servers() {
			st := &station{Server: s, dir: t.TempDir()}
			st.eyes = mysqldtest.NewObserver(s, time.Now)
			w.stations = append(w.stations, st)
			d.Members = append(d.Members, registry.Member{ID: registry.InstanceID(s.ID), Node: registry.NodeID(s.ID), Address: s.Address(),
				ServerUUID: s.UUID(), ServerID: s.Number, Flavor: registry.Flavor(flavor), Preference: registry.Normal})
		}
		w.feed = registry.NewFeed(decoded(t, d))
		ctx, cancel := context.WithCancel(t.Context())
		var world sync.WaitGroup
		world.Go(func() { // the servers' own time
			for ctx.Err() == nil {
				w.group.Settle()
				for _, st := range w.stations {
					st.eyes.Look()
				}
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
		for _, st := range w.stations {
			w.start(st)
		}
		play(t, w)
		for _, st := range w.stations {
			st.stop()
		}
		cancel()
		world.Wait()
	})
}

// start starts the agent beside a server.
func (w *ward) start(st *station) {
	g, err := NewGuard(GuardConfig{Database: "orders", Instance: registry.InstanceID(st.ID), Dir: st.dir, Logger: slog.New(slog.DiscardHandler)},
		st, st.eyes, w.feed)
	if err != nil {
		w.t.Fatal(err)
	}
	st.guard = g
	ctx, cancel := context.WithCancel(w.t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		if err := g.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	st.stop = func() { cancel(); run.Wait() }
	d := w.now()
	m, _ := d.Member(registry.InstanceID(st.ID))
	m.PromiseFile = g.PromiseFile()
	w.commit(&registry.PutMember{Database: "orders", Member: m})
}

func (w *ward) restart(st *station) {
	st.stop()
	w.start(st)
}

func (w *ward) commit(c registry.Command) {
	w.t.Helper()
	s := w.feed.State()
	next, err := c.Apply(s)
	if err != nil {
		w.t.Fatalf("%T: %v", c, err)
	}
	w.feed.Publish(next.WithIndex(s.Index() + 1))
}

func (w *ward) now() *registry.Database {
	d, _ := w.feed.State().Database("orders")
	return d
}

// until lets time go by, in a bubble, until ok holds.
func (w *ward) until(what string, ok func() bool) {
	w.t.Helper()
	for range 3000 {
		synctest.Wait()
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, st := range w.stations {
		w.t.Logf("%s: %+v log %v", st.ID, st.guard.Report(), st.Log())
	}
	w.t.Fatalf("never: %s", what)
}

// reign makes id primary of the next epoch with the others as ackers.
func (w *ward) reign(winner registry.InstanceID) {
	w.t.Helper()
	e := w.now().Epoch + 1
	w.commit(&registry.Revoke{Database: "orders", Epoch: e, Cause: registry.Cause{Code: decide.Formation}})
	for _, st := range w.stations {
		w.until(st.ID+" is fenced", func() bool { r := st.guard.Report(); return r.Fenced == e || r.Closed == e })
	}
	w.elect(winner)
	w.until("the marker", func() bool { return w.at(winner).guard.Report().Marked == e })
	w.commit(&registry.Establish{Database: "orders", Epoch: e, Cause: registry.Cause{Code: decide.Marked}})
	w.until("open", func() bool { return w.at(winner).Open() })
}

func (w *ward) elect(winner registry.InstanceID) {
	w.t.Helper()
	d := w.now()
	c := &registry.Elect{Database: "orders", Epoch: d.Epoch, Winner: winner, K: 1, Proof: registry.ProofFenced, Cause: registry.Cause{Code: decide.Elected}}
	if d.Former == "" {
		c.Proof = registry.ProofFormed
	}
	c.Base = w.at(winner).eyes.Latest().Status.Position().String()
	for _, st := range w.stations {
		id := registry.InstanceID(st.ID)
		if r := st.guard.Report(); r.Fenced == d.Epoch || r.Closed == d.Epoch {
			c.Evidence = append(c.Evidence, registry.Evidence{Instance: id})
			if id != winner {
				c.Ackers = append(c.Ackers, id)
			}
		}
	}
	w.commit(c)
}

func (w *ward) at(id registry.InstanceID) *station {
	return w.stations[slices.IndexFunc(w.stations, func(st *station) bool { return st.ID == string(id) })]
}

// acknowledged lets an application write on id and waits for its OK.
func (w *ward) acknowledged(id registry.InstanceID) mysqldtest.Txn {
	w.t.Helper()
	t, ok := w.group.Commit(w.at(id).Server)
	if !ok {
		w.t.Fatalf("%s takes no writes", id)
	}
	w.until("an OK", func() bool { return slices.Contains(w.at(id).Visible(), t) })
	return t
}

// onDisk reads the promise as a restarted agent would.
func (st *station) onDisk() registry.Epoch {
	r, err := promise.Read(filepath.Join(st.dir, "promise-orders-"+st.ID))
	if err != nil {
		return 0
	}
	return r.Promise
}

func (st *station) called(what string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.calls = append(st.calls, fmt.Sprintf("%s@%d", what, st.onDisk()))
}

func (st *station) since(n int) []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Compact(slices.Clone(st.calls[n:]))
}

// The verbs of the server, each noted with the promise that was on disk when it came.
func (st *station) StopReceiver(ctx context.Context) error {
	st.called("stop")
	return st.Server.StopReceiver(ctx)
}
func (st *station) FenceReceiver(ctx context.Context, tag string) error {
	st.called("fence")
	return st.Server.FenceReceiver(ctx, tag)
}
func (st *station) BecomeSource(ctx context.Context, k int) error {
	st.called("source")
	return st.Server.BecomeSource(ctx, k)
}
func (st *station) Mark(ctx context.Context, e uint64, instance, base string) error {
	st.called("mark")
	return st.Server.Mark(ctx, e, instance, base)
}
func (st *station) MarkAlone(ctx context.Context, e uint64, instance, base string) error {
	st.called("mark alone")
	return st.Server.MarkAlone(ctx, e, instance, base)
}
func (st *station) OpenAlone(ctx context.Context) error {
	st.called("open alone")
	return st.Server.OpenAlone(ctx)
}
func (st *station) OpenWrites(ctx context.Context) error {
	st.called("open")
	return st.Server.OpenWrites(ctx)
}
func (st *station) CloseWrites(ctx context.Context) error {
	st.called("close")
	return st.Server.CloseWrites(ctx)
}
func (st *station) Follow(ctx context.Context, src mysqld.Source) error {
	st.called("follow " + src.Host)
	st.mu.Lock()
	block := st.block
	st.mu.Unlock()
	if block != nil {
		close(block)
		<-ctx.Done()
		return ctx.Err()
	}
	return st.Server.Follow(ctx, src)
}

func both(t *testing.T, run func(*testing.T, mysqld.Flavor)) {
	for _, f := range []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB} {
		t.Run(string(f), func(t *testing.T) { run(t, f) })
	}
}

func TestAPromiseIsOnDiskBeforeAnyEffect(t *testing.T) {
	both(t, func(t *testing.T, flavor mysqld.Flavor) {
		guarding(t, flavor, func(t *testing.T, w *ward) {
			w.reign("db1")
			w.acknowledged("db1")
			marks := make([]int, len(w.stations))
			for i, st := range w.stations {
				marks[i] = len(st.calls)
			}
			w.at("db1").Crash()
			w.commit(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.PrimaryGone}})
			for _, id := range []registry.InstanceID{"db2", "db3"} {
				w.until("fenced", func() bool { return w.at(id).guard.Report().Fenced == 2 })
			}
			w.elect("db2")
			w.until("the marker", func() bool { return w.at("db2").guard.Report().Marked == 2 })
			w.commit(&registry.Establish{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.Marked}})
			w.until("open", func() bool { return w.at("db2").Open() })
			got2, got3 := w.at("db2").since(marks[1]), w.at("db3").since(marks[2])
			if want := []string{"stop@2", "fence@2", "source@2", "mark@2", "open@2"}; !slices.Equal(got2, want) {
				t.Errorf("db2 did %v, want %v", got2, want)
			}
			if want := []string{"stop@2", "fence@2", "follow 10.0.0.2@2"}; !slices.Equal(got3, want) {
				t.Errorf("db3 did %v, want %v", got3, want)
			}
			w.acknowledged("db2")
		})
	})
}

func TestAStepEndsWhenItsEpochIsOver(t *testing.T) {
	guarding(t, mysqld.MySQL, func(t *testing.T, w *ward) {
		e := registry.Epoch(1)
		w.commit(&registry.Revoke{Database: "orders", Epoch: e, Cause: registry.Cause{Code: decide.Formation}})
		for _, st := range w.stations {
			w.until("fenced", func() bool { return st.guard.Report().Fenced == e })
		}
		db3 := w.at("db3")
		hangs := make(chan struct{})
		db3.mu.Lock()
		db3.block = hangs
		db3.mu.Unlock()
		w.elect("db1")
		<-hangs
		db3.mu.Lock()
		db3.block = nil
		db3.mu.Unlock()
		began := time.Now()
		w.commit(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.WinnerLost}})
		w.until("fenced for the next epoch", func() bool { return db3.guard.Report().Fenced == 2 })
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s of the bubble's time: the step was waited for", took)
		}
	})
}

func TestAReplicaWithTransactionsOfItsOwnIsKeptOut(t *testing.T) {
	guarding(t, mysqld.MySQL, func(t *testing.T, w *ward) {
		w.reign("db1")
		w.acknowledged("db1")
		db3 := w.at("db3")
		db3.stop()
		db3.Crash()
		db3.Start()
		db3.HumanOpens()
		errant, ok := w.group.Commit(db3.Server)
		if !ok {
			t.Fatal("no write on db3")
		}
		w.start(db3)
		w.until("it is reported", func() bool { return db3.guard.Report().Diverged != "" })
		r := db3.guard.Report()
		want := fmt.Sprintf("%s:%d", db3.UUID(), errant.Number)
		if r.Diverged != want || !strings.Contains(r.Problem, want) || !strings.Contains(r.Problem, "Way out") {
			t.Errorf("diverged %q, problem %q: want %s named and a way out", r.Diverged, r.Problem, want)
		}
		time.Sleep(5 * time.Second)
		if db3.Open() || db3.eyes.Latest().Status.Replication.Receiver != mysqld.ReceiverStopped {
			t.Error("it was let in")
		}
	})
}

// A transaction that the primary still waits for is no divergence, although the replica has it and the primary shows it to
// nobody.
func TestAReplicaAheadOfAWaitingPrimaryIsNotDiverged(t *testing.T) {
	guarding(t, mysqld.MySQL, func(t *testing.T, w *ward) {
		w.reign("db1")
		w.acknowledged("db1")
		w.group.Cut(w.at("db1").Server, w.at("db2").Server)
		db3 := w.at("db3")
		w.acknowledged("db1") // by db3 alone
		db3.Crash()
		db3.Start()
		waiting, _ := w.group.Commit(w.at("db1").Server)
		w.until("it arrives", func() bool { return db3.Holds(waiting) })
		w.until("it is acknowledged", func() bool { return slices.Contains(w.at("db1").Visible(), waiting) })
		w.restart(db3)
		w.until("whole again", func() bool { r := db3.guard.Report(); return r.CaughtUp && !r.Amnesiac && r.Diverged == "" })
	})
}

func TestAnAgentRestartedAtAnyMomentGoesOn(t *testing.T) {
	both(t, func(t *testing.T, flavor mysqld.Flavor) {
		for after := range 14 {
			t.Run(fmt.Sprint(after), func(t *testing.T) {
				guarding(t, flavor, func(t *testing.T, w *ward) {
					w.reign("db1")
					last := w.acknowledged("db1")
					w.at("db1").Crash()
					w.commit(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.PrimaryGone}})
					restart := func(n int) { // in the n-th moment of 4 ms
						time.Sleep(time.Duration(n) * 4 * time.Millisecond)
						w.restart(w.at("db2"))
						w.restart(w.at("db3"))
					}
					restart(after)
					for _, id := range []registry.InstanceID{"db2", "db3"} {
						w.until("fenced", func() bool { return w.at(id).guard.Report().Fenced == 2 })
					}
					w.elect("db2")
					restart(after)
					w.until("the marker", func() bool { return w.at("db2").guard.Report().Marked == 2 })
					w.commit(&registry.Establish{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.Marked}})
					restart(after)
					w.until("open", func() bool { return w.at("db2").Open() })
					if !w.at("db2").Holds(last) {
						t.Errorf("%s is lost", last)
					}
					w.acknowledged("db2")
				})
			})
		}
	})
}

func TestAGuardWithALostPromiseFileTrustsNoOlderState(t *testing.T) {
	guarding(t, mysqld.MySQL, func(t *testing.T, w *ward) {
		w.reign("db1")
		db2 := w.at("db2")
		old := w.feed.State()
		w.commit(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.PrimarySilent}})
		w.until("fenced", func() bool { return db2.guard.Report().Fenced == 2 })
		db2.stop()
		if err := os.RemoveAll(db2.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(db2.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		stale := registry.NewFeed(old) // this node's follower found a server that lags
		g, err := NewGuard(GuardConfig{Database: "orders", Instance: "db2", Dir: db2.dir, Logger: slog.New(slog.DiscardHandler)}, db2, db2.eyes, stale)
		if err != nil {
			t.Fatal(err)
		}
		done := len(db2.calls)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := db2.since(done); len(got) > 0 || g.Report().Promise != 0 {
			t.Errorf("it promised %d and did %v for an epoch below its lost promise", g.Report().Promise, got)
		}
		w.start(db2)
		w.until("fenced again", func() bool { return db2.guard.Report().Fenced == 2 })
	})
}

// After a power cut nobody but the former primary can know what was acknowledged.
func TestAFormerPrimaryProvesThatItIsTheOne(t *testing.T) {
	both(t, func(t *testing.T, flavor mysqld.Flavor) {
		for name, wiped := range map[string]bool{"restarted": false, "emptied": true} {
			t.Run(name, func(t *testing.T) {
				guarding(t, flavor, func(t *testing.T, w *ward) {
					w.reign("db1")
					w.acknowledged("db1")
					db1 := w.at("db1")
					db1.Crash()
					if wiped {
						db1.Wipe()
					}
					db1.Start()
					w.restart(db1)
					w.commit(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.PrimaryRestarted}})
					w.until("it attests", func() bool { return db1.guard.Report().Closed == 2 })
					if got := db1.guard.Report().Amnesiac; got != wiped {
						t.Errorf("amnesiac %t, want %t", got, wiped)
					}
				})
			})
		}
	})
}

func TestAHandOverThatIsUndoneStopsNobody(t *testing.T) {
	guarding(t, mysqld.MySQL, func(t *testing.T, w *ward) {
		w.reign("db1")
		db1 := w.at("db1")
		starts := db1.eyes.Latest().Incarnation
		w.group.Cut(db1.Server, w.at("db2").Server)
		w.group.Cut(db1.Server, w.at("db3").Server)
		waiting, _ := w.group.Commit(db1.Server) // so it cannot close
		w.commit(&registry.Revoke{Database: "orders", Epoch: 2, To: "db2", Cause: registry.Cause{Code: decide.Switchover}})
		w.until("it tries to close", func() bool { return db1.guard.Report().Problem != "" })
		w.commit(&registry.Elect{Database: "orders", Epoch: 2, Winner: "db1", Base: db1.eyes.Latest().Status.Executed.String(), K: 1,
			Ackers: w.now().Ackers, Proof: registry.ProofKept, Cause: registry.Cause{Code: decide.SwitchoverUndone}})
		w.until("it goes on", func() bool { return db1.guard.Report().Marked == 2 })
		w.commit(&registry.Establish{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: decide.Marked}})
		w.group.Heal(db1.Server, w.at("db2").Server)
		w.group.Heal(db1.Server, w.at("db3").Server)
		w.until("the write is acknowledged", func() bool { return slices.Contains(db1.Visible(), waiting) })
		if db1.eyes.Latest().Incarnation != starts || !db1.Open() {
			t.Error("it was ended or closed")
		}
	})
}

func TestAGuardDoesNotStartOnADamagedPromise(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "promise-orders-db1"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := mysqldtest.NewGroup(mysqld.MySQL, 1)
	eyes := mysqldtest.NewObserver(g.Servers()[0], time.Now)
	_, err := NewGuard(GuardConfig{Database: "orders", Instance: "db1", Dir: dir, Logger: slog.New(slog.DiscardHandler)}, g.Servers()[0], eyes, registry.NewFeed(registry.New("test")))
	if !errors.Is(err, promise.ErrLost) {
		t.Errorf("%v, want promise.ErrLost", err)
	}
}

var _ Observer = (*mysqldtest.Observer)(nil)

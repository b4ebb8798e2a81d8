package offline_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/offline"
)

// pair is a former primary and the one that succeeds it.
type pair struct {
	t      *testing.T
	lab    [2]*lab.Server
	server [2]*mysqld.Server
	db     [2]*sql.DB // as a person who may do everything
	places mysqld.Places
	prog   offline.Program
}

func begin(t *testing.T, family lab.Family) *pair {
	t.Helper()
	bin := labtest.Require(t, family)
	p := &pair{t: t}
	copy(p.lab[:], labtest.Start(t, bin, 2))
	var err error
	for i, l := range p.lab {
		if p.server[i], err = mysqld.Open(mysqld.Config{Socket: l.Socket(), User: "baton", Password: "baton"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.server[i].Close() })
		if p.db[i], err = sql.Open("mysql", "admin:admin@unix("+l.Socket()+")/"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.db[i].Close() })
	}
	ctx := t.Context()
	p.must(p.server[0].BecomeSource(ctx, 1))
	p.must(p.server[1].Follow(ctx, p.source(0)))
	p.must(p.server[0].OpenWrites(ctx))
	p.exec(0, "CREATE TABLE app.t (id INT PRIMARY KEY)", "INSERT INTO app.t VALUES (1)")
	if p.places, err = p.server[0].Places(ctx); err != nil {
		t.Fatal(err)
	}
	if p.prog, err = offline.Running(p.lab[0].Pid()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) exec(i int, statements ...string) {
	p.t.Helper()
	for _, text := range statements {
		if _, err := p.db[i].ExecContext(p.t.Context(), text); err != nil {
			p.t.Fatalf("%s: %v", text, err)
		}
	}
}

func (p *pair) source(i int) mysqld.Source {
	a := p.lab[i].Addr()
	return mysqld.Source{Host: a.Addr().String(), Port: a.Port(), User: "repl", Password: "repl", SemiSync: true}
}

func (p *pair) rows(i int) string {
	p.t.Helper()
	var s sql.NullString
	p.must(p.db[i].QueryRowContext(p.t.Context(), "SELECT GROUP_CONCAT(id ORDER BY id) FROM app.t").Scan(&s))
	return s.String
}

func (p *pair) position(i int) mysqld.GTIDSet {
	p.t.Helper()
	st, err := p.server[i].Status(p.t.Context())
	p.must(err)
	return st.Position()
}

// succeed lets the replica take over: it hears the former primary no more, which is left with writes that wait, and it
// returns what the former primary has written and nobody else has.
func (p *pair) succeed() mysqld.GTIDSet {
	p.t.Helper()
	ctx := p.t.Context()
	p.must(p.server[1].StopReceiver(ctx))
	var waiting sync.WaitGroup
	for _, id := range []string{"2", "3"} {
		waiting.Go(func() { _, _ = p.db[0].ExecContext(context.Background(), "INSERT INTO app.t VALUES ("+id+")") })
	}
	p.t.Cleanup(waiting.Wait)
	until(p.t, "both wait in the log", func() bool {
		t, err := offline.LastLog(p.places)
		return err == nil && extra(t.Holds, p.position(1)).Count() == 2
	})
	p.must(p.lab[0].Kill())
	p.must(p.server[1].BecomeSource(ctx, 0))
	p.exec(1, "SET GLOBAL read_only = OFF", "INSERT INTO app.t VALUES (10)")
	t, err := offline.LastLog(p.places)
	p.must(err)
	if !t.Crashed {
		p.t.Error("a killed server passes for one that was stopped in good order")
	}
	return extra(t.Holds, p.position(1))
}

func extra(own, theirs mysqld.GTIDSet) mysqld.GTIDSet { return own.Minus(theirs) }

// comeBack starts the former primary and lets it follow.
func (p *pair) comeBack() {
	p.t.Helper()
	p.must(p.lab[0].Start(p.t.Context()))
	p.must(p.server[0].Follow(p.t.Context(), p.source(1)))
	until(p.t, "it has what its source has", func() bool {
		st, err := p.server[0].Status(p.t.Context())
		return err == nil && st.Executed.Contains(p.position(1))
	})
}

func (p *pair) takeBack(unwanted mysqld.GTIDSet) error {
	if p.places.Flavor == mysqld.MySQL {
		return offline.Cut(p.places, unwanted)
	}
	return offline.Recover(p.t.Context(), p.prog, p.places, unwanted)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func families(t *testing.T, test func(t *testing.T, p *pair)) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) { test(t, begin(t, family)) })
	}
}

func TestWhatWaitedIsTakenBackAndTheServerFollows(t *testing.T) {
	families(t, func(t *testing.T, p *pair) {
		unwanted := p.succeed()
		for range 2 { // again, as after a crash of whoever does it
			p.must(p.takeBack(unwanted))
		}
		p.comeBack()
		if a, b := p.rows(0), p.rows(1); a != b || a != "1,10" {
			t.Errorf("the former primary has %s, its successor %s; want 1,10", a, b)
		}
		if more := p.position(0).Minus(p.position(1)); !more.IsEmpty() {
			t.Errorf("it still claims %s", more)
		}
	})
}

func TestWhatIsCommittedIsNotTakenBackInSilence(t *testing.T) {
	families(t, func(t *testing.T, p *pair) {
		unwanted := p.succeed()
		p.must(p.lab[0].Start(t.Context())) // commits what waited
		if err := p.takeBack(unwanted); !errors.Is(err, offline.ErrRuns) {
			t.Errorf("beside a running server: %v", err)
		}
		p.must(p.lab[0].Kill())
		if err := p.takeBack(unwanted); !errors.Is(err, offline.ErrCommitted) {
			t.Errorf("after a start: %v", err)
		}
		p.must(p.lab[0].Start(t.Context()))
		if rows, more := p.rows(0), p.position(0).Minus(p.position(1)); !strings.HasPrefix(rows, "1,2,3") || more.IsEmpty() {
			t.Errorf("rows %s, diverged by %q: want both rows, and to be told", rows, more)
		}
	})
}

// What was committed because nobody was waited for is in the last log of a crashed server, as what waits is.
func TestARowThatWasCommittedIsNeverWithoutItsGTID(t *testing.T) {
	families(t, func(t *testing.T, p *pair) {
		p.must(p.server[1].StopReceiver(t.Context()))
		before := p.position(1)
		p.must(p.server[0].RequireAcks(t.Context(), 0))
		p.exec(0, "INSERT INTO app.t VALUES (2)")
		unwanted := p.position(0).Minus(before)
		p.must(p.lab[0].Kill())
		if err := p.takeBack(unwanted); err != nil && !errors.Is(err, offline.ErrCommitted) {
			t.Fatal(err)
		}
		p.must(p.lab[0].Start(t.Context()))
		if more := p.position(0).Minus(before); p.rows(0) == "1,2" && more.IsEmpty() {
			t.Error("the row is there and its GTID is not: it would follow in silence")
		}
	})
}

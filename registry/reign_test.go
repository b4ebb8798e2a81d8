package registry_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

func TestAnElectNeedsAProofThatHolds(t *testing.T) {
	fencing := func(t *testing.T) *registry.State { return with(t, serving(t), revoke(2, "")) }
	closing := func(t *testing.T) *registry.State { return with(t, serving(t), revoke(2, "db2")) }
	first := func(t *testing.T) *registry.State { return with(t, forming(t), revoke(1, "")) }
	settled := func(t *testing.T) *registry.State {
		return with(t, fencing(t), elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), revoke(3, ""))
	}
	kept := func(t *testing.T) *registry.State {
		return with(t, closing(t), elect(2, "db1", "db2 db3", registry.ProofKept, ""), revoke(3, ""))
	}
	for _, c := range []struct {
		name  string
		state func(*testing.T) *registry.State
		elect *registry.Elect
		ok    bool
	}{
		{"all ackers fenced", fencing, elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), true},
		{"one acker is too few", fencing, elect(2, "db2", "db3", registry.ProofFenced, "db2"), false},
		{"the former primary is no acker", fencing, elect(2, "db2", "db3", registry.ProofFenced, "db1 db2"), false},
		{"an amnesiac discovers nothing", fencing, elect(2, "db2", "db3", registry.ProofFenced, "db2 db3~"), false},
		{"one voice counts once", fencing, elect(2, "db2", "db3", registry.ProofFenced, "db2 db2"), false},
		{"an amnesiac is not heard twice until it is whole", fencing, elect(2, "db2", "db3", registry.ProofFenced, "db2 db3~ db3"), false},
		{"evidence in order, so that it is the same everywhere", fencing, elect(2, "db2", "db3", registry.ProofFenced, "db3 db2"), false},
		{"a stranger is no evidence", fencing, elect(2, "db2", "db3", registry.ProofFenced, "db2 db3 db9"), false},
		{"a fence needs fencing", closing, elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), false},

		{"the former primary closed in closing", closing, elect(2, "db2", "db3", registry.ProofClosed, "db1"), true},
		{"the former primary closed in fencing", fencing, elect(2, "db2", "db3", registry.ProofClosed, "db1 db2"), true},
		{"another one closed", closing, elect(2, "db2", "db3", registry.ProofClosed, "db2"), false},
		{"closed with a gap in its memory", closing, elect(2, "db2", "db3", registry.ProofClosed, "db1~"), false},
		{"nobody closed", first, &registry.Elect{Database: "orders", Epoch: 1, Winner: "db1", Base: "u:1", Ackers: []registry.InstanceID{"db2"}, K: 1,
			Proof: registry.ProofClosed, Evidence: []registry.Evidence{{Position: "u:1"}}}, false},

		{"all expected members heard", first, elect(1, "db1", "db2 db3", registry.ProofFormed, "db1 db2 db3"), true},
		{"a member not heard", first, elect(1, "db1", "db2 db3", registry.ProofFormed, "db1 db2"), false},
		{"strangers are not members", first, elect(1, "db1", "db2 db3", registry.ProofFormed, "db1 db8 db9"), false},
		{"formed is for the first reign only", fencing, elect(2, "db2", "db3", registry.ProofFormed, "db1 db2 db3"), false},

		{"settled", settled, elect(3, "db3", "db1", registry.ProofSettled, ""), true},
		{"nothing is settled yet", fencing, elect(2, "db3", "db2", registry.ProofSettled, ""), false},
		{"who was kept has settled nothing", kept, elect(3, "db3", "db2", registry.ProofSettled, ""), false},

		{"kept with its own ackers", closing, elect(2, "db1", "db2 db3", registry.ProofKept, ""), true},
		{"kept with other ackers", closing, elect(2, "db1", "db2", registry.ProofKept, ""), false},
		{"another one cannot be kept", closing, elect(2, "db2", "db1 db3", registry.ProofKept, ""), false},
		{"kept in fencing", fencing, elect(2, "db1", "db2 db3", registry.ProofKept, ""), false},

		{"it catches up from one who was heard", fencing, after(elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), "db3", "u:1-9"), true},
		{"it catches up from the former primary", closing, after(elect(2, "db2", "db3", registry.ProofClosed, "db1"), "db1", "u:1-9"), true},
		{"it catches up from one who was not heard", settled, after(elect(3, "db2", "db3", registry.ProofSettled, "db2"), "db3", "u:1-9"), false},
		{"it catches up to what its source was not heard to have", fencing, after(elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), "db3", "u:1-10"), false},
		{"it catches up from itself", fencing, after(elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), "db2", "u:1-9"), false},
		{"who was kept has nothing to catch up", closing, after(elect(2, "db1", "db2 db3", registry.ProofKept, "db2"), "db2", "u:1-9"), false},

		{"no such proof", fencing, elect(2, "db2", "db3", "hope", "db1 db2 db3"), false},
		{"the winner is a stranger", fencing, elect(2, "db9", "db3", registry.ProofFenced, "db2 db3"), false},
		{"the winner acknowledges itself", fencing, elect(2, "db2", "db2 db3", registry.ProofFenced, "db2 db3"), false},
		{"a stranger acknowledges", fencing, elect(2, "db2", "db3 db9", registry.ProofFenced, "db2 db3"), false},
		{"ackers twice", fencing, elect(2, "db2", "db3 db3", registry.ProofFenced, "db2 db3"), false},
		{"nobody acknowledges", fencing, elect(2, "db2", "", registry.ProofFenced, "db2 db3"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.elect.Apply(c.state(t))
			if (err == nil) != c.ok || err != nil && !errors.Is(err, registry.ErrInvalid) {
				t.Errorf("elect: %v, want accepted %t, else ErrInvalid", err, c.ok)
			}
		})
	}
}

// The names of the rows are what a leader that paused and came back would do.
func TestACommandOfAnotherTimeIsStale(t *testing.T) {
	promoting := func(t *testing.T) *registry.State {
		return with(t, serving(t), revoke(2, ""), elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"))
	}
	fencing := func(t *testing.T) *registry.State { return with(t, serving(t), revoke(2, "")) }
	for _, c := range []struct {
		name    string
		state   func(*testing.T) *registry.State
		command registry.Command
	}{
		{"revoke a reign that was revoked", fencing, revoke(2, "")},
		{"revoke between two reigns", fencing, revoke(3, "")},
		{"revoke an epoch ahead", func(t *testing.T) *registry.State { return serving(t) }, revoke(3, "")},
		{"elect after the election", promoting, elect(2, "db3", "db2", registry.ProofFenced, "db2 db3")},
		{"elect for an older epoch", fencing, elect(1, "db2", "db3", registry.ProofFenced, "db2 db3")},
		{"establish before the election", fencing, establish(2)},
		{"establish an older epoch", promoting, establish(1)},
		{"escalate what is fencing already", fencing, &registry.Escalate{Database: "orders", Epoch: 2}},
		{"add an acker between two reigns", fencing, &registry.AddAcker{Database: "orders", Epoch: 2, Instance: "db1"}},
		{"add an acker to an older reign", func(t *testing.T) *registry.State {
			return with(t, promoting(t), establish(2))
		}, &registry.AddAcker{Database: "orders", Epoch: 1, Instance: "db1"}},
		{"refuse in an older epoch", fencing, &registry.Refuse{Database: "orders", Epoch: 1, Cause: why("AckersMissing")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.command.Apply(c.state(t)); !errors.Is(err, registry.ErrStale) {
				t.Errorf("%T: %v, want ErrStale", c.command, err)
			}
		})
	}
}

// A leader that saw the winner fail may commit that after the winner was established: by itself, unseen, or by the next leader.
func TestAWinnerThatReignsByNowIsNotGivenUp(t *testing.T) {
	promoting := with(t, serving(t), revoke(2, ""), elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"))
	for name, c := range map[string]struct {
		state   *registry.State
		command *registry.Revoke
		ok      bool
	}{
		"it is promoting":        {promoting, givenUp(3, "db2"), true},
		"another one is":         {promoting, givenUp(3, "db3"), false},
		"it reigns":              {with(t, promoting, establish(2)), givenUp(3, "db2"), false},
		"it failed in its reign": {with(t, promoting, establish(2)), revoke(3, ""), true},
		"another epoch":          {promoting, givenUp(4, "db2"), false},
	} {
		_, err := c.command.Apply(c.state)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, registry.ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWinnerThatFailsLeavesWhatItsElectSettled(t *testing.T) {
	s := with(t, serving(t), revoke(2, ""), elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), revoke(3, ""))
	d := orders(t, s)
	if d.Settled == nil || *d.Settled != (registry.Settled{Epoch: 2, Base: "u:1-9"}) {
		t.Errorf("settled %+v, want the base of epoch 2", d.Settled)
	}
	if d.Former != "db1" || !d.IsAcker("db2") || !d.IsAcker("db3") || d.K != 1 {
		t.Errorf("former %s, ackers %v, k %d: want those of the last established reign", d.Former, d.Ackers, d.K)
	}
}

func TestAWinnerThatIsLostWhileItCatchesUpIsRememberedUntilSomebodyReigns(t *testing.T) {
	lost := with(t, serving(t), revoke(2, ""), after(elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), "db3", "u:1-9"), revoke(3, ""))
	if d := orders(t, lost); !slices.Equal(d.Passed, []registry.InstanceID{"db2"}) || d.CatchUp != nil {
		t.Errorf("passed %v, catch up %v: want db2 and nothing", d.Passed, d.CatchUp)
	}
	straight := with(t, lost, elect(3, "db3", "db2", registry.ProofSettled, ""), revoke(4, ""))
	if d := orders(t, straight); !slices.Equal(d.Passed, []registry.InstanceID{"db2"}) {
		t.Errorf("passed %v after a winner that had nothing to catch up, want db2", d.Passed)
	}
	twice := with(t, straight, after(elect(4, "db2", "db3", registry.ProofSettled, "db3"), "db3", "u:1-9"), revoke(5, ""))
	if d := orders(t, twice); !slices.Equal(d.Passed, []registry.InstanceID{"db2"}) {
		t.Errorf("passed %v, want db2 once", d.Passed)
	}
	over := with(t, twice, elect(5, "db3", "db2", registry.ProofSettled, ""), establish(5))
	if d := orders(t, over); d.Passed != nil {
		t.Errorf("passed %v in a new reign", d.Passed)
	}
}

// It may be cut off from everybody but the primary, which it goes on acknowledging for: a fence that did not cover it would
// miss what it alone was sent.
func TestAnAckerThatNobodyHeardStaysAnAckerOfTheSamePrimary(t *testing.T) {
	back := elect(2, "db1", "db2", registry.ProofClosed, "db1 db2")
	s := with(t, serving(t), revoke(2, ""), back, establish(2))
	if d := orders(t, s); !slices.Equal(d.Ackers, []registry.InstanceID{"db2", "db3"}) || d.Need() != 2 {
		t.Errorf("ackers %v, need %d: db3 was not heard and may acknowledge for db1", d.Ackers, d.Need())
	}
	heard := elect(2, "db1", "db2", registry.ProofClosed, "db1 db2 db3")
	s = with(t, serving(t), revoke(2, ""), heard, establish(2))
	if d := orders(t, s); !slices.Equal(d.Ackers, []registry.InstanceID{"db2"}) {
		t.Errorf("ackers %v: db3 was fenced and was not elected", d.Ackers)
	}
	another := elect(2, "db2", "db1", registry.ProofClosed, "db1 db2")
	s = with(t, serving(t), revoke(2, ""), another, establish(2))
	if d := orders(t, s); !slices.Equal(d.Ackers, []registry.InstanceID{"db1"}) {
		t.Errorf("ackers %v: db3 has never acknowledged for db2", d.Ackers)
	}
	s = with(t, s, revoke(3, "db1"), &registry.Elect{Database: "orders", Epoch: 3, Winner: "db1", Base: "u:1-9", Ackers: []registry.InstanceID{"db2"}, K: 1,
		Proof: registry.ProofClosed, Evidence: []registry.Evidence{{Instance: "db2", Position: "u:1-9"}}, Cause: why("Elected")}, establish(3))
	if d := orders(t, s); !slices.Equal(d.Ackers, []registry.InstanceID{"db2", "db3"}) {
		t.Errorf("ackers %v: db1 reigns again, and db3 was not heard since it acknowledged for it", d.Ackers)
	}
}

func TestAMemberLeavesInOrderAndStaysAway(t *testing.T) {
	s := with(t, serving(t), leave("db3", registry.MemberLeaving))
	refused := func(what string, c registry.Command) {
		t.Helper()
		if _, err := c.Apply(s); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	refused("the second of two ackers leaves", leave("db2", registry.MemberLeaving))
	refused("the primary leaves", leave("db1", registry.MemberLeaving))
	refused("an acker is forgotten", &registry.RemoveMember{Database: "orders", Instance: "db3"})
	refused("who does not leave is forgotten", &registry.RemoveMember{Database: "orders", Instance: "db2"})
	refused("who stays is retired", retire("db2"))
	s = with(t, s, retire("db3"))
	refused("two changes at once", change(2))
	refused("a step for another revision", advance(orders(t, s).Revision-1))
	s = with(t, s, advance(orders(t, s).Revision))
	if d := orders(t, s); !d.IsAcker("db3") || !d.Change.Silent {
		t.Fatalf("change %+v, ackers %v: it counts until everything is proved", d.Change, d.Ackers)
	}
	s = with(t, s, advance(orders(t, s).Revision))
	if d := orders(t, s); d.IsAcker("db3") || d.Change != nil || d.Need() != 1 {
		t.Fatalf("change %+v, ackers %v", d.Change, d.Ackers)
	}
	refused("who leaves is let in again", &registry.AddAcker{Database: "orders", Epoch: 1, Instance: "db3"})
	late := &registry.RemoveMember{Database: "orders", Instance: "db3"}
	if _, err := late.Apply(with(t, s, stay("db3"))); !errors.Is(err, registry.ErrStale) {
		t.Errorf("who may stay is removed by what was decided while it left: %v", err)
	}
	s = with(t, s, late)
	refused("its agent registers it again", putMember("db3"))
	s = with(t, s, stay("db3"), putMember("db3"))
	if m, _ := orders(t, s).Member("db3"); !m.Leaving.Zero() {
		t.Errorf("it came back and leaves: %v", m.Leaving)
	}
	if d := orders(t, s); d.Removed != nil { // a server that starts from a snapshot holds nil
		t.Errorf("the list of who was removed is empty and not none: %#v", d.Removed)
	}
}

func TestLeavingIsTakenBackAtAnyStep(t *testing.T) {
	steps := []registry.Command{leave("db3", registry.MemberLeaving), retire("db3"), advance(3)}
	for n := 1; n <= len(steps); n++ {
		s := with(t, serving(t), steps[:n]...)
		before := orders(t, s).Revision
		d := orders(t, with(t, s, stay("db3")))
		if m, _ := d.Member("db3"); !m.Leaving.Zero() || d.Change != nil || !d.IsAcker("db3") || d.Revision <= before {
			t.Errorf("after %d steps: leaving %v, change %v, ackers %v, revision %d after %d", n, m.Leaving, d.Change, d.Ackers, d.Revision, before)
		}
	}
}

func TestHistoryCarriesTheIndexOfItsCommand(t *testing.T) {
	s := forming(t)
	for i, c := range []registry.Command{revoke(1, ""), elect(1, "db1", "db2 db3", registry.ProofFormed, "db1 db2 db3"), establish(1)} {
		index := registry.Index(100 + 10*i)
		next, err := s.Next(index, c)
		if err != nil {
			t.Fatal(err)
		}
		s = next
		history := orders(t, s).History
		if got := history[len(history)-1].Index; got != index || s.Index() != index {
			t.Errorf("%T: event at index %d, state at %d, want %d", c, got, s.Index(), index)
		}
	}
}

func TestARefusedCommandOnlyMovesTheIndex(t *testing.T) {
	s := serving(t)
	next, err := s.Next(77, revoke(9, ""))
	if !errors.Is(err, registry.ErrStale) || next == nil || next.Index() != 77 {
		t.Fatalf("next: %v, %v", next, err)
	}
	want, _ := codec.EncodeState(s.WithIndex(77))
	if got, _ := codec.EncodeState(next); string(got) != string(want) {
		t.Errorf("state after a refused command:\n%s\nwant\n%s", got, want)
	}
}

package registry_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// held applies commands and returns every state on the way; each must still have its first bytes at the end.
func held(t *testing.T, s *registry.State, commands ...registry.Command) []*registry.State {
	t.Helper()
	encode := func(s *registry.State) []byte {
		b, err := codec.EncodeState(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	states, first := []*registry.State{s}, [][]byte{encode(s)}
	for _, c := range commands {
		s = with(t, s, c)
		states, first = append(states, s), append(first, encode(s))
	}
	for i, s := range states {
		if got := encode(s); !bytes.Equal(got, first[i]) {
			t.Errorf("state %d has changed: %s\nwas %s", i, got, first[i])
		}
	}
	return states
}

func TestAnAckerThatJoinsChangesNoStateThatOthersHold(t *testing.T) {
	s := with(t, forming(t), putMember("db4"), putMember("db5"), revoke(1, ""),
		elect(1, "db5", "db4", registry.ProofFormed, "db1 db2 db3 db4 db5"), establish(1))
	var join []registry.Command
	for _, id := range []registry.InstanceID{"db3", "db2", "db1"} { // each goes before the ones that are there
		join = append(join, &registry.AddAcker{Database: "orders", Epoch: 1, Instance: id})
	}
	held(t, s, join...)
}

func TestHistoryIsBoundedAndKeepsTheNewest(t *testing.T) {
	var refusals []registry.Command
	for i := range 250 {
		refusals = append(refusals, &registry.Refuse{Database: "orders", Epoch: 1, Cause: why(fmt.Sprintf("Code%d", i)), AtMillis: int64(i)})
	}
	states := held(t, serving(t), refusals...)
	d := orders(t, states[len(states)-1])
	if n := len(d.History); n != 100 || d.History[n-1].Cause.Code != "Code249" || d.History[0].Cause.Code != "Code150" {
		t.Errorf("%d events from %s to %s, want the last 100", n, d.History[0].Cause, d.History[n-1].Cause)
	}
	if got := d.SinceMillis; got != 1500 {
		t.Errorf("the reign began at %d, want 1500 however much has happened since", got)
	}
}

func TestARefusalIsRecordedOnceAndCanBeTakenBack(t *testing.T) {
	refuse := func(code, detail string) *registry.Refuse {
		return &registry.Refuse{Database: "orders", Epoch: 1, Cause: registry.Cause{Code: code, Detail: detail}}
	}
	s := with(t, serving(t), refuse("AckersMissing", "db3, for 1 s"), refuse("AckersMissing", "db3, for 2 s"))
	d := orders(t, s)
	if d.Refusal.Detail != "db3, for 2 s" || len(d.History) != len(orders(t, serving(t)).History)+1 {
		t.Errorf("refusal %q and %d events, want the newest text and one event", d.Refusal, len(d.History))
	}
	if d := orders(t, with(t, s, refuse("", ""))); !d.Refusal.Zero() {
		t.Errorf("refusal %q after it was taken back", d.Refusal)
	}
}

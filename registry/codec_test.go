package registry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

var update = flag.Bool("update", false, "write the golden bytes in testdata; a change needs a new version byte")

// everyKind has one full command of each kind, by the name of its golden file.
func everyKind() map[string]registry.Command {
	m := member("db1")
	m.ServerID, m.Version, m.Zone, m.OutOf = 1, "9.7.4", "a", why("ReplicaLagging")
	refuse := why("AckersMissing")
	full := elect(2, "db2", "db1 db3", registry.ProofFenced, "db2 db3~")
	return map[string]registry.Command{
		"put-node":    &registry.PutNode{Node: registry.Node{ID: "n1", Address: "10.0.0.1", API: "10.0.0.1:7450", Role: registry.RoleClient, Zone: "a", Version: "0.1.0"}},
		"remove-node": &registry.RemoveNode{ID: "n1"},
		"put-service": &registry.PutService{Instance: registry.ServiceInstance{Service: "web", ID: "a", Node: "n1", Address: "10.0.0.1", Port: 80,
			Tags: []string{"blue"}, Weight: 3, Failing: why("HTTP")}},
		"remove-service":     &registry.RemoveService{Service: "web", Node: "n1", ID: "a"},
		"set-service-health": &registry.SetServiceHealth{Service: "web", Node: "n1", ID: "a", Failing: why("HTTP")},
		"put-database":       &registry.PutDatabase{Name: "orders", Policy: registry.Policy{Expect: 5, K: 2, Paused: true, MaxLagSeconds: 10, SwitchoverSeconds: 4}},
		"put-member":         &registry.PutMember{Database: "orders", Member: m},
		"remove-member":      &registry.RemoveMember{Database: "orders", Instance: "db3"},
		"set-rotation":       &registry.SetRotation{Database: "orders", Instance: "db3", OutOf: why("ReplicaLagging")},
		"revoke":             revoke(2, "db2"),
		"revoke-winner":      givenUp(3, "db2"),
		"escalate":           &registry.Escalate{Database: "orders", Epoch: 2, Cause: why("PrimaryHung"), AtMillis: 2050},
		"elect":              full,
		"elect-catch-up":     after(elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), "db3", "u:1-9"),
		"establish":          establish(2),
		"add-acker":          &registry.AddAcker{Database: "orders", Epoch: 2, Instance: "db1", Cause: why("AckerAdded"), AtMillis: 2600},
		"leave":              &registry.Leave{Database: "orders", Instance: "db3", Cause: why(registry.MemberLeaving), AtMillis: 2800},
		"change-ackers":      &registry.ChangeAckers{Database: "orders", Epoch: 2, Retire: "db3", Cause: why("AckerRetires"), AtMillis: 2900},
		"change-k":           &registry.ChangeAckers{Database: "orders", Epoch: 2, K: 2, Cause: why("AcksChange"), AtMillis: 2900},
		"advance-change":     &registry.AdvanceChange{Database: "orders", Epoch: 2, Revision: 7, Cause: why("AckerSilent"), AtMillis: 3000},
		"prepare":            &registry.Prepare{Database: "orders", Epoch: 2, To: "db3", Cause: why("Switchover"), AtMillis: 3100},
		"prepare-given-up":   &registry.Prepare{Database: "orders", Epoch: 2, Revision: 8, Cause: why("PreparationOver"), AtMillis: 3200},
		"remove-silent":      &registry.RemoveMember{Database: "orders", Instance: "db3", Revision: 9},
		"rejoin":             &registry.Rejoin{Database: "orders", Epoch: 2, Instance: "db1", How: "clone", Cause: why("Rejoin"), AtMillis: 3100},
		"degrade":            degrade(registry.Degraded),
		"rearm":              rearm(1),
		"accept-loss":        &registry.AcceptLoss{Database: "orders", Epoch: 2, To: "db2", Cause: why("DataLossAccepted"), AtMillis: 3300},
		"forfeit":            &registry.Forfeit{Elect: *elect(2, "db2", "db3", registry.ProofAccepted, "db2"), Lost: "u:10-12"},
		"put-policy":         &registry.PutDatabase{Name: "orders", Policy: policy(registry.Async, registry.Yield)},
		"set-pause":          &registry.SetPause{Database: "orders", Paused: true, Cause: why(registry.DatabasePaused), AtMillis: 3400},
		"refuse":             &registry.Refuse{Database: "orders", Epoch: 2, Cause: refuse, AtMillis: 2700},
	}
}

// rich is a state in which every field that survives together is set.
func rich(t testing.TB) *registry.State {
	t.Helper()
	lost := elect(2, "db2", "db3", registry.ProofFenced, "db2 db3")
	return with(t, serving(t), node("n1", "10.0.0.1"), everyKind()["put-service"],
		&registry.SetRotation{Database: "orders", Instance: "db3", OutOf: why("ReplicaLagging")},
		revoke(2, "db2"), &registry.Escalate{Database: "orders", Epoch: 2, Cause: why("PrimaryHung"), AtMillis: 2050},
		lost, revoke(3, ""), &registry.Refuse{Database: "orders", Epoch: 3, Cause: why("AckersMissing"), AtMillis: 3050},
		elect(3, "db3", "db1", registry.ProofSettled, "db3"),
		&registry.Refuse{Database: "orders", Epoch: 3, Cause: why("NoCandidate"), AtMillis: 3200})
}

// later is rich in the fields that came later: what older servers wrote has none of them.
func later(t testing.TB) *registry.State {
	t.Helper()
	c := after(elect(2, "db2", "db1 db3", registry.ProofClosed, "db1 db2 db3"), "db3", "u:1-9")
	return with(t, serving(t), putMember("db4"), leave("db4", registry.MemberLost), &registry.RemoveMember{Database: "orders", Instance: "db4"},
		revoke(2, "db2"), c, revoke(3, ""), after(elect(3, "db2", "db3", registry.ProofSettled, "db2 db3"), "db3", "u:1-9"))
}

// golden compares got with a file in testdata, and writes the file with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %q\nwant %q\nWhat older servers wrote must stay readable: a change of bytes needs a new version.", file, got, want)
	}
}

func TestCommandsKeepTheirBytes(t *testing.T) {
	for name, c := range everyKind() {
		t.Run(name, func(t *testing.T) {
			b, err := codec.Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, b)
			back, err := codec.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c, back); diff != "" {
				t.Errorf("decode(encode(c)) differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryKindHasGoldenBytes(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range everyKind() {
		b, err := codec.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(b[1:3])] = true
	}
	known := 0
	for k := range 1 << 16 {
		_, err := codec.Decode([]byte{1, byte(k >> 8), byte(k), '{', '}'})
		if err == nil {
			known++
		} else if !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("kind %d: %v, want ErrUnknown", k, err)
		}
	}
	if known != len(seen) {
		t.Errorf("Decode knows %d kinds, everyKind has %d", known, len(seen))
	}
}

func TestAStateKeepsItsBytes(t *testing.T) {
	for name, s := range map[string]*registry.State{"state": rich(t), "state-later": later(t), "state-changing": changing(t), "state-alone": alone(t), "state-empty": registry.New("test")} {
		b, err := codec.EncodeState(s)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, b)
		back, err := codec.DecodeState(b)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := codec.EncodeState(back); !bytes.Equal(again, b) {
			t.Errorf("%s: encode(decode(b)) = %q\nwant %q", name, again, b)
		}
		if diff := cmp.Diff(s.Databases(), back.Databases()); diff != "" {
			t.Errorf("%s: databases differ (-want +got):\n%s", name, diff)
		}
	}
}

// changing is a reign whose ackers change.
func changing(t testing.TB) *registry.State {
	t.Helper()
	return with(t, serving(t), leave("db3", registry.MemberLeaving), retire("db3"), advance(3))
}

// alone is a reign that began alone, after a loss, and whose successor loses something again.
func alone(t testing.TB) *registry.State {
	t.Helper()
	forfeit := &registry.Forfeit{Elect: *elect(2, "db2", "", registry.ProofAccepted, "db2"), Lost: "u:10-12"}
	forfeit.K = 0
	return with(t, serving(t), acceptLoss(1, ""), forfeit, establish(2), acceptLoss(2, "db3"))
}

// Version 1 knew no arms: a reign that it holds is armed when it is read, so that no fence overlooks an acker.
func TestAStateOfVersionOneIsReadAndArmed(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "state-v1.golden"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := codec.DecodeState(b)
	if err != nil {
		t.Fatal(err)
	}
	want := []registry.Armed{{Instance: "db1", Source: "db3"}, {Instance: "db2", Source: "db1"}, {Instance: "db3", Source: "db1"}}
	if got := orders(t, s).Armed; !slices.Equal(got, want) {
		t.Errorf("armed %v, want %v", got, want)
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	body := `{"id":"n1"}`
	for name, b := range map[string]string{
		"no bytes":                 "",
		"no kind":                  "\x01\x00",
		"a later version":          "\x02\x00\x02" + body,
		"kind 0":                   "\x01\x00\x00" + body,
		"an unknown kind":          "\x01\x03\xe7" + body,
		"an unknown field":         "\x01\x00\x02" + `{"id":"n1","colour":"red"}`,
		"an unknown field inside":  "\x01\x00\x01" + `{"node":{"id":"n1","colour":"red"}}`,
		"no body":                  "\x01\x00\x02",
		"null":                     "\x01\x00\x02null",
		"a list":                   "\x01\x00\x02[]",
		"half a body":              "\x01\x00\x02" + body[:5],
		"a second body":            "\x01\x00\x02" + body + body,
		"a closing brace too many": "\x01\x00\x02" + body + "}",
		"a stray bracket":          "\x01\x00\x02" + body + "]",
		"a negative epoch":         "\x01\x00\x23" + `{"epoch":-1}`,
		"an epoch of text":         "\x01\x00\x23" + `{"epoch":"1"}`,
	} {
		if c, err := codec.Decode([]byte(b)); err == nil {
			t.Errorf("command, %s: read as %+v", name, c)
		}
	}
	for name, b := range map[string]string{
		"no bytes":                 "",
		"a later version":          "\x03" + `{"cluster":"test"}`,
		"version 0":                "\x00" + `{"cluster":"test"}`,
		"an unknown field":         "\x01" + `{"cluster":"test","colour":"red"}`,
		"an unknown field inside":  "\x01" + `{"databases":[{"name":"orders","colour":"red"}]}`,
		"null":                     "\x01null",
		"a database that is null":  "\x01" + `{"databases":[null]}`,
		"a second body":            "\x01{}{}",
		"a closing brace too many": "\x01{}}",
		"half a body":              "\x01" + `{"cluster":`,
	} {
		if s, err := codec.DecodeState([]byte(b)); err == nil {
			t.Errorf("state, %s: read as %+v", name, s)
		}
	}
}

func TestACommandTooLargeIsNotEncoded(t *testing.T) {
	c := revoke(1, "")
	c.Cause.Detail = strings.Repeat("x", codec.MaxCommand)
	if _, err := codec.Encode(c); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("encode %d bytes of detail: %v, want ErrInvalid", codec.MaxCommand, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range everyKind() {
		b, err := codec.Encode(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	base := serving(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := codec.Decode(b)
		if err != nil {
			return
		}
		first, err := codec.Encode(c)
		if err != nil {
			return // only what is too large cannot be written again
		}
		again, err := codec.Decode(first)
		if err != nil {
			t.Fatalf("decode what was encoded: %v\n%q", err, first)
		}
		if second, _ := codec.Encode(again); !bytes.Equal(first, second) {
			t.Errorf("encoding does not come to rest: %q, then %q", first, second)
		}
		if s, err := c.Apply(base); err == nil {
			_ = s.Records() // any bytes that are accepted can be published
		}
	})
}

func FuzzDecodeState(f *testing.F) {
	for _, s := range []*registry.State{registry.New("test"), forming(f), serving(f), rich(f), later(f), alone(f)} {
		b, err := codec.EncodeState(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := codec.DecodeState(b)
		if err != nil {
			return
		}
		_ = s.Records()
		first, err := codec.EncodeState(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := codec.DecodeState(first)
		if err != nil {
			t.Fatalf("decode what was encoded: %v\n%q", err, first)
		}
		if second, _ := codec.EncodeState(again); !bytes.Equal(first, second) {
			t.Errorf("encoding does not come to rest: %q, then %q", first, second)
		}
		if !json.Valid(first[1:]) {
			t.Errorf("a state is not JSON: %q", first)
		}
	})
}

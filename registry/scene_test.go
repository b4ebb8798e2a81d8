package registry_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/baton-db/baton/registry"
)

// The short words in which the tests of this room set a scene. Instance dbN has the address 10.0.0.N:3306 and runs on
// node nN; the database is always called orders.

func node(id, address string) *registry.PutNode {
	return &registry.PutNode{Node: registry.Node{ID: registry.NodeID(id), Address: address, API: address + ":7450", Role: registry.RoleServer}}
}

func member(id registry.InstanceID) registry.Member {
	n := strings.TrimPrefix(string(id), "db")
	return registry.Member{
		ID: id, Node: registry.NodeID("n" + n), Address: "10.0.0." + n + ":3306",
		ServerUUID: "uuid-" + n, Flavor: registry.MySQL, Preference: registry.Normal,
	}
}

func putMember(id registry.InstanceID) *registry.PutMember {
	return &registry.PutMember{Database: "orders", Member: member(id)}
}

func why(code string) registry.Cause { return registry.Cause{Code: code, Detail: "because"} }

func revoke(e registry.Epoch, to registry.InstanceID) *registry.Revoke {
	return &registry.Revoke{Database: "orders", Epoch: e, To: to, Cause: why("PrimaryGone"), AtMillis: int64(e) * 1000}
}

// givenUp revokes because who was to reign in the epoch before was lost.
func givenUp(e registry.Epoch, winner registry.InstanceID) *registry.Revoke {
	c := revoke(e, "")
	c.Winner, c.Cause = winner, why("WinnerLost")
	return c
}

func establish(e registry.Epoch) *registry.Establish {
	return &registry.Establish{Database: "orders", Epoch: e, Cause: why("Marked"), AtMillis: int64(e)*1000 + 500}
}

// elect elects winner in epoch e with k = 1; heard are those who were fenced or closed, all at the base "u:1-9". A name
// that ends in ~ is amnesiac.
func elect(e registry.Epoch, winner registry.InstanceID, ackers string, proof registry.Proof, heard string) *registry.Elect {
	c := &registry.Elect{Database: "orders", Epoch: e, Winner: winner, Base: "u:1-9", K: 1, Proof: proof, Cause: why("Elected"), AtMillis: int64(e)*1000 + 100}
	for _, a := range strings.Fields(ackers) {
		c.Ackers = append(c.Ackers, registry.InstanceID(a))
	}
	for _, h := range strings.Fields(heard) {
		id, amnesiac := strings.CutSuffix(h, "~")
		c.Evidence = append(c.Evidence, registry.Evidence{Instance: registry.InstanceID(id), Position: c.Base, Amnesiac: amnesiac})
	}
	return c
}

// after makes the winner catch up first.
func after(c *registry.Elect, from registry.InstanceID, until string) *registry.Elect {
	c.CatchUp = &registry.CatchUp{From: from, Until: until}
	return c
}

func leave(id registry.InstanceID, code string) *registry.Leave {
	return &registry.Leave{Database: "orders", Instance: id, Cause: why(code), AtMillis: 2800}
}

func stay(id registry.InstanceID) *registry.Leave {
	return &registry.Leave{Database: "orders", Instance: id, AtMillis: 2810}
}

// retire and change begin a change in epoch 1, advance takes it a step further.
func retire(id registry.InstanceID) *registry.ChangeAckers {
	return &registry.ChangeAckers{Database: "orders", Epoch: 1, Retire: id, Cause: why("AckerRetires"), AtMillis: 2900}
}

func change(k int) *registry.ChangeAckers {
	return &registry.ChangeAckers{Database: "orders", Epoch: 1, K: k, Cause: why("AcksChange"), AtMillis: 2900}
}

func advance(revision uint64) *registry.AdvanceChange {
	return &registry.AdvanceChange{Database: "orders", Epoch: 1, Revision: revision, Cause: why("AckerSilent"), AtMillis: 3000}
}

// policy is the default one with another durability.
func policy(durability registry.Durability, alone registry.WhenAlone) registry.Policy {
	p := registry.DefaultPolicy()
	p.Durability, p.WhenAlone = durability, alone
	return p
}

// degrade and rearm are of epoch 1.
func degrade(to registry.Durability) *registry.Degrade {
	return &registry.Degrade{Database: "orders", Epoch: 1, To: to, Position: "u:1-9", Cause: why("AckersLonely"), AtMillis: 3100}
}

func rearm(k int) *registry.Rearm {
	return &registry.Rearm{Database: "orders", Epoch: 1, K: k, Cause: why("Rearming"), AtMillis: 3200}
}

func acceptLoss(e registry.Epoch, to registry.InstanceID) *registry.AcceptLoss {
	return &registry.AcceptLoss{Database: "orders", Epoch: e, To: to, Cause: why("DataLossAccepted"), AtMillis: 3300}
}

// with applies commands, each of which must be accepted.
func with(t testing.TB, s *registry.State, commands ...registry.Command) *registry.State {
	t.Helper()
	for _, c := range commands {
		next, err := s.Next(s.Index()+1, c)
		if err != nil {
			t.Fatalf("apply %T %+v: %v", c, c, err)
		}
		s = next
	}
	return s
}

// forming is orders with three members and no primary yet.
func forming(t testing.TB) *registry.State {
	t.Helper()
	return with(t, registry.New("test"), &registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()},
		putMember("db1"), putMember("db2"), putMember("db3"))
}

// serving is orders with primary db1 in epoch 1; db2 and db3 acknowledge.
func serving(t testing.TB) *registry.State {
	t.Helper()
	return with(t, forming(t), revoke(1, ""), elect(1, "db1", "db2 db3", registry.ProofFormed, "db1 db2 db3"), establish(1))
}

// orders returns the database.
func orders(t testing.TB, s *registry.State) *registry.Database {
	t.Helper()
	d, ok := s.Database("orders")
	if !ok {
		t.Fatal("no database orders")
	}
	return d
}

// records returns what the state publishes, by name; a name that is there twice fails the test.
func records(t testing.TB, s *registry.State) map[string]registry.Record {
	t.Helper()
	out := map[string]registry.Record{}
	for _, r := range s.Records() {
		if _, twice := out[r.Name]; twice {
			t.Errorf("two records of %s", r.Name)
		}
		out[r.Name] = r
	}
	return out
}

// show writes a record's addresses and targets in one line.
func show(r registry.Record) string {
	line := fmt.Sprint(r.Addrs)
	for _, target := range r.Targets {
		line += fmt.Sprintf(" %s:%d/%d", target.Name, target.Port, target.Weight)
	}
	return line
}

package promote

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// scene is a database in the words of the tests of this room.
type scene struct{ d *registry.Database }

// group is n members that serve in epoch 1: db1 reigns and the others acknowledge.
func group(n int) *scene {
	policy := registry.DefaultPolicy()
	policy.Expect = n
	s := &scene{&registry.Database{Name: "orders", Policy: policy, Epoch: 1, Phase: registry.Serving, Primary: "db1", K: 1,
		Durability: registry.Lossless, Reign: registry.Reign{Base: uuid(1) + ":1", Source: uuid(1)}}}
	for i := 1; i <= n; i++ {
		id := registry.InstanceID(fmt.Sprintf("db%d", i))
		s.d.Members = append(s.d.Members, registry.Member{ID: id, Node: registry.NodeID(id), Address: fmt.Sprintf("10.0.0.%d:3306", i),
			ServerUUID: uuid(i), Flavor: registry.MySQL, Preference: registry.Normal, PromiseFile: "file-" + string(id)})
		if i > 1 {
			s.d.Ackers = append(s.d.Ackers, id)
		}
	}
	return s
}

func uuid(i int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", i) }

func (s *scene) with(f func(*registry.Database)) *scene {
	f(s.d)
	return s
}

// forming is the group before its first reign.
func (s *scene) forming() *scene {
	s.d.Phase, s.d.Epoch, s.d.Primary, s.d.Ackers, s.d.K, s.d.Reign = registry.Forming, 0, "", nil, 0, registry.Reign{}
	return s
}

// fencing is the group after the reign of db1 was revoked.
func (s *scene) fencing() *scene {
	s.d.Phase, s.d.Epoch, s.d.Primary, s.d.Former = registry.Fencing, 2, "", "db1"
	s.d.Cause = registry.Cause{Code: decide.PrimaryGone}
	return s
}

// closing is the group while db1 hands over to db2.
func (s *scene) closing() *scene {
	s.d.Phase, s.d.Epoch, s.d.Primary, s.d.Former, s.d.To = registry.Closing, 2, "", "db1", "db2"
	return s
}

// promoting is the group while db2 is on its way to its first marker.
func (s *scene) promoting() *scene {
	s.fencing()
	s.d.Phase, s.d.Primary, s.d.Base, s.d.Proof = registry.Promoting, "db2", uuid(1)+":1-9", registry.ProofFenced
	s.d.NextK = s.d.Policy.K
	for _, m := range s.d.Members[2:] {
		s.d.NextAckers = append(s.d.NextAckers, m.ID)
	}
	return s
}

// decoded makes a state of a database in the way a snapshot is read.
func decoded(t testing.TB, d *registry.Database) *registry.State {
	t.Helper()
	body, err := json.Marshal(map[string]any{"cluster": "test", "index": 1, "databases": []*registry.Database{d}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := codec.DecodeState(append([]byte{1}, body...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

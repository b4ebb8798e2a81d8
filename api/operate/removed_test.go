package operate_test

import (
	"slices"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/registry"
)

func TestAServerWithoutVotesWhoseNameIsLeftWasRemoved(t *testing.T) {
	st := registry.New("prod")
	for i, n := range []registry.Node{{ID: "n1", Role: registry.RoleServer}, {ID: "n2", Role: registry.RoleServer}, {ID: "n3", Role: registry.RoleServer}, {ID: "web1", Role: registry.RoleClient}} {
		n.Address = "10.0.0.1"
		next, err := st.Next(registry.Index(i+1), &registry.PutNode{Node: n})
		if err != nil {
			t.Fatal(err)
		}
		st = next
	}
	n1, n2, n3 := api.RaftPeer{Node: "n1", Voter: true}, api.RaftPeer{Node: "n2", Voter: true}, api.RaftPeer{Node: "n3"}
	for name, c := range map[string]struct {
		members []api.RaftPeer
		want    []registry.NodeID
	}{
		"nothing is known":            {nil, nil},
		"all are there":               {[]api.RaftPeer{n1, n2, n3}, nil},
		"one was taken out":           {[]api.RaftPeer{n1, n2}, []registry.NodeID{"n3"}},
		"one that never came is fine": {[]api.RaftPeer{n1, n2, n3, {Node: "n4"}}, nil},
	} {
		if got := operate.Removed(st, c.members); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

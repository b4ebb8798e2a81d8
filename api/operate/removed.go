package operate

import (
	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// Removed are the servers whose names st still holds although they are no members of the consensus any more, as its leader
// sees it: somebody took their votes, and died before their names were forgotten. A server registers only once it is a member.
func Removed(st *registry.State, members []api.RaftPeer) []registry.NodeID {
	if len(members) == 0 {
		return nil // whoever leads is a member: nothing is known
	}
	member := map[registry.NodeID]bool{}
	for _, m := range members {
		member[m.Node] = true
	}
	var gone []registry.NodeID
	for _, n := range st.Nodes() {
		if n.Role == registry.RoleServer && !member[n.ID] {
			gone = append(gone, n.ID)
		}
	}
	return gone
}

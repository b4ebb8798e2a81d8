package api

import "github.com/baton-db/baton/registry"

// RoleOperator is a person or a program with a certificate of its own; it is the role of no node.
const RoleOperator registry.Role = "operator"

// Peer is who is at the other end of a request, proved by its certificate. The zero Peer is a stranger.
type Peer struct {
	Role registry.Role
	Name string // the node's name; for an operator the person's
}

func (p Peer) String() string {
	if p == (Peer{}) {
		return "a stranger"
	}
	return string(p.Role) + "/" + p.Name
}

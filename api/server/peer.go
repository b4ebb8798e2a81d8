package server

import (
	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// Verb is what a route does, as far as permission goes.
type Verb string

// The verbs.
const (
	Probe   Verb = "probe"   // is this node up
	Read    Verb = "read"    // see the state, also as a stream
	Report  Verb = "report"  // say how this node's services are
	Propose Verb = "propose" // hand a command to the log
	Operate Verb = "operate" // change who does what
)

// Authorize says why p may not do v to db (empty: to the cluster), or nil. Every route asks it and nothing else.
//
//	server    everything
//	client    read, report; propose what concerns itself (authorizeCommand)
//	operator  everything but report and propose
//	stranger  probe
func Authorize(p api.Peer, v Verb, db registry.DatabaseName) error {
	allowed := false
	switch p.Role {
	case registry.RoleServer:
		allowed = true
	case registry.RoleClient:
		allowed = v != Operate
	case api.RoleOperator:
		allowed = v != Report && v != Propose
	}
	if allowed || v == Probe {
		return nil
	}
	what := "the cluster"
	if db != "" {
		what = "database " + string(db)
	}
	if p == (api.Peer{}) {
		return api.NewProblem(api.CodeStranger, "present a certificate of this cluster", "nobody may %s %s without a certificate", v, what)
	}
	return api.NewProblem(api.CodeForbidden, needs(v), "%s may not %s %s", p, v, what)
}

func needs(v Verb) string {
	if v == Operate {
		return "this needs the role operator or server"
	}
	return "this needs the certificate of a node: the role client or server"
}

// authorizeCommand says why p may not propose c, or nil: a client registers itself and what runs on it. Servers propose
// anything. s should be the leader's state: a client creates a database but does not change one.
func authorizeCommand(p api.Peer, s *registry.State, c registry.Command) error {
	if p.Role == registry.RoleServer {
		return nil
	}
	var owner registry.NodeID
	switch c := c.(type) {
	case *registry.PutNode:
		if c.Node.Role != registry.RoleClient {
			return api.NewProblem(api.CodeForbidden, "servers register themselves", "%s may not register the %s %s", p, c.Node.Role, c.Node.ID)
		}
		owner = c.Node.ID
	case *registry.PutService:
		owner = c.Instance.Node
	case *registry.RemoveService:
		owner = c.Node
	case *registry.SetServiceHealth:
		owner = c.Node
	case *registry.PutMember:
		owner = c.Member.Node
		if other, ok := memberNode(s, c.Database, c.Member.ID); ok && other != owner {
			return api.NewProblem(api.CodeForbidden, "remove the member first", "%s may not take over %s of %s from node %s", p, c.Member.ID, c.Database, other)
		}
	case *registry.PutDatabase:
		if _, ok := s.Database(c.Name); ok {
			return api.NewProblem(api.CodeForbidden, "an operator changes policies", "%s may not change database %s", p, c.Name)
		}
		return nil
	default:
		return api.NewProblem(api.CodeForbidden, "a client registers nodes, services and members", "%s may not propose %T", p, c)
	}
	if string(owner) != p.Name {
		return api.NewProblem(api.CodeForbidden, "a node speaks for itself only", "%s may not speak for node %s", p, owner)
	}
	return nil
}

// authorizeReport says why p may not send r, or nil. Reports carry promises and fenced positions, so nobody speaks for
// another node, and a registered instance reports from the node it is registered on (G1, G3).
func authorizeReport(p api.Peer, s *registry.State, r *health.Report) error {
	for _, name := range []string{string(r.Database), string(r.Instance), string(r.Node)} {
		if err := registry.ValidName(name); err != nil {
			return api.NewProblem(api.CodeMalformed, "", "report: %v", err)
		}
	}
	if string(r.Node) != p.Name {
		return api.NewProblem(api.CodeForbidden, "a node speaks for itself only", "%s may not report for node %s", p, r.Node)
	}
	if node, ok := memberNode(s, r.Database, r.Instance); ok && node != r.Node {
		return api.NewProblem(api.CodeForbidden, "register the member on its new node first",
			"%s reports for %s of %s, which is registered on node %s", p, r.Instance, r.Database, node)
	}
	return nil
}

func memberNode(s *registry.State, db registry.DatabaseName, id registry.InstanceID) (registry.NodeID, bool) {
	d, ok := s.Database(db)
	if !ok {
		return "", false
	}
	m, ok := d.Member(id)
	return m.Node, ok
}

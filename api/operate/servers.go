package operate

import (
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// Servers says why the consensus, as its leader sees it, cannot be changed as req wants, or nil. The error is a
// *api.Problem with the way out.
func Servers(raft api.RaftStatus, req api.ServersRequest) error {
	if (req.Add == "") == (req.Remove == "") || (req.Add == "") != (req.Address == "") {
		return api.NewProblem(api.CodeMalformed, "name one server to add with its address, or one to remove", "add %q at %q, remove %q", req.Add, req.Address, req.Remove)
	}
	if req.Add != "" {
		return mayJoin(raft, req.Add, req.Address)
	}
	return mayGo(raft, req.Remove)
}

// mayJoin lets nobody in while somebody is missing: one more voter makes the majority larger.
func mayJoin(raft api.RaftStatus, id registry.NodeID, addr string) error {
	if err := registry.ValidName(string(id)); err != nil {
		return api.NewProblem(api.CodeMalformed, "", "add: %v", err)
	}
	for _, p := range raft.Peers {
		switch {
		case p.Node == id && p.Address == addr && p.Voter:
			return api.NewProblem(api.CodeServers, "nothing is to be done", "%s at %s votes already", id, addr)
		case p.Node == id && p.Address != addr:
			return api.NewProblem(api.CodeServers, "if it has moved, or has lost its disk: baton server remove "+string(id), "%s is a server at %s already", id, p.Address)
		case p.Node != id && p.Address == addr:
			return api.NewProblem(api.CodeServers, "if it is gone: baton server remove "+string(p.Node), "%s is the address of %s", addr, p.Node)
		}
		if silence := contact(p); p.Node != id && p.Voter && silence > HeardWithin {
			return api.NewProblem(api.CodeServers, "start it; if it is gone for good: baton server remove "+string(p.Node),
				"%s has not answered for %s, and with one more server a majority is harder to reach", p.Node, silence.Round(time.Millisecond))
		}
	}
	return nil
}

// mayGo lets only those go that are gone: one that runs would go on taking part in what it still believes in.
func mayGo(raft api.RaftStatus, id registry.NodeID) error {
	for _, p := range raft.Peers {
		switch silence := contact(p); {
		case p.Node != id:
		case id == raft.Leader:
			return api.NewProblem(api.CodeServers, "stop baton on it first; another server leads then", "%s leads", id)
		case silence >= 0 && silence <= HeardWithin:
			return api.NewProblem(api.CodeServers, "stop baton on it first", "%s answered %s ago: it is not gone", id, silence)
		default:
			return nil
		}
	}
	return api.NewProblem(api.CodeNoServer, "baton status -o json lists the servers", "%s is not a server of this cluster", id)
}

// contact is how long ago p answered; below zero: not known.
func contact(p api.RaftPeer) time.Duration { return time.Duration(p.ContactMillis) * time.Millisecond }

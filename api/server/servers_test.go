package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

func TestAServerThatIsRemovedIsForgottenByName(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	s1 := r.node("s1")
	s1.peersAre(api.RaftPeer{Node: "s1", Address: "10.0.0.1:7450", Voter: true}, api.RaftPeer{Node: "s3", Address: "10.0.0.3:7450", Voter: true, ContactMillis: 90_000})
	r.must(&registry.PutNode{Node: registry.Node{ID: "s3", Address: "10.0.0.3", API: "10.0.0.3:7450", Role: registry.RoleServer}})
	client := r.client(r.as(identity.RoleOperator, "alice"), "s2") // which is not the leader
	before, err := client.Status(t.Context(), api.Current)
	if err != nil || len(before.Raft.Peers) != 2 || before.Raft.Peers[0].Registered || !before.Raft.Peers[1].Registered {
		t.Errorf("who has registered: %+v %v", before.Raft.Peers, err)
	}
	res, err := client.Servers(t.Context(), api.ServersRequest{Remove: "s3", Reason: "its disk died"}, 0)
	if err != nil || len(res.Servers) != 1 {
		t.Fatalf("remove: %+v %v", res, err)
	}
	if _, known := s1.State().Node("s3"); known {
		t.Error("its name is still registered, so it could never come back")
	}
	_, err = client.Servers(t.Context(), api.ServersRequest{Add: "s3", Address: "10.0.0.3"}, 0)
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Code != api.CodeMalformed {
		t.Errorf("an address without a port: %v", err)
	}
	_, err = client.Servers(t.Context(), api.ServersRequest{Remove: "s3"}, 0)
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Code != api.CodeNoServer {
		t.Errorf("again: %v", err)
	}
	if res, err = client.Servers(t.Context(), api.ServersRequest{Add: "s3", Address: "10.0.0.3:7450"}, 0); err != nil || len(res.Servers) != 2 || res.Servers[1].Registered {
		t.Errorf("add: %+v %v", res, err)
	}
}

func TestARemovalThatLostItsLeaderHalfWayIsNotSaidToBeUndone(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	s1 := r.node("s1")
	s1.peersAre(api.RaftPeer{Node: "s1", Address: "10.0.0.1:7450", Voter: true}, api.RaftPeer{Node: "s3", Address: "10.0.0.3:7450", Voter: true, ContactMillis: 90_000})
	r.must(&registry.PutNode{Node: registry.Node{ID: "s3", Address: "10.0.0.3", API: "10.0.0.3:7450", Role: registry.RoleServer}})
	s1.onRemove = func() { r.group.lead("") }
	_, err := r.client(r.as(identity.RoleOperator, "alice"), "s1").Servers(t.Context(), api.ServersRequest{Remove: "s3"}, 0)
	if !errors.Is(err, api.ErrInDoubt) {
		t.Errorf("its vote is gone, and the answer is %v", err)
	}
}

// The leader that took a server's votes died before it forgot its name, with which the server could not come back.
func TestTheNextLeaderFinishesARemoval(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	s2 := r.node("s2")
	for _, id := range []registry.NodeID{"s1", "s2", "s3"} {
		r.must(&registry.PutNode{Node: registry.Node{ID: id, Address: "10.0.0.3", API: "10.0.0.3:7450", Role: registry.RoleServer}})
	}
	s2.peersAre(api.RaftPeer{Node: "s1", Voter: true}, api.RaftPeer{Node: "s2", Voter: true})
	r.group.lead("s2")
	door, err := server.New(server.Config{Node: "s2", Backend: s2, Identify: identify, Forward: r.as(identity.RoleServer, "s2"), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	var term sync.WaitGroup
	defer term.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	term.Go(func() { door.FinishRemovals(ctx) })
	for {
		changed := s2.Changed()
		if _, known := s2.State().Node("s3"); !known {
			break
		}
		select {
		case <-changed:
		case <-deadline(t):
			t.Fatal("its name is still registered")
		}
	}
	for _, id := range []registry.NodeID{"s1", "s2"} {
		if _, known := s2.State().Node(id); !known {
			t.Errorf("%s was forgotten, and votes", id)
		}
	}
}

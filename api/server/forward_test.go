package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

// soon keeps tests of deadlines short.
func soon(c *server.Config) { c.RequestTime = 300 * time.Millisecond }

func TestAReadIsFreshWhicheverServerIsAsked(t *testing.T) {
	r := start(t, nil, "s1", "s2", "s3")
	r.reign()
	s2 := r.node("s2")
	s2.behind = true // it has not applied what follows
	want := r.must(clientNode("web1"))
	op := r.as(identity.RoleOperator, "alice")
	for _, id := range []registry.NodeID{"s1", "s2"} {
		v, err := r.client(op, id).Status(t.Context(), api.Current)
		if err != nil {
			t.Fatal(err)
		}
		if v.Node != "s1" || v.Meta.Index != want || v.Meta.Stale {
			t.Errorf("asked %s: %s answered at %d, want s1 at %d", id, v.Node, v.Meta.Index, want)
		}
	}
	if n := r.node("s1").barrierCount(); n != 2 {
		t.Errorf("%d reads went through the log, want 2", n)
	}
}

func TestAStaleReadSaysHowOldItMayBe(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	r.reign()
	at := r.node("s2").State().Index()
	r.node("s2").behind = true
	r.node("s2").cutOff(1500 * time.Millisecond)
	r.must(clientNode("web1"))
	v, err := r.client(r.as(identity.RoleClient, "web1"), "s2").Database(t.Context(), "orders", api.Stale)
	if err != nil {
		t.Fatal(err)
	}
	want := api.Meta{Index: at, Stale: true, KnownLeader: "s1", LastContact: 1500 * time.Millisecond}
	if v.Meta != want {
		t.Errorf("got %+v, want %+v", v.Meta, want)
	}
	if n := r.node("s1").barrierCount() + r.node("s2").barrierCount(); n != 0 {
		t.Errorf("%d barriers", n)
	}
}

func TestWithoutQuorumNothingIsServedInSilence(t *testing.T) {
	r := start(t, soon, "s1", "s2")
	r.reign()
	r.group.stuck = true
	c := r.client(r.as(identity.RoleServer, "s9"), "s1", "s2")
	if _, err := c.Status(t.Context(), api.Current); !errors.Is(err, api.ErrNoQuorum) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Status(t.Context(), api.Stale); err != nil {
		t.Errorf("stale read: %v", err)
	}
	if _, err := c.Propose(t.Context(), clientNode("web1")); !errors.Is(err, api.ErrInDoubt) {
		t.Errorf("write: %v", err)
	}
	r.group.lead("")
	if _, err := c.Propose(t.Context(), clientNode("web1")); !errors.Is(err, api.ErrNoQuorum) || errors.Is(err, api.ErrInDoubt) {
		t.Errorf("write without a leader: %v", err)
	}
	a := r.raw(r.as(identity.RoleOperator, "alice"), "GET", "/v1/status", "")
	if a.status != 503 || a.header.Get("Retry-After") != "1" || !strings.Contains(a.problem.Hint, "stale") {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestARequestIsForwardedAtMostOnce(t *testing.T) {
	r := start(t, nil, "s1", "s2", "s3")
	r.group.lead("s3")
	r.node("s1").believe("s2")
	r.node("s2").believe("s1") // each takes the other for the leader
	op := r.as(identity.RoleOperator, "alice")
	a := r.raw(op, "GET", "/v1/status", "")
	if a.status != 503 || a.problem.Code != api.CodeNotLeader || a.problem.Node != "s2" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.node("s1").believe("s3")
	r.node("s3").believe("s3")
	a = r.raw(op, "GET", "/v1/status", "", api.HeaderForwardedBy, "s1")
	if a.status != http.StatusLoopDetected || a.problem.Code != api.CodeLoop {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = r.raw(op, "GET", "/v1/status", "", api.HeaderForwardedBy, "s2")
	if a.problem.Code != api.CodeNotLeader || a.problem.Leader != "s3" || a.problem.LeaderAPI != r.servers["s3"].addr {
		t.Errorf("no hint to the leader: %s", a.body)
	}
}

func TestAServersProposalGoesToTheLeaderAndNoFurther(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	c, err := api.NewClient(api.ClientConfig{Addrs: api.Static(), Transport: r.as(identity.RoleServer, "s2"), Node: "s2", Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	i, err := c.ProposeTo(t.Context(), r.servers["s1"].addr, clientNode("web1"))
	if err != nil || i != r.node("s2").State().Index() {
		t.Errorf("index %d, %v", i, err)
	}
	r.group.lead("s2")
	_, err = c.ProposeTo(t.Context(), r.servers["s1"].addr, clientNode("web1"))
	if !errors.Is(err, api.ErrNotLeader) {
		t.Errorf("s1 does not lead, and said %v", err)
	}
}

func TestAForwardedRequestKeepsItsSender(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	r.reign()
	web := r.client(r.as(identity.RoleClient, "web1"), "s2")
	if _, err := web.Propose(t.Context(), clientNode("web1")); err != nil {
		t.Error(err)
	}
	// The server between would be allowed to; its client is not.
	_, err := web.Propose(t.Context(), clientNode("web2"))
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Code != api.CodeForbidden || p.Node != "s1" {
		t.Errorf("got %v, want a refusal by s1", err)
	}
	// Only servers are believed about whom they speak for.
	a := r.raw(r.as(identity.RoleClient, "web1"), "POST", "/v1/databases/orders/switchover", "{}",
		"Content-Type", "application/json", api.HeaderPeer, "server/s2")
	if a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestTheClientGoesOnToAServerThatAnswers(t *testing.T) {
	r := start(t, nil, "s1", "s2", "s3")
	c := r.client(r.as(identity.RoleServer, "s9"), "s3", "s2", "s1")
	r.servers["s3"].stop()
	r.servers["s2"].stop()
	for range 6 { // whichever it begins with
		if _, err := c.Propose(t.Context(), clientNode("web1")); err != nil {
			t.Error(err)
		}
	}
	r.servers["s1"].stop()
	if _, err := c.Status(t.Context(), api.Stale); err == nil {
		t.Error("nobody is there")
	}
}

// A connection that breaks behind the request leaves the outcome open: the client says so and does not ask again.
func TestAProposalIsNotRepeatedWhenItMayHaveArrived(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	committed, told := make(chan struct{}, 2), make(chan struct{})
	r.node("s1").onCommit = func() {
		committed <- struct{}{}
		<-told
	}
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	run(t, func(context.Context) error {
		_, err := r.client(r.as(identity.RoleServer, "s9"), "s1", "s2").Propose(ctx, clientNode("web1"))
		answered <- err
		return nil
	})
	<-committed
	cancel()
	err := <-answered
	close(told)
	if !errors.Is(err, api.ErrInDoubt) {
		t.Errorf("got %v", err)
	}
	select {
	case <-committed:
		t.Error("it was proposed again")
	default:
	}
}

func TestRefusalsOfTheLogReachTheClient(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	c := r.client(r.as(identity.RoleServer, "s1"), "s1")
	for _, x := range []struct {
		cmd    registry.Command
		target error
	}{
		{&registry.Revoke{Database: "orders", Epoch: 9}, registry.ErrStale},
		{&registry.PutNode{Node: registry.Node{ID: "UP"}}, registry.ErrInvalid},
		{&registry.RemoveNode{ID: "nobody"}, registry.ErrUnknown},
	} {
		if _, err := c.Propose(t.Context(), x.cmd); !errors.Is(err, x.target) {
			t.Errorf("%T: %v, want %v", x.cmd, err, x.target)
		}
	}
	if a := r.raw(r.as(identity.RoleServer, "s2"), "POST", "/v1/propose", "\x01\x00\x63{}", "Content-Type", api.CommandType); a.status != 400 {
		t.Errorf("a kind that does not exist: %d %s", a.status, a.body)
	}
	if a := r.raw(r.as(identity.RoleServer, "s2"), "POST", "/v1/propose", "\x01\x00\x01{}{}", "Content-Type", api.CommandType); a.status != 400 {
		t.Errorf("trailing bytes: %d %s", a.status, a.body)
	}
}

func TestAClientRegistersOnlyItself(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	c := r.client(r.as(identity.RoleClient, "db9"), "s1")
	own := member("db9", 9)
	asServer := clientNode("db9")
	asServer.Node.Role = registry.RoleServer
	taken := member("db1", 8)
	taken.Member.Node = "db9"
	service := func(n registry.NodeID) registry.ServiceInstance {
		return registry.ServiceInstance{Service: "web", ID: "1", Node: n, Address: "10.0.0.1", Port: 80}
	}
	for _, x := range []struct {
		what string
		cmd  registry.Command
		may  bool
	}{
		{"itself", clientNode("db9"), true},
		{"another node", clientNode("db8"), false},
		{"itself as a server", asServer, false},
		{"its member", own, true},
		{"another's member", member("db8", 8), false},
		{"a member that another node has", taken, false},
		{"its service", &registry.PutService{Instance: service("db9")}, true},
		{"another's service", &registry.PutService{Instance: service("db8")}, false},
		{"the health of its service", &registry.SetServiceHealth{Service: "web", Node: "db9", ID: "1"}, true},
		{"the end of its service", &registry.RemoveService{Service: "web", Node: "db9", ID: "1"}, true},
		{"the end of a node", &registry.RemoveNode{ID: "db9"}, false},
		{"a new database", &registry.PutDatabase{Name: "books", Policy: registry.DefaultPolicy()}, true},
		{"the policy of a database", &registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()}, false},
		{"the end of a reign", &registry.Revoke{Database: "orders", Epoch: 2}, false},
		{"an acker", &registry.AddAcker{Database: "orders", Epoch: 1, Instance: "db9"}, false},
	} {
		_, err := c.Propose(t.Context(), x.cmd)
		if (err == nil) != x.may {
			t.Errorf("%s: %v, may: %t", x.what, err, x.may)
		}
		if p, ok := errors.AsType[*api.Problem](err); err != nil && (!ok || p.Code != api.CodeForbidden) {
			t.Errorf("%s: refused with %v", x.what, err)
		}
	}
}

func TestProbesNeedNoCertificate(t *testing.T) {
	r := start(t, nil, "s1")
	for target, want := range map[string]int{"/v1/livez": 200, "/v1/readyz": 200, "/v1/healthz": 200} {
		if a := r.raw(r.stranger(), "GET", target, ""); a.status != want {
			t.Errorf("%s: %d", target, a.status)
		}
	}
	r.node("s1").cutOff(time.Minute)
	for target, want := range map[string]int{"/v1/livez": 200, "/v1/readyz": 503, "/v1/healthz": 503} {
		if a := r.raw(r.stranger(), "GET", target, ""); a.status != want {
			t.Errorf("cut off: %s: %d", target, a.status)
		}
	}
}

// Right after a leader died nobody leads, for as long as an election takes.
func TestAPatientClientWaitsForTheNextLeader(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	op := r.as(identity.RoleOperator, "alice")
	for _, patience := range []time.Duration{0, time.Minute} {
		r.group.lead("")
		var asked atomic.Int32
		r.node("s2").onState = func() { // once for each request, and once when it is refused: an election ends after that
			if asked.Add(1) == 2 && patience > 0 {
				r.group.lead("s1")
			}
		}
		client, err := api.NewClient(api.ClientConfig{Addrs: api.Static(r.addrs("s2")...), Transport: op, Patience: patience, Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Status(t.Context(), api.Current)
		switch {
		case patience == 0 && (!errors.Is(err, api.ErrNoQuorum) || asked.Load() != 2):
			t.Errorf("without patience: looked at %d times: %v", asked.Load(), err)
		case patience > 0 && err != nil:
			t.Errorf("the next leader was not waited for: %v", err)
		}
	}
}

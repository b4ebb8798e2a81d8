package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/baton-db/baton/registry"
)

func TestThePrimarysNameFollowsThePhase(t *testing.T) {
	const none = "[]"
	fencing := func(t *testing.T) *registry.State { return with(t, serving(t), revoke(2, "")) }
	promoting := func(t *testing.T) *registry.State {
		return with(t, fencing(t), elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"))
	}
	for _, c := range []struct {
		name              string
		state             func(*testing.T) *registry.State
		primary, replicas string
		pending           bool
	}{
		{"forming", func(t *testing.T) *registry.State { return forming(t) }, none, none, false},
		{"fencing before the first reign", func(t *testing.T) *registry.State { return with(t, forming(t), revoke(1, "")) }, none, none, true},
		{"promoting before the first reign", func(t *testing.T) *registry.State {
			return with(t, forming(t), revoke(1, ""), elect(1, "db1", "db2 db3", registry.ProofFormed, "db1 db2 db3"))
		}, none, none, true},
		{"serving", func(t *testing.T) *registry.State { return serving(t) }, "[10.0.0.1]", "[10.0.0.2 10.0.0.3]", false},
		{"closing", func(t *testing.T) *registry.State { return with(t, serving(t), revoke(2, "db2")) }, none, "[10.0.0.2 10.0.0.3]", true},
		{"fencing", fencing, none, "[10.0.0.2 10.0.0.3]", true},
		{"promoting", promoting, none, "[10.0.0.3]", true},
		{"the former primary is no replica until it is seen to be one", func(t *testing.T) *registry.State {
			return with(t, promoting(t), establish(2))
		}, "[10.0.0.2]", "[10.0.0.3]", false},
		{"the former primary follows", func(t *testing.T) *registry.State {
			return with(t, promoting(t), establish(2), &registry.SetRotation{Database: "orders", Instance: "db1"})
		}, "[10.0.0.2]", "[10.0.0.1 10.0.0.3]", false},
		{"the former primary kept its reign", func(t *testing.T) *registry.State {
			return with(t, serving(t), revoke(2, "db2"), elect(2, "db1", "db2 db3", registry.ProofKept, ""), establish(2))
		}, "[10.0.0.1]", "[10.0.0.2 10.0.0.3]", false},
		{"a replica out of rotation", func(t *testing.T) *registry.State {
			return with(t, serving(t), &registry.SetRotation{Database: "orders", Instance: "db3", OutOf: why("ReplicaLagging")})
		}, "[10.0.0.1]", "[10.0.0.2]", false},
		{"a newcomer is no replica until it is seen to be one", func(t *testing.T) *registry.State {
			return with(t, serving(t), putMember("db4"))
		}, "[10.0.0.1]", "[10.0.0.2 10.0.0.3]", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.state(t)
			all, d := records(t, s), orders(t, s)
			primary, replicas := all["primary.orders.db"], all["replicas.orders.db"]
			if got := show(primary); got != c.primary || primary.Pending != c.pending || primary.TTL != 0 || primary.Epoch != d.Epoch {
				t.Errorf("primary %s, pending %t, ttl %s, epoch %d; want %s, %t, 0, %d", got, primary.Pending, primary.TTL, primary.Epoch,
					c.primary, c.pending, d.Epoch)
			}
			if got := show(replicas); got != c.replicas || replicas.Pending {
				t.Errorf("replicas %s, pending %t; want %s", got, replicas.Pending, c.replicas)
			}
			srv, want := all["_mysql._tcp.primary.orders.db"], none
			if c.primary != none {
				want = fmt.Sprintf("[] %s.orders.db:3306/0", d.Primary)
			}
			if got := show(srv); got != want || srv.Pending != c.pending || srv.TTL != 0 {
				t.Errorf("srv %s, pending %t; want %s", got, srv.Pending, want)
			}
			if text := all["why.primary.orders.db"].Text; len(text) != 1 || text[0] != d.Why() {
				t.Errorf("why %q, want %q", text, d.Why())
			}
			for _, m := range d.Members {
				if got := show(all[string(m.ID)+".orders.db"]); got != "["+strings.TrimSuffix(m.Address, ":3306")+"]" {
					t.Errorf("%s: %s, want its own address whatever the phase", m.ID, got)
				}
			}
		})
	}
}

func TestWhyExplainsThePrimarysName(t *testing.T) {
	for _, c := range []struct {
		name  string
		state *registry.State
		want  string
	}{
		{"forming", forming(t), "no primary yet: 3 of 3 expected members registered"},
		{"first election", with(t, forming(t), revoke(1, "")),
			"the first primary is being chosen, epoch 1, fencing since 1970-01-01T00:00:01Z: PrimaryGone: because"},
		{"serving", serving(t), "db1 is primary, epoch 1, since 1970-01-01T00:00:01Z: PrimaryGone: because"},
		{"serving, and something happened since", with(t, serving(t), putMember("db4"),
			&registry.AddAcker{Database: "orders", Epoch: 1, Instance: "db4", Cause: why("AckerAdded"), AtMillis: 60_000}),
			"db1 is primary, epoch 1, since 1970-01-01T00:00:01Z: PrimaryGone: because"},
		{"closing", with(t, serving(t), revoke(2, "db2")), "db1 is being replaced, epoch 2, closing since 1970-01-01T00:00:02Z: PrimaryGone: because"},
		{"fencing, and it was refused since", with(t, serving(t), revoke(2, ""),
			&registry.Refuse{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: "AckersMissing", Detail: "bring db3 back"}, AtMillis: 9000}),
			"db1 is being replaced, epoch 2, fencing since 1970-01-01T00:00:02Z: PrimaryGone: because; refused: AckersMissing: bring db3 back"},
		{"promoting", with(t, serving(t), revoke(2, ""), elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), &registry.PutDatabase{
			Name: "orders", Policy: registry.DefaultPolicy()}),
			"db1 is being replaced, epoch 2, promoting since 1970-01-01T00:00:02Z: PrimaryGone: because"},
	} {
		if got := orders(t, c.state).Why(); got != c.want {
			t.Errorf("%s: %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestWhyFitsOneTXTStringAndStaysText(t *testing.T) {
	for pad := range 4 {
		s := with(t, serving(t), &registry.Refuse{Database: "orders", Epoch: 1,
			Cause: registry.Cause{Code: "AckersMissing", Detail: strings.Repeat("x", pad) + strings.Repeat("日", 200)}})
		got := orders(t, s).Why()
		if len(got) > 255 || !utf8.ValidString(got) || !strings.HasSuffix(got, "日...") {
			t.Errorf("pad %d: %d bytes, valid %t: %q", pad, len(got), utf8.ValidString(got), got)
		}
	}
}

func TestServicesArePublishedByNameTagAndInstance(t *testing.T) {
	put := func(id, node, address string, port uint16, tags ...string) *registry.PutService {
		return &registry.PutService{Instance: registry.ServiceInstance{Service: "web", ID: id, Node: registry.NodeID(node), Address: address, Port: port, Tags: tags}}
	}
	heavy := put("c", "n2", "10.0.0.2", 8080, "blue", "canary")
	heavy.Instance.Weight = 5
	s := with(t, registry.New("test"), node("n1", "10.0.0.1"), node("n2", "10.0.0.2"),
		put("a", "n1", "10.0.0.1", 80, "blue"), put("b", "n1", "10.0.0.1", 81, "green"), heavy)
	failing := func(id, node string) *registry.SetServiceHealth {
		return &registry.SetServiceHealth{Service: "web", Node: registry.NodeID(node), ID: id, Failing: why("HTTP")}
	}
	for _, c := range []struct {
		name  string
		state *registry.State
		want  map[string]string
	}{
		{"all in rotation", s, map[string]string{
			"web.svc": "[10.0.0.1 10.0.0.2]", "blue.web.svc": "[10.0.0.1 10.0.0.2]", "green.web.svc": "[10.0.0.1]", "canary.web.svc": "[10.0.0.2]",
			"a.n1.web.svc": "[10.0.0.1]", "b.n1.web.svc": "[10.0.0.1]", "c.n2.web.svc": "[10.0.0.2]",
			"_web._tcp.svc": "[] a.n1.web.svc:80/1 b.n1.web.svc:81/1 c.n2.web.svc:8080/5",
			"n1.node":       "[10.0.0.1]", "n2.node": "[10.0.0.2]",
		}},
		{"one fails", with(t, s, failing("c", "n2")), map[string]string{
			"web.svc": "[10.0.0.1]", "blue.web.svc": "[10.0.0.1]", "green.web.svc": "[10.0.0.1]", "canary.web.svc": "[]",
			"a.n1.web.svc": "[10.0.0.1]", "b.n1.web.svc": "[10.0.0.1]", "c.n2.web.svc": "[10.0.0.2]",
			"_web._tcp.svc": "[] a.n1.web.svc:80/1 b.n1.web.svc:81/1",
			"n1.node":       "[10.0.0.1]", "n2.node": "[10.0.0.2]",
		}},
		{"all fail, and the names stay", with(t, s, failing("a", "n1"), failing("b", "n1"), failing("c", "n2")), map[string]string{
			"web.svc": "[]", "blue.web.svc": "[]", "green.web.svc": "[]", "canary.web.svc": "[]",
			"a.n1.web.svc": "[10.0.0.1]", "b.n1.web.svc": "[10.0.0.1]", "c.n2.web.svc": "[10.0.0.2]", "_web._tcp.svc": "[]",
			"n1.node": "[10.0.0.1]", "n2.node": "[10.0.0.2]",
		}},
		{"a node goes and takes its services along", with(t, s, &registry.RemoveNode{ID: "n1"}), map[string]string{
			"web.svc": "[10.0.0.2]", "blue.web.svc": "[10.0.0.2]", "canary.web.svc": "[10.0.0.2]",
			"c.n2.web.svc": "[10.0.0.2]", "_web._tcp.svc": "[] c.n2.web.svc:8080/5", "n2.node": "[10.0.0.2]",
		}},
		{"the last one is removed", with(t, s, &registry.RemoveNode{ID: "n1"}, &registry.RemoveService{Service: "web", Node: "n2", ID: "c"}),
			map[string]string{"n2.node": "[10.0.0.2]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := records(t, c.state)
			for name, want := range c.want {
				if r, ok := got[name]; !ok || show(r) != want {
					t.Errorf("%s: %s, there %t; want %s", name, show(r), ok, want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%d names, want %d", len(got), len(c.want))
			}
		})
	}
}

func TestRecordsAreSortedAndTheSameEachTime(t *testing.T) {
	s := rich(t)
	first := fmt.Sprint(s.Records())
	for range 20 {
		if got := fmt.Sprint(s.Records()); got != first {
			t.Fatalf("records differ: %s\n%s", first, got)
		}
	}
	if !slices.IsSortedFunc(s.Records(), func(a, b registry.Record) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("records are not sorted by name")
	}
}

func TestANodesNameIsTheOneItsAddressLeadsBackTo(t *testing.T) {
	for name, r := range records(t, rich(t)) {
		if r.Canonical != strings.HasSuffix(name, ".node") {
			t.Errorf("%s: canonical %t", name, r.Canonical)
		}
	}
}

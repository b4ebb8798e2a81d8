package dnsserver

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const soa42 = "SOA db1.node.baton.internal. hostmaster.baton.internal. 42 60 10 86400 1"

func TestAnswersOfAServingCluster(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, orders(), 42)
	nodata := "NOERROR aa\n! baton.internal. 1 IN " + soa42
	nxdomain := "NXDOMAIN aa\n! baton.internal. 1 IN " + soa42
	glue := "\n+ db1.node.baton.internal. 5 IN A 127.0.0.1\n+ db2.node.baton.internal. 5 IN A 127.0.0.2"
	for _, test := range []struct{ question, want string }{
		{"primary.orders.db A", "NOERROR aa\n- primary.orders.db.baton.internal. 0 IN A 127.0.0.2"},
		{"PriMary.orders.DB A", "NOERROR aa\n- PriMary.orders.DB.baton.internal. 0 IN A 127.0.0.2"},
		{"primary.orders.db AAAA", nodata},
		{"primary.orders.db TXT", nodata},
		{"primary.orders.db HTTPS", nodata},
		{"primary.orders.db CNAME", nodata},
		{"primary.orders.db SOA", nodata},
		{"primary.orders.db ANY", "NOERROR aa\n- primary.orders.db.baton.internal. 60 IN HINFO \"RFC8482\" \"\""},
		{"why.primary.orders.db TXT",
			`NOERROR aa` + "\n" + `- why.primary.orders.db.baton.internal. 0 IN TXT "db2 is primary, epoch 7: a \\ \"b\""`},
		{"replicas.orders.db A", "NOERROR aa\n- replicas.orders.db.baton.internal. 5 IN A 127.0.0.1\n" +
			"- replicas.orders.db.baton.internal. 5 IN A 127.0.0.3"},
		{"_mysql._tcp.primary.orders.db SRV",
			"NOERROR aa\n- _mysql._tcp.primary.orders.db.baton.internal. 0 IN SRV 0 0 3306 db2.orders.db.baton.internal.\n" +
				"+ db2.orders.db.baton.internal. 5 IN A 127.0.0.2"},
		{"_web._tcp.svc SRV", "NOERROR aa\n- _web._tcp.svc.baton.internal. 5 IN SRV 0 1 80 a.app1.web.svc.baton.internal.\n" +
			"- _web._tcp.svc.baton.internal. 5 IN SRV 0 1 81 b.app1.web.svc.baton.internal.\n" +
			"+ a.app1.web.svc.baton.internal. 5 IN A 10.1.0.1\n+ a.app1.web.svc.baton.internal. 5 IN AAAA fd00::1\n" +
			"+ b.app1.web.svc.baton.internal. 5 IN A 10.1.0.1"},
		{"a.app1.web.svc AAAA", "NOERROR aa\n- a.app1.web.svc.baton.internal. 5 IN AAAA fd00::1"},
		// A name that exists is never NXDOMAIN: nothing healthy, and only names below it.
		{"web.svc A", nodata}, {"db A", nodata}, {"orders.db A", nodata}, {"node A", nodata}, {"svc ANY", nodata},
		{"_tcp.primary.orders.db SRV", nodata}, {"baton.internal. A", nodata},
		{"nobody A", nxdomain}, {"x.db2.orders.db A", nxdomain}, {"primary.nothing.db A", nxdomain},
		{"x.nobody ANY", nxdomain},
		{"baton.internal. SOA", "NOERROR aa\n- baton.internal. 1 IN " + soa42},
		{"baton.internal. NS", "NOERROR aa\n- baton.internal. 60 IN NS db1.node.baton.internal.\n" +
			"- baton.internal. 60 IN NS db2.node.baton.internal." + glue},
		// Labels with dots, escapes and other bytes are other names.
		{`primary\.orders.db A`, nxdomain}, {`primary\000.orders.db A`, nxdomain}, {`pr\195\164mary.orders.db A`, nxdomain},
		// Reverse names.
		{"2.0.0.127.in-addr.arpa. PTR", "NOERROR aa\n- 2.0.0.127.in-addr.arpa. 5 IN PTR db2.node.baton.internal."},
		{"2.0.0.127.In-Addr.Arpa. PTR", "NOERROR aa\n- 2.0.0.127.In-Addr.Arpa. 5 IN PTR db2.node.baton.internal."},
		{"2.0.0.127.in-addr.arpa. A", "NOERROR aa\n! 127.in-addr.arpa. 1 IN " + soa42},
		{"0.127.in-addr.arpa. PTR", "NOERROR aa\n! 127.in-addr.arpa. 1 IN " + soa42},
		{"9.0.0.127.in-addr.arpa. PTR", "NXDOMAIN aa\n! 127.in-addr.arpa. 1 IN " + soa42},
		{"1.0.1.10.in-addr.arpa. PTR", "NXDOMAIN aa\n! 10.in-addr.arpa. 1 IN " + soa42},
		{"x.999.-1.10.in-addr.arpa. PTR", "NXDOMAIN aa\n! 10.in-addr.arpa. 1 IN " + soa42},
		{"10.in-addr.arpa. NS", "NOERROR aa\n- 10.in-addr.arpa. 60 IN NS db1.node.baton.internal.\n" +
			"- 10.in-addr.arpa. 60 IN NS db2.node.baton.internal." + glue},
		{"1." + strings.Repeat("0.", 29) + "d.f.ip6.arpa. PTR",
			"NOERROR aa\n- 1." + strings.Repeat("0.", 29) + "d.f.ip6.arpa. 5 IN PTR six.node.baton.internal."},
		{"4.4.8.8.in-addr.arpa. PTR", "NOERROR aa\n- 4.4.8.8.in-addr.arpa. 5 IN PTR edge.node.baton.internal."},
		{"4.4.8.8.in-addr.arpa. MX", "NOERROR aa\n! 4.4.8.8.in-addr.arpa. 1 IN " + soa42},
		{"8.8.8.8.in-addr.arpa. PTR", "REFUSED"},
		{"4.8.8.in-addr.arpa. PTR", "REFUSED"},
		// Nothing of ours.
		{"example.com. A", "REFUSED"}, {"internal. NS", "REFUSED"}, {". NS", "REFUSED"}, {". A", "REFUSED"},
		{"xbaton.internal. A", "REFUSED"}, {`x\.baton.internal. A`, "REFUSED"}, {"arpa. SOA", "REFUSED"},
		// What nobody may ask.
		{"baton.internal. AXFR", "REFUSED"}, {"baton.internal. IXFR", "REFUSED"}, {"primary.orders.db OPT", "FORMERR"},
		{"primary.orders.db TSIG", "FORMERR"}, {"primary.orders.db TKEY", "FORMERR"}, {"primary.orders.db MAILA", "NOTIMP"},
	} {
		name, qtype, _ := strings.Cut(test.question, " ")
		for _, over := range []transport{overUDP, overTCP} {
			got := ask(t, s, pack(t, query1(name, qtype)), over)
			if diff := cmp.Diff(test.want, show(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.question, diff)
			}
			if got.Id != 4711 || !got.RecursionDesired {
				t.Errorf("%s: id %d, rd %t are not echoed", test.question, got.Id, got.RecursionDesired)
			}
		}
	}
}

func TestAnswerSaysWhy(t *testing.T) {
	s := newServer(t, Config{Hold: -1})
	edns := func(name, qtype string) []byte {
		m := query1(name, qtype)
		m.SetEdns0(1232, true)
		return pack(t, m)
	}
	check := func(name, qtype, want string) {
		t.Helper()
		got := ask(t, s, edns(name, qtype), overUDP)
		if diff := cmp.Diff(want, show(got)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", name, qtype, diff)
		}
		if o := got.IsEdns0(); o == nil || !o.Do() || o.UDPSize() != 1232 || o.Version() != 0 {
			t.Errorf("%s %s: OPT %v, want version 0, 1232 bytes and DO", name, qtype, o)
		}
	}
	early := "SERVFAIL\n+ option 15 14 (Not Ready): (this node has not heard the cluster's state yet)"
	check("primary.orders.db", "A", early)
	check("baton.internal.", "SOA", early)
	check("2.0.0.127.in-addr.arpa.", "PTR", early)
	check("example.com.", "A", "REFUSED\n+ option 15 20 (Not Authoritative): (this server knows baton.internal. only)")
	publish(t, s, revoked(), 43)
	soa0 := "\n! baton.internal. 0 IN " + strings.Replace(soa42, "42", "43", 1)
	soa1 := "\n! baton.internal. 1 IN " + strings.Replace(soa42, "42", "43", 1)
	chosen := soa0 + "\n+ option 15 0 (Other): (a new primary is being chosen, epoch 8"
	check("primary.orders.db", "A", "NOERROR aa"+chosen+"; ask TXT why.primary.orders.db.baton.internal.)")
	check("_mysql._tcp.primary.orders.db", "SRV", "NOERROR aa"+chosen+")")
	check("web.svc", "A", "NOERROR aa"+soa1+"\n+ option 15 0 (Other): (nothing behind this name is in rotation)")
	check("replicas.orders.db", "AAAA", "NOERROR aa"+soa1)
	check("orders.db", "A", "NOERROR aa"+soa1)
	check("baton.internal.", "AXFR", "REFUSED\n+ option 15 18 (Prohibited): (no zone transfer)")
	s.Stale(12_345_000_000)
	check("db1.node", "A", "NOERROR aa\n- db1.node.baton.internal. 5 IN A 127.0.0.1\n"+
		"+ option 15 3 (Stale Answer): (this node has heard no leader for 12.3s)")
	s.Stale(0)
	check("db1.node", "A", "NOERROR aa\n- db1.node.baton.internal. 5 IN A 127.0.0.1")
}

func TestAddressesComeInTurn(t *testing.T) {
	z, _ := build(Config{}.withDefaults(), orders(), 1)
	first := map[string]bool{}
	for turn := range uint32(2) {
		r := answer(z, question{name: "replicas.orders.db.baton.internal.", asked: "x.", qtype: 1, turn: turn})
		first[r.answer[0].String()] = true
	}
	if len(first) != 2 {
		t.Errorf("two turns begin with %v, want each address once", first)
	}
}

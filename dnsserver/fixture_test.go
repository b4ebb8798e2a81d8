package dnsserver

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/baton-db/baton/registry"
)

// orders are the records of a cluster with one database, its primary db2 serving in epoch 7, and one service.
func orders() []registry.Record {
	addr := netip.MustParseAddr
	ttl := 5 * time.Second
	all := []registry.Record{
		{Name: "primary.orders.db", Addrs: []netip.Addr{addr("127.0.0.2")}, Epoch: 7},
		{Name: "replicas.orders.db", Addrs: []netip.Addr{addr("127.0.0.1"), addr("127.0.0.3")}, TTL: ttl, Epoch: 7},
		{Name: "_mysql._tcp.primary.orders.db", Targets: []registry.Target{{Name: "db2.orders.db", Port: 3306}}, Epoch: 7},
		{Name: "why.primary.orders.db", Text: []string{`db2 is primary, epoch 7: a \ "b"`}, Epoch: 7},
		{Name: "web.svc", TTL: ttl},
		{Name: "_web._tcp.svc", TTL: ttl, Targets: []registry.Target{
			{Name: "a.app1.web.svc", Port: 80, Weight: 1}, {Name: "b.app1.web.svc", Port: 81, Weight: 1},
		}},
		{Name: "a.app1.web.svc", TTL: ttl, Addrs: []netip.Addr{addr("10.1.0.1"), addr("fd00::1")}},
		{Name: "b.app1.web.svc", TTL: ttl, Addrs: []netip.Addr{addr("10.1.0.1")}},
		{Name: "edge.node", Addrs: []netip.Addr{addr("8.8.4.4")}, TTL: ttl, Canonical: true},
		{Name: "six.node", Addrs: []netip.Addr{addr("fd00::1")}, TTL: ttl, Canonical: true},
	}
	for i := range 3 {
		a := addr(fmt.Sprintf("127.0.0.%d", i+1))
		all = append(all,
			registry.Record{Name: fmt.Sprintf("db%d.orders.db", i+1), Addrs: []netip.Addr{a}, TTL: ttl, Epoch: 7},
			registry.Record{Name: fmt.Sprintf("db%d.node", i+1), Addrs: []netip.Addr{a}, TTL: ttl, Canonical: true})
	}
	return all
}

// revoked are the same records while the successor of db2 is being chosen in epoch 8.
func revoked() []registry.Record {
	all := orders()
	for i := range all {
		if all[i].Epoch == 0 {
			continue
		}
		all[i].Epoch = 8
		if strings.HasSuffix(all[i].Name, "primary.orders.db") && all[i].Text == nil {
			all[i].Addrs, all[i].Targets, all[i].Pending = nil, nil, true
		}
	}
	return all
}

// promoted are the same records when db3 serves in epoch 8.
func promoted() []registry.Record {
	all := revoked()
	for i := range all {
		all[i].Pending = false
		switch all[i].Name {
		case "primary.orders.db":
			all[i].Addrs = []netip.Addr{netip.MustParseAddr("127.0.0.3")}
		case "_mysql._tcp.primary.orders.db":
			all[i].Targets = []registry.Target{{Name: "db3.orders.db", Port: 3306}}
		}
	}
	return all
}

func newServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Nameservers == nil {
		cfg.Nameservers = []string{"db1.node", "db2.node"}
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publish(t testing.TB, s *Server, records []registry.Record, index registry.Index) {
	t.Helper()
	if err := s.Publish(records, index); err != nil {
		t.Fatal(err)
	}
}

// query1 packs a question for name (absolute when it ends with a dot, else in the zone).
func query1(name, qtype string) *dns.Msg {
	if !strings.HasSuffix(name, ".") {
		name += ".baton.internal."
	}
	m := new(dns.Msg)
	m.Id = 4711
	m.RecursionDesired = true
	m.Question = []dns.Question{{Name: name, Qtype: dns.StringToType[qtype], Qclass: dns.ClassINET}}
	return m
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask returns the answer to a packet that is not held.
func ask(t testing.TB, s *Server, packet []byte, over transport) *dns.Msg {
	t.Helper()
	reply, wait := s.respond(packet, over)
	if wait != nil {
		t.Fatal("the question is held")
	}
	if reply == nil {
		t.Fatal("no answer")
	}
	return unpack(t, reply)
}

func unpack(t testing.TB, reply []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("answer %x: %v", reply, err)
	}
	return m
}

// show writes an answer in lines: rcode and flags, then each record with a letter for its section. Records of a section
// are sorted, because they come in turn.
func show(m *dns.Msg) string {
	flags := []string{dns.RcodeToString[m.Rcode]}
	if m.Rcode == dns.RcodeBadVers { // shares its number with BADSIG
		flags[0] = "BADVERS"
	}
	for _, f := range []struct {
		set  bool
		name string
	}{
		{m.Authoritative, "aa"}, {m.Truncated, "tc"}, {m.RecursionAvailable, "ra"}, {m.AuthenticatedData, "ad"},
		{!m.Response, "NOT A RESPONSE"}, {m.Zero, "z"},
	} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	lines := []string{strings.Join(flags, " ")}
	section := func(letter string, rrs []dns.RR) {
		var part []string
		for _, rr := range rrs {
			if opt, ok := rr.(*dns.OPT); ok {
				for _, o := range opt.Option {
					part = append(part, fmt.Sprintf("%s option %d %s", letter, o.Option(), o))
				}
				continue
			}
			part = append(part, letter+" "+strings.Join(strings.Fields(rr.String()), " "))
		}
		slices.Sort(part)
		lines = append(lines, part...)
	}
	section("-", m.Answer)
	section("!", m.Ns)
	section("+", m.Extra)
	return strings.Join(lines, "\n")
}

// raw makes a packet from a header and a body.
func raw(flags uint16, counts [4]uint16, body string) []byte {
	b := binary.BigEndian.AppendUint16(nil, 4711)
	b = binary.BigEndian.AppendUint16(b, flags)
	for _, c := range counts {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return append(b, body...)
}

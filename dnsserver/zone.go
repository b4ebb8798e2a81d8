package dnsserver

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/baton-db/baton/registry"
)

// The numbers of the SOA. minimum is how long anybody may remember that a name has no such record; the rest is for
// secondaries, which read the whole registry again when they see a new serial.
const (
	soaRefresh = 60
	soaRetry   = 10
	soaExpire  = 86400
	soaMinimum = 1
	nsTTL      = 60
)

// zone is everything that can be answered, by name. It is never changed after build.
type zone struct {
	domain string // canonical: lower case with the last dot
	index  registry.Index
	ready  bool // false before the first Publish: the names are not known yet
	nodes  map[string]*node
}

// node is one existing name: the owner of records, or an empty one with names below it.
type node struct {
	cut  *node // where the zone of this name begins: the owner of the SOA
	sets map[uint16][]dns.RR
	glue map[uint16][]dns.RR // addresses that belong into ADDITIONAL of an answer with sets[type]
	// pending says that a question for pendingTypes may be held.
	pending      bool
	pendingTypes []uint16
	epoch        registry.Epoch
	why          string // name of the TXT record that explains this one, or empty
}

// build makes the zone that shows records at index. Records that cannot be shown are left out and named in problems.
func build(cfg Config, records []registry.Record, index registry.Index) (z *zone, problems []string) {
	b := &builder{cfg: cfg, zone: &zone{domain: cfg.Domain, index: index, ready: true, nodes: map[string]*node{}}}
	b.cut(cfg.Domain)
	for _, name := range localReverseZones() {
		b.cut(name)
	}
	for _, name := range []string{"db", "svc", "node"} {
		b.at(name + "." + cfg.Domain)
	}
	records = slices.Clone(records)
	// Of two records with one name the one with the lower TTL wins, so a service never covers up a primary.
	slices.SortStableFunc(records, func(a, b registry.Record) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.TTL, b.TTL))
	})
	for i, r := range records {
		if i > 0 && r.Name == records[i-1].Name {
			b.problem("%s: two records with one name; the one with the lower TTL is shown", r.Name)
			continue
		}
		b.record(r)
	}
	b.nameservers()
	for _, link := range b.links {
		link()
	}
	return b.zone, b.problems
}

type builder struct {
	cfg      Config
	zone     *zone
	problems []string
	links    []func() // what needs every name to be known
}

func (b *builder) problem(format string, args ...any) {
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

// cut makes name the beginning of a zone: it owns a SOA and the NS records.
func (b *builder) cut(name string) *node {
	n := &node{sets: map[uint16][]dns.RR{}, glue: map[uint16][]dns.RR{}}
	n.cut = n
	n.sets[dns.TypeSOA] = []dns.RR{&dns.SOA{
		Hdr:     header(name, dns.TypeSOA, soaMinimum),
		Ns:      b.nameserver(0),
		Mbox:    "hostmaster." + b.cfg.Domain,
		Serial:  uint32(b.zone.index), // mod 2^32: RFC 1982 compares across the wrap
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: soaMinimum,
	}}
	b.zone.nodes[name] = n
	return n
}

func (b *builder) nameserver(i int) string {
	if len(b.cfg.Nameservers) == 0 {
		return "ns." + b.cfg.Domain
	}
	return dns.CanonicalName(b.cfg.Nameservers[i]) + b.cfg.Domain
}

// at returns the node of name, which it makes together with the empty ones above it up to the zone's beginning.
func (b *builder) at(name string) *node {
	if n := b.zone.nodes[name]; n != nil {
		return n
	}
	_, rest, _ := strings.Cut(name, ".") // every label passed plain, so a dot always separates
	n := &node{cut: b.at(rest).cut, sets: map[uint16][]dns.RR{}, glue: map[uint16][]dns.RR{}}
	b.zone.nodes[name] = n
	return n
}

// record shows r.
func (b *builder) record(r registry.Record) {
	name := r.Name + "." + b.cfg.Domain
	if err := plain(r.Name, name); err != nil {
		b.problem("%s: %v", r.Name, err)
		return
	}
	n := b.at(name)
	n.epoch = r.Epoch
	n.pending = r.Pending
	n.pendingTypes = []uint16{dns.TypeA, dns.TypeAAAA}
	if strings.HasPrefix(name, "_") {
		n.pendingTypes = []uint16{dns.TypeSRV}
	}
	if r.Pending && len(r.Addrs)+len(r.Targets) > 0 {
		b.problem("%s: pending and yet with an address; it is withheld", r.Name)
		r.Addrs, r.Targets = nil, nil
	}
	ttl := uint32(r.TTL / time.Second)
	for _, addr := range r.Addrs {
		b.address(n, name, addr, ttl)
		if r.Canonical {
			b.reverse(name, addr, ttl)
		}
	}
	for _, text := range r.Text {
		n.sets[dns.TypeTXT] = append(n.sets[dns.TypeTXT], &dns.TXT{Hdr: header(name, dns.TypeTXT, ttl), Txt: chunks(text)})
	}
	b.service(n, name, r, ttl)
	b.links = append(b.links, func() {
		if why := "why." + name; b.zone.nodes[why] != nil {
			n.why = why
		}
	})
}

func (b *builder) address(n *node, name string, addr netip.Addr, ttl uint32) {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.Is4():
		n.sets[dns.TypeA] = append(n.sets[dns.TypeA], &dns.A{Hdr: header(name, dns.TypeA, ttl), A: addr.AsSlice()})
	case addr.Is6():
		n.sets[dns.TypeAAAA] = append(n.sets[dns.TypeAAAA],
			&dns.AAAA{Hdr: header(name, dns.TypeAAAA, ttl), AAAA: addr.AsSlice()})
	}
}

// service shows the SRV records of r, and remembers to add the addresses of their targets.
func (b *builder) service(n *node, name string, r registry.Record, ttl uint32) {
	for _, t := range r.Targets {
		target := t.Name + "." + b.cfg.Domain
		if err := plain(t.Name, target); err != nil {
			b.problem("%s: target %s: %v", r.Name, t.Name, err)
			continue
		}
		n.sets[dns.TypeSRV] = append(n.sets[dns.TypeSRV], &dns.SRV{
			Hdr: header(name, dns.TypeSRV, ttl), Priority: t.Priority, Weight: t.Weight, Port: t.Port, Target: target,
		})
		b.glue(n, dns.TypeSRV, target)
	}
}

// glue adds the addresses of target, once, to the ADDITIONAL section of n's answers of this type.
func (b *builder) glue(n *node, qtype uint16, target string) {
	b.links = append(b.links, func() {
		t := b.zone.nodes[target]
		if t == nil || slices.ContainsFunc(n.glue[qtype], func(rr dns.RR) bool { return rr.Header().Name == target }) {
			return
		}
		n.glue[qtype] = append(append(n.glue[qtype], t.sets[dns.TypeA]...), t.sets[dns.TypeAAAA]...)
	})
}

// nameservers puts the NS records at every beginning of a zone.
func (b *builder) nameservers() {
	count := max(1, len(b.cfg.Nameservers))
	for name, n := range b.zone.nodes {
		if n.cut != n {
			continue
		}
		for i := range count {
			ns := b.nameserver(i)
			n.sets[dns.TypeNS] = append(n.sets[dns.TypeNS], &dns.NS{Hdr: header(name, dns.TypeNS, nsTTL), Ns: ns})
			b.glue(n, dns.TypeNS, ns)
		}
	}
}

// find returns the node of name (lower case, absolute) and true, or the closest one above it and false, or nil when
// name is in no zone of ours.
func (z *zone) find(name string) (n *node, exact bool) {
	if n := z.nodes[name]; n != nil {
		return n, true
	}
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		if n := z.nodes[name[off:]]; n != nil {
			return n, false
		}
	}
	return nil, false
}

// older reports the first reason for which next must not replace z (G6).
func (z *zone) older(next *zone) error {
	if next.index < z.index {
		return fmt.Errorf("index %d after %d: %w", next.index, z.index, ErrBackwards)
	}
	for name, n := range z.nodes {
		if m := next.nodes[name]; m != nil && m.epoch < n.epoch {
			return fmt.Errorf("%s epoch %d after %d (index %d after %d): %w",
				name, m.epoch, n.epoch, next.index, z.index, ErrBackwards)
		}
	}
	return nil
}

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// plain reports why relative, absolute with the domain, is no name that the registry would make.
func plain(relative, absolute string) error {
	if len(absolute) > 254 {
		return fmt.Errorf("%d bytes with the domain, at most 253 make a name", len(absolute)-1)
	}
	for label := range strings.SplitSeq(relative, ".") {
		if err := registry.ValidName(strings.TrimPrefix(label, "_")); err != nil {
			return err
		}
	}
	return nil
}

// chunks cuts text into the strings of one TXT record, of at most 255 bytes, in the form that miekg/dns packs.
func chunks(text string) []string {
	all := []string{}
	for part := range slices.Chunk([]byte(text), 255) {
		all = append(all, strings.ReplaceAll(string(part), `\`, `\\`))
	}
	if len(all) == 0 {
		all = append(all, "")
	}
	return all
}

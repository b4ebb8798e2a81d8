package registry

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Record is everything that DNS and hosts files show of one name. The name exists even when it has no address.
type Record struct {
	// Name is relative to the cluster's domain, lower case: "primary.orders.db".
	Name string
	// Addrs are the addresses of the name, sorted; empty: NODATA.
	Addrs []netip.Addr
	// Targets are the SRV records that hang under Name, for names that begin with an underscore.
	Targets []Target
	// Text is the TXT record.
	Text []string
	TTL  time.Duration
	// Pending says that a new primary is being chosen: a question may be held until it is known.
	Pending bool
	// Canonical marks the name that a reverse lookup of its address gives.
	Canonical bool
	// Epoch is the epoch of the database behind the name, 0 for other names.
	Epoch Epoch
}

// Target is one SRV record.
type Target struct {
	Name     string // relative to the domain, an owner of addresses
	Port     uint16
	Priority uint16
	Weight   uint16
}

// serviceTTL is how long an answer about anything but a primary may be kept.
const serviceTTL = 5 * time.Second

// Records returns what the state publishes, sorted by name. A primary's name has one address or none, never two, and
// none while nobody reigns (G6).
func (s *State) Records() []Record {
	var all []Record
	for _, n := range s.Nodes() {
		all = append(all, nodeRecords(n)...)
	}
	for _, d := range s.Databases() {
		all = append(all, databaseRecords(d)...)
	}
	all = append(all, serviceRecords(s.Services())...)
	slices.SortFunc(all, func(a, b Record) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func nodeRecords(n Node) []Record {
	addr, err := netip.ParseAddr(n.Address)
	if err != nil {
		return nil // Apply has checked it
	}
	name := fmt.Sprintf("%s.node", n.ID)
	return []Record{{Name: name, Addrs: []netip.Addr{addr}, TTL: serviceTTL, Canonical: true}}
}

func databaseRecords(d *Database) []Record {
	suffix := string(d.Name) + ".db"
	primary := Record{Name: "primary." + suffix, Epoch: d.Epoch, Pending: d.Interregnum()}
	replicas := Record{Name: "replicas." + suffix, Epoch: d.Epoch, TTL: serviceTTL}
	srv := Record{Name: "_mysql._tcp.primary." + suffix, Epoch: d.Epoch, Pending: primary.Pending}
	all := make([]Record, 0, len(d.Members)+4)
	for _, m := range d.Members {
		ap := m.addrPort()
		if !ap.IsValid() {
			continue // Apply has checked it
		}
		own := string(m.ID) + "." + suffix
		all = append(all, Record{Name: own, Addrs: []netip.Addr{ap.Addr()}, TTL: serviceTTL, Epoch: d.Epoch})
		switch {
		case d.Phase == Serving && m.ID == d.Primary:
			primary.Addrs = []netip.Addr{ap.Addr()}
			srv.Targets = []Target{{Name: own, Port: ap.Port()}}
		case m.OutOf.Zero() && d.reigned() && m.ID != d.Primary && m.ID != d.Former:
			replicas.Addrs = append(replicas.Addrs, ap.Addr())
		}
	}
	slices.SortFunc(replicas.Addrs, netip.Addr.Compare)
	why := Record{Name: "why.primary." + suffix, Text: []string{d.Why()}, Epoch: d.Epoch}
	return append(all, primary, replicas, srv, why)
}

// maxWhy is how many bytes Why may have: one string of a TXT record holds 255.
const maxWhy = 250

// Why explains in one line what the primary's name answers now.
func (d *Database) Why() string {
	since := time.UnixMilli(d.SinceMillis).UTC().Format(time.RFC3339)
	var line string
	switch {
	case d.Phase == Serving:
		line = fmt.Sprintf("%s is primary, epoch %d, since %s: %s", d.Primary, d.Epoch, since, d.Cause)
	case d.Phase == Forming:
		line = fmt.Sprintf("no primary yet: %d of %d expected members registered", len(d.Members), d.Policy.Expect)
	case d.Former == "":
		line = fmt.Sprintf("the first primary is being chosen, epoch %d, %s since %s: %s", d.Epoch, d.Phase, since, d.Cause)
	default:
		line = fmt.Sprintf("%s is being replaced, epoch %d, %s since %s: %s", d.Former, d.Epoch, d.Phase, since, d.Cause)
	}
	if !d.IsLossless() {
		line = strings.ToUpper(string(d.Durability)) + ", acknowledged writes can be lost: " + line
	}
	if !d.Refusal.Zero() {
		line += "; refused: " + d.Refusal.String()
	}
	if len(line) > maxWhy {
		line = strings.ToValidUTF8(line[:maxWhy-3], "") + "..."
	}
	return line
}

func serviceRecords(instances []ServiceInstance) []Record {
	byName := map[string]*Record{}
	at := func(name string) *Record {
		if byName[name] == nil {
			byName[name] = &Record{Name: name, TTL: serviceTTL}
		}
		return byName[name]
	}
	for _, i := range instances {
		addr, err := netip.ParseAddr(i.Address)
		if err != nil {
			continue // Apply has checked it
		}
		name := fmt.Sprintf("%s.svc", i.Service)
		names := []string{name}
		for _, t := range i.Tags {
			names = append(names, t+"."+name)
		}
		own := at(fmt.Sprintf("%s.%s.%s", i.ID, i.Node, name))
		own.Addrs = []netip.Addr{addr}
		srv := at(fmt.Sprintf("_%s._tcp.svc", i.Service))
		for _, n := range names {
			at(n) // exists even when nothing is healthy
		}
		if !i.Failing.Zero() {
			continue
		}
		srv.Targets = append(srv.Targets, Target{Name: own.Name, Port: i.Port, Weight: max(i.Weight, 1)})
		for _, n := range names {
			r := at(n)
			r.Addrs = append(r.Addrs, addr)
		}
	}
	all := make([]Record, 0, len(byName))
	for _, r := range byName {
		slices.SortFunc(r.Addrs, netip.Addr.Compare)
		r.Addrs = slices.Compact(r.Addrs)
		all = append(all, *r)
	}
	return all
}

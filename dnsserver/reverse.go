package dnsserver

import (
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// localReverseZones are the reverse zones that no public server knows (RFC 6303, RFC 7793): a question for a private
// address ends here.
func localReverseZones() []string {
	all := []string{
		"0.in-addr.arpa.", "10.in-addr.arpa.", "127.in-addr.arpa.", "254.169.in-addr.arpa.", "168.192.in-addr.arpa.",
		"2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa.",
		"255.255.255.255.in-addr.arpa.",
		"d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.",
		"8.b.d.0.1.0.0.2.ip6.arpa.",
		reverseName(netip.IPv6Unspecified()), reverseName(netip.IPv6Loopback()),
	}
	for i := 16; i < 32; i++ {
		all = append(all, fmt.Sprintf("%d.172.in-addr.arpa.", i))
	}
	for i := 64; i < 128; i++ {
		all = append(all, fmt.Sprintf("%d.100.in-addr.arpa.", i))
	}
	return all
}

// reverseName is the name under which a reverse lookup of addr asks.
func reverseName(addr netip.Addr) string {
	const hex = "0123456789abcdef"
	var b []byte
	if addr = addr.Unmap(); addr.Is4() {
		ip := addr.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", ip[3], ip[2], ip[1], ip[0])
	}
	ip := addr.As16()
	for i := len(ip) - 1; i >= 0; i-- {
		b = append(b, hex[ip[i]&15], '.', hex[ip[i]>>4], '.')
	}
	return string(b) + "ip6.arpa."
}

// reverse shows name at the reverse name of addr. An address outside the private ranges is a zone of its own, so that
// nothing around it is claimed.
func (b *builder) reverse(name string, addr netip.Addr, ttl uint32) {
	if !addr.IsValid() {
		return
	}
	arpa := reverseName(addr)
	n := b.zone.nodes[arpa]
	if n == nil {
		if above, _ := b.zone.find(arpa); above == nil {
			n = b.cut(arpa)
		} else {
			n = b.at(arpa)
		}
	}
	n.sets[dns.TypePTR] = append(n.sets[dns.TypePTR], &dns.PTR{Hdr: header(arpa, dns.TypePTR, ttl), Ptr: name})
}

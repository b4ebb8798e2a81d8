package dnsserver

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"
)

// question is what answer needs to know of a query.
type question struct {
	name  string // lower case, absolute, in presentation form
	asked string // the same name as it was asked; answers carry it
	qtype uint16
	turn  uint32 // where sets of several records begin, so that clients which take the first spread out
}

// reply is what a question gets; message makes a packet of it.
type reply struct {
	rcode         int
	authoritative bool
	answer        []dns.RR
	authority     []dns.RR
	additional    []dns.RR
	explain       *dns.EDNS0_EDE
	cut           *node // the zone that answers, for its version
	pending       bool  // a better answer may come soon: the question may be held
}

// screen returns the reply to what cannot or may not be asked, whatever the zone holds.
func screen(q query) (reply, bool) {
	switch {
	case q.rcode != dns.RcodeSuccess:
		return reply{rcode: q.rcode}, true
	case q.qclass != dns.ClassINET:
		return reply{rcode: dns.RcodeRefused, explain: explain(dns.ExtendedErrorCodeNotAuthoritative, "only class IN")}, true
	}
	switch q.qtype {
	case dns.TypeANY:
		return reply{}, false
	case dns.TypeAXFR, dns.TypeIXFR:
		return reply{rcode: dns.RcodeRefused, explain: explain(dns.ExtendedErrorCodeProhibited, "no zone transfer")}, true
	case dns.TypeNone, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY:
		return reply{rcode: dns.RcodeFormatError}, true
	}
	if q.qtype >= 128 && q.qtype < 255 { // the range of types that are questions and not data (RFC 6895)
		return reply{rcode: dns.RcodeNotImplemented}, true
	}
	return reply{}, false
}

// answer says what z knows about q. It is pure.
func answer(z *zone, q question) reply {
	n, exact := z.find(q.name)
	switch {
	case n == nil:
		return reply{
			rcode:   dns.RcodeRefused,
			explain: explain(dns.ExtendedErrorCodeNotAuthoritative, "this server knows "+z.domain+" only"),
		}
	case !z.ready:
		return reply{
			rcode:   dns.RcodeServerFailure,
			explain: explain(dns.ExtendedErrorCodeNotReady, "this node has not heard the cluster's state yet"),
		}
	case !exact:
		return negative(n, reply{rcode: dns.RcodeNameError})
	case q.qtype == dns.TypeANY && len(n.sets) > 0:
		hinfo := &dns.HINFO{Hdr: header(q.asked, dns.TypeHINFO, nsTTL), Cpu: "RFC8482"}
		return reply{authoritative: true, answer: []dns.RR{hinfo}, cut: n.cut}
	case len(n.sets[q.qtype]) == 0:
		return negative(n, reply{
			pending: n.pending && slices.Contains(n.pendingTypes, q.qtype),
			explain: n.explainEmpty(),
		})
	}
	return reply{
		authoritative: true,
		answer:        owned(n.sets[q.qtype], q),
		additional:    n.glue[q.qtype],
		cut:           n.cut,
	}
}

// negative completes a reply that has no answer: the SOA says for how long it may be remembered, which is not at all
// when a primary is being chosen.
func negative(n *node, r reply) reply {
	soa := n.cut.sets[dns.TypeSOA][0]
	if n.pending {
		soa = dns.Copy(soa)
		soa.Header().Ttl = 0
	}
	r.authoritative = true
	r.authority = []dns.RR{soa}
	r.cut = n.cut
	return r
}

// explainEmpty says why a name that stands for addresses has none, or nil for any other name.
func (n *node) explainEmpty() *dns.EDNS0_EDE {
	for _, t := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeTXT, dns.TypeSOA, dns.TypePTR} {
		if len(n.sets[t]) > 0 {
			return nil
		}
	}
	var text string
	switch {
	case n.pending:
		text = fmt.Sprintf("a new primary is being chosen, epoch %d", n.epoch)
	case n.pendingTypes != nil:
		text = "nothing behind this name is in rotation"
	default:
		return nil // only names below it exist
	}
	if n.why != "" {
		text += "; ask TXT " + n.why
	}
	return explain(dns.ExtendedErrorCodeOther, text)
}

// owned returns the records of a set in turn, under the name as it was asked.
func owned(set []dns.RR, q question) []dns.RR {
	all := make([]dns.RR, len(set))
	for i := range set {
		rr := dns.Copy(set[(i+int(q.turn%uint32(len(set))))%len(set)])
		rr.Header().Name = q.asked
		all[i] = rr
	}
	return all
}

func explain(code uint16, text string) *dns.EDNS0_EDE {
	return &dns.EDNS0_EDE{InfoCode: code, ExtraText: text}
}

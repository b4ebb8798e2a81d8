package dnsserver

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/miekg/dns"
)

// transport is how a question came.
type transport int

const (
	overUDP transport = iota
	overTCP
)

// limit is the largest answer in bytes that the client takes.
func (s *Server) limit(q query, t transport) int {
	switch {
	case t == overTCP:
		return dns.MaxMsgSize
	case q.edns == nil:
		return dns.MinMsgSize
	}
	return min(max(q.edns.size, dns.MinMsgSize), s.cfg.MaxUDP)
}

// message packs the reply to q.
func (s *Server) message(q query, r reply, t transport) []byte {
	m := new(dns.Msg)
	m.Id, m.Opcode, m.Response = q.id, q.opcode, true
	m.RecursionDesired, m.CheckingDisabled = q.rd, q.cd
	m.Rcode, m.Authoritative, m.Compress = r.rcode, r.authoritative, true
	if q.asked != "" {
		m.Question = []dns.Question{{Name: q.asked, Qtype: q.qtype, Qclass: q.qclass}}
	}
	m.Answer, m.Ns = r.answer, r.authority
	var pseudo []dns.RR
	if q.edns != nil {
		pseudo = append(pseudo, s.opt(q, r, t))
	}
	if q.tsig != nil {
		pseudo = append(pseudo, badKey(q.tsig))
	}
	return s.fit(m, r.additional, pseudo, s.limit(q, t))
}

// fit packs m into limit bytes: first without the additional records, then without the answer and with TC.
func (s *Server) fit(m *dns.Msg, additional, pseudo []dns.RR, limit int) []byte {
	m.Extra = append(append(make([]dns.RR, 0, len(additional)+len(pseudo)), additional...), pseudo...)
	b, err := m.Pack()
	if err == nil && len(b) > limit {
		m.Extra = pseudo
		b, err = m.Pack()
	}
	for err == nil && len(b) > limit {
		m.Truncated = true
		keep := 0
		if limit == dns.MaxMsgSize { // TCP: there is nothing bigger to ask for
			keep = len(m.Answer) * 3 / 4
		}
		m.Answer, m.Ns = m.Answer[:keep], nil
		b, err = m.Pack()
	}
	if err != nil {
		s.cfg.Logger.Error("pack a DNS answer", "question", m.Question, "error", err)
		return failure(m.Id)
	}
	return b
}

// failure is SERVFAIL without anything.
func failure(id uint16) []byte {
	b := make([]byte, headerSize)
	binary.BigEndian.PutUint16(b, id)
	binary.BigEndian.PutUint16(b[2:], flagQR|dns.RcodeServerFailure)
	return b
}

// opt is the OPT record of the answer to a client that sent one.
func (s *Server) opt(q query, r reply, t transport) *dns.OPT {
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	o.SetUDPSize(uint16(s.cfg.MaxUDP))
	o.SetDo(q.edns.do)
	if r.explain != nil {
		o.Option = append(o.Option, r.explain)
	}
	if age := s.staleFor(); age > 0 && r.authoritative {
		text := fmt.Sprintf("this node has heard no leader for %s", age)
		o.Option = append(o.Option, explain(dns.ExtendedErrorCodeStaleAnswer, text))
	}
	if q.edns.nsid && s.cfg.NodeID != "" {
		o.Option = append(o.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: hex.EncodeToString([]byte(s.cfg.NodeID))})
	}
	if q.edns.keepalive && t == overTCP {
		o.Option = append(o.Option, &dns.EDNS0_TCP_KEEPALIVE{
			Code: dns.EDNS0TCPKEEPALIVE, Timeout: uint16(idleTimeout.Milliseconds() / 100),
		})
	}
	if q.edns.zoneVersion && r.cut != nil {
		o.Option = append(o.Option, zoneVersion(r.cut))
	}
	return o
}

// zoneVersion is the version of the zone that begins at cut: its label count, type 0 (SOA serial), the serial.
func zoneVersion(cut *node) *dns.EDNS0_LOCAL {
	soa := cut.sets[dns.TypeSOA][0].(*dns.SOA)
	data := []byte{byte(dns.CountLabel(soa.Hdr.Name)), 0}
	return &dns.EDNS0_LOCAL{Code: dns.EDNS0ZONEVERSION, Data: binary.BigEndian.AppendUint32(data, soa.Serial)}
}

// badKey is the answer to a signature with a key that is not known, which is any (RFC 8945 section 5.2.1).
func badKey(asked *dns.TSIG) *dns.TSIG {
	return &dns.TSIG{
		Hdr:        dns.RR_Header{Name: asked.Hdr.Name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm:  asked.Algorithm,
		TimeSigned: asked.TimeSigned,
		Fudge:      asked.Fudge,
		OrigId:     asked.OrigId,
		Error:      dns.RcodeBadKey,
	}
}

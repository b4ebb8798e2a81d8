package dnsserver

import (
	"encoding/binary"
	"errors"

	"github.com/miekg/dns"
)

// query is one parsed packet. It shares no memory with the packet.
type query struct {
	id     uint16
	opcode int
	rd, cd bool
	// rcode is set when the packet cannot be answered: FORMERR, NOTIMP, NOTAUTH or BADVERS.
	rcode  int
	asked  string // name as it was asked, in presentation form; empty when there was no readable question
	name   string // the same in lower case
	qtype  uint16
	qclass uint16
	edns   *edns
	tsig   *dns.TSIG
}

// edns is what the client's OPT record says.
type edns struct {
	size        int
	version     uint8
	do          bool
	nsid        bool
	keepalive   bool
	zoneVersion bool // asks for the zone's version (RFC 9660)
}

const (
	headerSize = 12
	flagQR     = 1 << 15
	flagRD     = 1 << 8
	flagCD     = 1 << 4
)

var errPacket = errors.New("malformed packet")

// parse reads a packet. It is false for what must not be answered at all: less than a header, and responses, because
// two servers that answer responses talk for ever.
func parse(packet []byte) (query, bool) {
	if len(packet) < headerSize {
		return query{}, false
	}
	count := func(i int) int { return int(binary.BigEndian.Uint16(packet[4+2*i:])) }
	flags := binary.BigEndian.Uint16(packet[2:])
	if flags&flagQR != 0 {
		return query{}, false
	}
	q := query{
		id:     binary.BigEndian.Uint16(packet),
		opcode: int(flags >> 11 & 15),
		rd:     flags&flagRD != 0,
		cd:     flags&flagCD != 0,
	}
	switch {
	case q.opcode == dns.OpcodeUpdate || q.opcode == dns.OpcodeNotify:
		q.rcode = dns.RcodeRefused // understood, and nobody may
		return q, true
	case q.opcode != dns.OpcodeQuery:
		q.rcode = dns.RcodeNotImplemented
		return q, true
	case count(0) != 1 || count(1) != 0 || count(2) > 1 || count(3) > 2: // an IXFR has one SOA in AUTHORITY
		q.rcode = dns.RcodeFormatError
		return q, true
	}
	off, err := q.readQuestion(packet)
	for i := 0; i < count(2)+count(3) && err == nil; i++ {
		off, err = q.record(packet, off, i >= count(2))
	}
	q.conclude(err)
	return q, true
}

// conclude sets the rcode of a query that cannot be answered.
func (q *query) conclude(err error) {
	switch {
	case err != nil:
		q.rcode = dns.RcodeFormatError
	case q.edns != nil && q.edns.version > 0:
		q.rcode = dns.RcodeBadVers
	case q.tsig != nil:
		q.rcode = dns.RcodeNotAuth // baton has no keys
	}
}

// readQuestion reads the question section, which is one question, and returns the offset behind it.
func (q *query) readQuestion(packet []byte) (int, error) {
	off := headerSize
	for {
		if off >= len(packet) {
			return 0, errPacket
		}
		c := int(packet[off])
		if c > 63 { // a longer label, or a pointer: there is nothing before the first name to point to
			return 0, errPacket
		}
		off += 1 + c
		if c == 0 {
			break
		}
	}
	if off-headerSize > 255 || off+4 > len(packet) {
		return 0, errPacket
	}
	asked, _, err := dns.UnpackDomainName(packet[:off], headerSize)
	if err != nil {
		return 0, err
	}
	q.asked, q.name = asked, dns.CanonicalName(asked)
	q.qtype = binary.BigEndian.Uint16(packet[off:])
	q.qclass = binary.BigEndian.Uint16(packet[off+2:])
	return off + 4, nil
}

// record reads one record; only OPT and TSIG mean anything, and only in ADDITIONAL with TSIG last.
func (q *query) record(packet []byte, start int, additional bool) (int, error) {
	off, err := skipName(packet, start)
	if err != nil || off+10 > len(packet) {
		return 0, errPacket
	}
	rrtype := binary.BigEndian.Uint16(packet[off:])
	data := off + 10
	end := data + int(binary.BigEndian.Uint16(packet[off+8:]))
	if end > len(packet) || q.tsig != nil {
		return 0, errPacket
	}
	switch rrtype {
	case dns.TypeOPT:
		if !additional || q.edns != nil || packet[start] != 0 {
			return 0, errPacket
		}
		q.edns = parseOPT(packet[off:end])
	case dns.TypeTSIG:
		rr, _, err := dns.UnpackRR(packet[:end], start)
		tsig, ok := rr.(*dns.TSIG)
		if err != nil || !ok || tsig.Algorithm == "" || !additional {
			return 0, errPacket
		}
		q.tsig = tsig
	}
	return end, nil
}

// skipName returns the offset behind the name at off. A pointer ends it and must point to what came before; it is not
// followed.
func skipName(packet []byte, off int) (int, error) {
	start := off
	for off < len(packet) {
		c := int(packet[off])
		switch {
		case c == 0:
			return off + 1, nil
		case c < 64:
			off += 1 + c
		case c >= 192 && off+1 < len(packet):
			if to := (c&63)<<8 | int(packet[off+1]); to < headerSize || to >= start {
				return 0, errPacket
			}
			return off + 2, nil
		default:
			return 0, errPacket
		}
		if off-start > 255 {
			return 0, errPacket
		}
	}
	return 0, errPacket
}

// parseOPT reads an OPT record from its type on. Options that are unknown or make no sense are ignored.
func parseOPT(rr []byte) *edns {
	e := &edns{
		size:    int(binary.BigEndian.Uint16(rr[2:])),
		version: rr[5],
		do:      rr[6]&0x80 != 0,
	}
	for options := rr[10:]; len(options) >= 4; {
		code, size := binary.BigEndian.Uint16(options), int(binary.BigEndian.Uint16(options[2:]))
		if 4+size > len(options) {
			break
		}
		switch code {
		case dns.EDNS0NSID:
			e.nsid = true
		case dns.EDNS0TCPKEEPALIVE:
			e.keepalive = true
		case dns.EDNS0ZONEVERSION:
			e.zoneVersion = true
		}
		options = options[4+size:]
	}
	return e
}

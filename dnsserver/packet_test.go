package dnsserver

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/baton-db/baton/registry"
)

const (
	wireName = "\x07primary\x06orders\x02db\x05baton\x08internal\x00"
	wireA    = wireName + "\x00\x01\x00\x01"
	wireOPT  = "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00"
)

func TestHostilePackets(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, orders(), 42)
	one := [4]uint16{1, 0, 0, 0}
	opt := [4]uint16{1, 0, 0, 1}
	long := strings.Repeat("\x3f"+strings.Repeat("x", 63), 4)
	answered := "NOERROR aa\n- primary.orders.db.baton.internal. 0 IN A 127.0.0.2"
	for _, test := range []struct {
		name   string
		packet []byte
		want   string // empty: no answer
	}{
		{"0 bytes", nil, ""},
		{"less than a header", []byte("12345678901"), ""},
		{"a response", raw(flagQR, one, wireA), ""},
		{"a question", raw(0, one, wireA), answered},
		{"header only", raw(0, one, ""), "FORMERR"},
		{"no question", raw(0, [4]uint16{}, ""), "FORMERR"},
		{"65535 questions", raw(0, [4]uint16{65535}, wireA), "FORMERR"},
		{"two questions", raw(0, [4]uint16{2}, wireA+wireA), "FORMERR"},
		{"an answer in the question", raw(0, [4]uint16{1, 1}, wireA+"\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"), "FORMERR"},
		{"a pointer to itself", raw(0, one, "\xc0\x0c\x00\x01\x00\x01"), "FORMERR"},
		{"a pointer loop", raw(0, one, "\x01a\xc0\x0c\x00\x01\x00\x01"), "FORMERR"},
		{"a pointer past the end", raw(0, one, "\xc3\xff\x00\x01\x00\x01"), "FORMERR"},
		{"a forward pointer", raw(0, one, "\xc0\x12\x00\x01\x00\x01\x01a\x00"), "FORMERR"},
		{"a label of 64 bytes", raw(0, one, "\x40"+strings.Repeat("x", 64)+"\x00\x00\x01\x00\x01"), "FORMERR"},
		{"a name of 257 bytes", raw(0, one, long+"\x00\x00\x01\x00\x01"), "FORMERR"},
		{"a name of 255 bytes", raw(0, one, long[:255-1-1]+"\x00\x00\x01\x00\x01"), "FORMERR"}, // label cut short
		{"a name without an end", raw(0, one, "\x01a"), "FORMERR"},
		{"a name without a type", raw(0, one, wireName+"\x00"), "FORMERR"},
		{"an update", raw(dns.OpcodeUpdate<<11, one, wireA), "REFUSED"},
		{"a notify", raw(dns.OpcodeNotify<<11, one, wireA), "REFUSED"},
		{"opcode 3", raw(3<<11, one, wireA), "NOTIMP"},
		{"opcode 15", raw(15<<11, one, wireA), "NOTIMP"},
		{"class CH", raw(0, one, wireName+"\x00\x01\x00\x03"), "REFUSED"},
		{"class ANY", raw(0, one, wireName+"\x00\x01\x00\xff"), "REFUSED"},
		{"type 0", raw(0, one, wireName+"\x00\x00\x00\x01"), "FORMERR"},
		{"EDNS", raw(0, opt, wireA+wireOPT), answered},
		{"EDNS version 1", raw(0, opt, wireA+"\x00\x00\x29\x10\x00\x00\x01\x00\x00\x00\x00"), "BADVERS"},
		{"EDNS under a name", raw(0, opt, wireA+"\x01a"+wireOPT), "FORMERR"},
		{"EDNS cut short", raw(0, opt, wireA+wireOPT[:9]), "FORMERR"},
		{"EDNS twice", raw(0, [4]uint16{1, 0, 0, 2}, wireA+wireOPT+wireOPT), "FORMERR"},
		{"EDNS in AUTHORITY", raw(0, [4]uint16{1, 0, 1, 0}, wireA+wireOPT), "FORMERR"},
		{"EDNS with garbage", raw(0, opt, wireA+"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x09\x00\x08\xff\xffgarba"), answered},
		{"EDNS with a bad client subnet", raw(0, opt, wireA+"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x06\x00\x08\x00\x02\xff\xff"),
			answered},
		{"fewer records than counted", raw(0, opt, wireA), "FORMERR"},
		{"junk behind the message", raw(0, one, wireA+"junk"), answered},
		{"a record whose owner points forwards", raw(0, opt, wireA+"\xc0\xff"+wireOPT[1:]), "FORMERR"},
		{"a record of another kind", raw(0, opt, wireA+"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04abcd"), answered},
	} {
		for _, over := range []transport{overUDP, overTCP} {
			reply, wait := s.respond(test.packet, over)
			if wait != nil {
				t.Fatalf("%s: held", test.name)
			}
			got := ""
			if reply != nil {
				got = show(unpack(t, reply))
			}
			if got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
		}
	}
}

func TestQuestionIsEchoedByteForByte(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, orders(), 42)
	for _, name := range []string{
		"\x07PRIMARY\x06oRDERS\x02Db\x05BaTon\x08InterNal\x00", // random case as a defence against forgery
		"\x08a.b\\\"(;)\x05baton\x08internal\x00",
		"\x05\x00\xff\xc3\xbc\x7f\x05baton\x08internal\x00",
		"\x00",
	} {
		question := name + "\x00\x01\x00\x01"
		reply, _ := s.respond(raw(0, [4]uint16{1}, question), overUDP)
		if !bytes.HasPrefix(reply[headerSize:], []byte(question)) {
			t.Errorf("question %q came back as %q", question, reply[headerSize:])
		}
		if got := unpack(t, reply); len(got.Answer) > 0 && got.Answer[0].Header().Name != got.Question[0].Name {
			t.Errorf("the answer is about %s, asked was %s", got.Answer[0].Header().Name, got.Question[0].Name)
		}
	}
}

func TestSignatureWithAnyKeyIsNotAuth(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, orders(), 42)
	m := query1("primary.orders.db", "A")
	m.SetTsig("key.", dns.HmacSHA256, 300, 1700000000)
	packet, _, err := dns.TsigGenerate(m, "c2VjcmV0", "", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, over := range []transport{overUDP, overTCP} {
		got := ask(t, s, packet, over)
		tsig := got.IsTsig()
		if got.Rcode != dns.RcodeNotAuth || tsig == nil || tsig.Error != dns.RcodeBadKey || tsig.MACSize != 0 {
			t.Errorf("a forged signature got\n%v, want NOTAUTH with an unsigned BADKEY", got)
		}
	}
}

// many is a service with n instances.
func many(n int) []registry.Record {
	all := registry.Record{Name: "big.svc"}
	srv := registry.Record{Name: "_big._tcp.svc"}
	records := []registry.Record{}
	for i := range n {
		own := registry.Record{Name: fmt.Sprintf("i%d.app.big.svc", i), Addrs: []netip.Addr{
			netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}}
		all.Addrs = append(all.Addrs, own.Addrs...)
		srv.Targets = append(srv.Targets, registry.Target{Name: own.Name, Port: 80})
		records = append(records, own)
	}
	return append(records, all, srv)
}

func TestAnswerFitsOrIsTruncatedWhole(t *testing.T) {
	type size struct{ answers, glue int }
	for _, test := range []struct {
		question  string
		instances int
		edns      int // 0: none
		over      transport
		want      size
		truncated bool
	}{
		{"big.svc A", 20, 0, overUDP, size{20, 0}, false},
		{"big.svc A", 30, 0, overUDP, size{0, 0}, true},
		{"big.svc A", 30, 1, overUDP, size{0, 0}, true}, // less than 512 counts as 512
		{"big.svc A", 30, 4096, overUDP, size{30, 0}, false},
		{"big.svc A", 100, 65535, overUDP, size{0, 0}, true}, // never more than 1232
		{"big.svc A", 100, 0, overTCP, size{100, 0}, false},
		{"_big._tcp.svc SRV", 5, 1232, overUDP, size{5, 5}, false},
		{"_big._tcp.svc SRV", 18, 1232, overUDP, size{18, 0}, false}, // the addresses are left out first
		{"_big._tcp.svc SRV", 40, 1232, overUDP, size{0, 0}, true},
		{"_big._tcp.svc SRV", 200, 1232, overTCP, size{200, 200}, false},
	} {
		s := newServer(t, Config{})
		publish(t, s, many(test.instances), 1)
		name, qtype, _ := strings.Cut(test.question, " ")
		m := query1(name, qtype)
		if test.edns > 0 {
			m.SetEdns0(uint16(test.edns), false)
		}
		got := ask(t, s, pack(t, m), test.over)
		glue := 0
		for _, rr := range got.Extra {
			if rr.Header().Rrtype == dns.TypeA {
				glue++
			}
		}
		if diff := cmp.Diff(test.want, size{len(got.Answer), glue}, cmp.AllowUnexported(size{})); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test, diff)
		}
		if got.Truncated != test.truncated || (got.IsEdns0() != nil) != (test.edns > 0) {
			t.Errorf("%+v: tc %t, OPT %v", test, got.Truncated, got.IsEdns0())
		}
	}
}

func TestAnswerBeyondTCPIsCut(t *testing.T) {
	s := newServer(t, Config{})
	publish(t, s, many(5000), 1)
	reply, _ := s.respond(pack(t, query1("big.svc", "A")), overTCP)
	if got := unpack(t, reply); len(reply) > dns.MaxMsgSize || len(got.Answer) < 1000 || !got.Truncated {
		t.Errorf("%d bytes with %d answers, tc %t; want a part that fits, marked", len(reply), len(got.Answer), got.Truncated)
	}
}

func TestClientCanAskWhoAnswersFromWhichVersion(t *testing.T) {
	s := newServer(t, Config{NodeID: "db1"})
	publish(t, s, orders(), 1<<32+42)
	m := query1("primary.orders.db", "A")
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{
		&dns.EDNS0_NSID{Code: dns.EDNS0NSID},
		&dns.EDNS0_LOCAL{Code: dns.EDNS0ZONEVERSION},
		&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE},
	}
	got := map[uint16]string{}
	for _, o := range ask(t, s, pack(t, m), overTCP).IsEdns0().Option {
		got[o.Option()] = o.String()
	}
	if got[dns.EDNS0NSID] != "646231" || !strings.Contains(got[dns.EDNS0TCPKEEPALIVE], "10000ms") {
		t.Errorf("options %v, want node id 646231 (db1) and 10000ms of keepalive", got)
	}
	reply, _ := s.respond(pack(t, m), overTCP)
	if !bytes.Contains(reply, []byte("\x00\x13\x00\x06\x02\x00\x00\x00\x00\x2a")) {
		t.Errorf("%x holds no zone version 42 (index mod 2^32)", reply)
	}
}

func FuzzPacket(f *testing.F) {
	s := newServer(f, Config{Hold: -1})
	publish(f, s, revoked(), 42)
	f.Add(raw(0, [4]uint16{1}, wireA))
	f.Add(raw(flagQR, [4]uint16{1}, wireA))
	f.Add(raw(flagRD, [4]uint16{1, 0, 0, 1}, wireA+wireOPT))
	f.Add(raw(0, [4]uint16{1, 0, 1, 2}, wireA+"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x02ab"+wireOPT+
		"\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x11\x01h\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add(raw(0, [4]uint16{1}, "\xc0\x0c\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, over := range []transport{overUDP, overTCP} {
			reply, wait := s.respond(packet, over)
			if wait != nil {
				t.Fatal("held although holding is off")
			}
			if len(packet) < headerSize || packet[2]&0x80 != 0 {
				if reply != nil {
					t.Fatal("an answer to a response or to less than a header")
				}
				continue
			}
			if reply == nil {
				t.Fatal("no answer to a question")
			}
			checkReply(t, packet, reply, over)
		}
	})
}

func checkReply(t *testing.T, packet, reply []byte, over transport) {
	got := unpack(t, reply)
	if !bytes.Equal(reply[:2], packet[:2]) || !got.Response || got.RecursionAvailable {
		t.Fatalf("answer %x to %x: want the same id, QR and no RA", reply, packet)
	}
	if over == overUDP && len(reply) > 1232 {
		t.Fatalf("%d bytes over UDP", len(reply))
	}
	if len(got.Question) == 0 {
		if got.Rcode == dns.RcodeSuccess {
			t.Fatalf("NOERROR without a question: %x", reply)
		}
		return
	}
	_, end, err := dns.UnpackDomainName(reply, headerSize)
	if err != nil {
		t.Fatal(err)
	}
	if question := reply[headerSize : end+4]; !bytes.HasPrefix(packet[headerSize:], question) {
		t.Fatalf("question %x came back as %x", packet[headerSize:], question)
	}
}

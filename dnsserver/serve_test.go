package dnsserver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/baton-db/baton/registry"
)

// ownIP is an address of this process: tests of other packages run beside this one.
func ownIP() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.9", 16+pid/250%200, pid%250+1)
}

// serve runs a server until the test ends and returns its address.
func serve(t *testing.T, cfg Config) (*Server, netip.AddrPort) {
	t.Helper()
	if cfg.Listen == nil {
		cfg.Listen = []string{ownIP() + ":0"}
	}
	s := newServer(t, cfg)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return s, s.Addrs()[0]
}

func dial(t *testing.T, network string, to netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func send(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// receive reads one answer from a TCP connection.
func receive(t *testing.T, conn net.Conn) *dns.Msg {
	t.Helper()
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Fatal(err)
	}
	return unpack(t, b)
}

func TestDigGetsWhatIsPublished(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		if os.Getenv("BATON_REQUIRE_TOOLS") == "1" {
			t.Fatal("dig is missing: install bind9-dnsutils")
		}
		t.Skip("SKIPPED, nothing is tested: dig is missing, install bind9-dnsutils")
	}
	s, at := serve(t, Config{Hold: 20 * time.Second})
	publish(t, s, append(orders(), many(200)...), 42)
	run := func(args ...string) string {
		t.Helper()
		args = append([]string{"@" + at.Addr().String(), "-p", fmt.Sprint(at.Port()), "+time=30", "+tries=1"}, args...)
		out, err := exec.CommandContext(t.Context(), dig, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("dig %v: %v\n%s", args, err, out)
		}
		return strings.ReplaceAll(strings.Join(strings.FieldsFunc(string(out), func(r rune) bool { return r == '\t' || r == ' ' }), " "),
			"\n ", "\n")
	}
	has := func(out string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("dig lacks %q:\n%s", want, out)
			}
		}
		for _, complaint := range []string{"Warning", "WARNING", "Malformed", "mismatch"} {
			if strings.Contains(out, complaint) && !strings.Contains(out, "recursion requested but not available") {
				t.Errorf("dig complains:\n%s", out)
			}
		}
	}
	const primary = "primary.orders.db.baton.internal"
	has(run("+norec", primary, "A"), "status: NOERROR", "flags: qr aa;", "EDNS: version: 0, flags:; udp: 1232",
		primary+". 0 IN A 127.0.0.2")
	has(run("+norec", "+noedns", primary, "A"), "ADDITIONAL: 0", "A 127.0.0.2")
	has(run("+tcp", "+norec", "PRIMARY.orders.db.baton.internal", "A"), "PRIMARY.orders.db.baton.internal. 0 IN A 127.0.0.2")
	has(run("+norec", "-x", "127.0.0.3"), "PTR db3.node.baton.internal.")
	has(run("+norec", "_mysql._tcp."+primary, "SRV"), "SRV 0 0 3306 db2.orders.db.baton.internal.", "ADDITIONAL: 2")
	has(run("+norec", "big.svc.baton.internal", "A"), "Truncated, retrying in TCP mode", "ANSWER: 200")
	has(run("+norec", "+edns=1", "+noednsnegotiation", primary, "A"), "status: BADVERS")
	has(run("+norec", "example.com", "A"), "status: REFUSED", "EDE: 20")
	has(run("+norec", "+nsid", "orders.db.baton.internal", "A"), "status: NOERROR", "ANSWER: 0", "AUTHORITY: 1")
	has(run("+norec", "baton.internal", "AXFR"), "Transfer failed")
	for i, over := range []string{"+notcp", "+tcp"} {
		epoch := registry.Epoch(8 + i)
		publish(t, s, inEpoch(epoch, revoked()), s.Index()+1)
		var asking sync.WaitGroup
		var out string
		asking.Go(func() { out = run("+norec", over, primary, "A") })
		until(t, func() bool { return s.Held() == 1 })
		publish(t, s, inEpoch(epoch, promoted()), s.Index()+1)
		asking.Wait()
		has(out, "A 127.0.0.3")
	}
}

// inEpoch returns records with another epoch.
func inEpoch(e registry.Epoch, records []registry.Record) []registry.Record {
	for i := range records {
		if records[i].Epoch > 0 {
			records[i].Epoch = e
		}
	}
	return records
}

// until waits for a condition that another goroutine makes true.
func until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the condition never came true")
		}
	}
}

func TestHeldQuestionHoldsNobodyUp(t *testing.T) {
	s, at := serve(t, Config{Hold: 20 * time.Second})
	publish(t, s, revoked(), 43)
	slow, quick := query1("primary.orders.db", "A"), query1("db1.node", "A")
	slow.Id, quick.Id = 1, 2
	tcp := dial(t, "tcp", at)
	send(t, tcp, append(framed(pack(t, slow)), framed(pack(t, quick))...)) // two questions in one segment
	if got := receive(t, tcp); got.Id != 2 {
		t.Errorf("the first answer is to question %d, want 2: 1 is held", got.Id)
	}
	udp := dial(t, "udp", at)
	send(t, udp, pack(t, slow))
	until(t, func() bool { return s.Held() == 2 })
	send(t, udp, pack(t, quick))
	b := make([]byte, 1500)
	n, err := udp.Read(b)
	if err != nil || unpack(t, b[:n]).Id != 2 {
		t.Errorf("over UDP: %v, %x; want the answer to question 2", err, b[:n])
	}
	publish(t, s, promoted(), 44)
	if got := receive(t, tcp); got.Id != 1 || !strings.Contains(show(got), "127.0.0.3") {
		t.Errorf("the held question got %v", got)
	}
	n, err = udp.Read(b)
	if err != nil || unpack(t, b[:n]).Id != 1 {
		t.Errorf("over UDP: %v, %x; want the answer to question 1", err, b[:n])
	}
}

func TestShutdownAnswersWhatIsHeld(t *testing.T) {
	s := newServer(t, Config{Hold: 20 * time.Second, Listen: []string{ownIP() + ":0"}})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	publish(t, s, revoked(), 43)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	tcp, udp := dial(t, "tcp", s.Addrs()[0]), dial(t, "udp", s.Addrs()[0])
	packet := pack(t, query1("primary.orders.db", "A"))
	send(t, tcp, framed(packet))
	send(t, udp, packet)
	until(t, func() bool { return s.Held() == 2 })
	cancel()
	running.Wait()
	if got := receive(t, tcp); got.Rcode != dns.RcodeSuccess {
		t.Errorf("over TCP: %v", got)
	}
	b := make([]byte, 1500)
	if n, err := udp.Read(b); err != nil || unpack(t, b[:n]).Rcode != dns.RcodeSuccess {
		t.Errorf("over UDP: %v, %x", err, b[:n])
	}
	if _, err := net.Dial("tcp", s.Addrs()[0].String()); err == nil {
		t.Error("somebody still listens")
	}
}

func TestBadTCPClientIsLeft(t *testing.T) {
	s, at := serve(t, Config{})
	publish(t, s, orders(), 42)
	conns := map[string]net.Conn{}
	for name, sent := range map[string]string{
		"length 0":                   "\x00\x00",
		"less than a header":         "\x00\x05abcde",
		"half a length":              "\x00",
		"a question that never ends": "\xff\xffabc",
	} {
		conns[name] = dial(t, "tcp", at)
		send(t, conns[name], []byte(sent))
	}
	for name, conn := range conns {
		if b, err := io.ReadAll(conn); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %x, %v; want the end of the connection", name, b, err)
		}
	}
}

func TestIdleConnectionMakesRoom(t *testing.T) {
	s, at := serve(t, Config{})
	publish(t, s, orders(), 42)
	packet := framed(pack(t, query1("db1.node", "A")))
	var conns []net.Conn
	for range maxConnsPerIP + 1 {
		conn := dial(t, "tcp", at)
		send(t, conn, packet)
		receive(t, conn)
		conns = append(conns, conn)
	}
	if _, err := io.ReadAll(conns[0]); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest connection is kept: %v", err)
	}
	for _, conn := range conns[1:] {
		send(t, conn, packet)
		receive(t, conn)
	}
}

func TestManyPipelinedQuestionsAreAllAnswered(t *testing.T) {
	s, at := serve(t, Config{Hold: 29 * time.Second, MaxHeld: 100000})
	publish(t, s, revoked(), 43)
	conn := dial(t, "tcp", at)
	const count = 10000
	var writing sync.WaitGroup
	writing.Go(func() {
		for range count / 100 {
			send(t, conn, []byte(strings.Repeat(string(framed(pack(t, query1("primary.orders.db", "A")))), 100)))
		}
	})
	for range count - maxWaiting {
		receive(t, conn)
	}
	writing.Wait()
	if s.Held() != maxWaiting {
		t.Errorf("%d questions of one connection are held, want %d", s.Held(), maxWaiting)
	}
	publish(t, s, promoted(), 44)
	for range maxWaiting {
		receive(t, conn)
	}
}

func TestPortInUseNamesItsHolder(t *testing.T) {
	_, at := serve(t, Config{})
	second := newServer(t, Config{Listen: []string{ownIP() + ":0", at.String()}})
	err := second.Listen()
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("got %v, want EADDRINUSE", err)
	}
	name, _ := os.ReadFile("/proc/self/comm")
	want := fmt.Sprintf("listen for DNS on tcp %s: the port is in use by %s (pid %d)", at, strings.TrimSpace(string(name)), os.Getpid())
	if !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q, want %q", err, want)
	}
	if len(second.Addrs()) != 0 {
		t.Errorf("%v stay bound", second.Addrs())
	}
}

func TestWildcardAnswersFromTheAddressThatWasAsked(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0"} {
		s, at := serve(t, Config{Listen: []string{listen}})
		publish(t, s, orders(), 42)
		conn := dial(t, "udp", netip.AddrPortFrom(netip.MustParseAddr(ownIP()), at.Port())) // takes nothing from elsewhere
		send(t, conn, pack(t, query1("db1.node", "A")))
		b := make([]byte, 1500)
		if n, err := conn.Read(b); err != nil {
			t.Errorf("listening on %s: %v, %x", listen, err, b[:n])
		}
	}
}

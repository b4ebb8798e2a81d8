package identity_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/baton-db/baton/identity"
)

// port is a Splitter on loopback with Raft on one side, answered with an echo of "raft", and net/http on the other.
type port struct {
	addr string
	log  *lockedBuffer
	stop func() error
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func openPort(t *testing.T, cfg *tls.Config) *port {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{addr: ln.Addr().String(), log: new(lockedBuffer)}
	s := identity.NewSplitter(ln, cfg, slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	raft := s.Listener(identity.ALPNRaft)
	web := s.Listener(identity.ALPNHTTP2, identity.ALPNHTTP1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, err := identity.PeerName(*r.TLS)
		_, _ = io.WriteString(w, r.Proto+" "+name.String())
		if err != nil {
			_, _ = io.WriteString(w, err.Error())
		}
	})}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var serveErr error
	wg.Go(func() { serveErr = s.Serve(ctx) })
	wg.Go(func() { _ = server.Serve(web) })
	wg.Go(func() {
		for {
			conn, err := raft.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "raft")
			_ = conn.Close()
		}
	})
	p.stop = sync.OnceValue(func() error {
		cancel()
		_ = server.Close()
		wg.Wait()
		return serveErr
	})
	t.Cleanup(func() { _ = p.stop() })
	return p
}

func get(t *testing.T, addr string, cfg *tls.Config) string {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 30 * time.Second}
	resp, err := client.Get("https://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestOnePortServesRaftAndBothHTTPs(t *testing.T) {
	defer goleak.VerifyNone(t)
	now := time.Now()
	a := newAuthority(t, "orders", now)
	s1, s2, db1 := issue(t, a, identity.RoleServer, "s1", now), issue(t, a, identity.RoleServer, "s2", now), issue(t, a, identity.RoleClient, "db1", now)
	p := openPort(t, s1.ServerTLS())
	defer func() { _ = p.stop() }()

	if got, want := get(t, p.addr, db1.ClientTLS("s1", "h2", "http/1.1")), "HTTP/2.0 baton://orders/client/db1"; got != want {
		t.Errorf("h2: %q, want %q", got, want)
	}
	h1 := db1.ClientTLS("s1")
	conn, err := tls.Dial("tcp", p.addr, h1) // no ALPN at all
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = conn.Close()
	if got, want := string(body), "HTTP/1.1 baton://orders/client/db1"; got != want {
		t.Errorf("without ALPN: %q, want %q", got, want)
	}
	if got := readAll(t, p.addr, s2.ClientTLS("s1", identity.ALPNRaft)); got != "raft" {
		t.Errorf("a server speaking Raft got %q", got)
	}
	if got := readAll(t, p.addr, db1.ClientTLS("s1", identity.ALPNRaft)); got != "" {
		t.Errorf("a client speaking Raft got %q", got)
	}
	// The refusal reaches the client before the log: look for it before the port is closed.
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.log.String(), "baton://orders/client/db1 speaks baton-raft/1"); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say why the client was refused:\n%s", p.log)
		}
	}
	if err := p.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func readAll(t *testing.T, addr string, cfg *tls.Config) string {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}, "tcp", addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	got, _ := io.ReadAll(conn)
	return string(got)
}

func TestDoorLetsStrangersInAsNobody(t *testing.T) {
	now := time.Now()
	s1 := issue(t, newAuthority(t, "orders", now), identity.RoleServer, "s1", now)
	p := openPort(t, s1.DoorTLS())
	got := get(t, p.addr, identity.JoinTLS(s1.Fingerprint(), "h2"))
	if !strings.HasSuffix(got, identity.ErrNoCertificate.Error()) {
		t.Errorf("got %q", got)
	}
}

func TestPlainHTTPOnTheTLSPortIsToldSo(t *testing.T) {
	now := time.Now()
	p := openPort(t, issue(t, newAuthority(t, "orders", now), identity.RoleServer, "s1", now).ServerTLS())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Get("http://" + p.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "https://") {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

// A peer that connects and says nothing neither holds up others nor the end of Serve.
func TestSilentPeersHoldNobodyUp(t *testing.T) {
	defer goleak.VerifyNone(t)
	now := time.Now()
	a := newAuthority(t, "orders", now)
	s1, db1 := issue(t, a, identity.RoleServer, "s1", now), issue(t, a, identity.RoleClient, "db1", now)
	p := openPort(t, s1.ServerTLS())
	defer func() { _ = p.stop() }()
	for range 8 {
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	garbage, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer garbage.Close()
	_, _ = garbage.Write(bytes.Repeat([]byte{0xff}, 64))
	if got, want := get(t, p.addr, db1.ClientTLS("s1", "h2")), "HTTP/2.0 baton://orders/client/db1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := p.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeReportsAPortThatFails(t *testing.T) {
	now := time.Now()
	s1 := issue(t, newAuthority(t, "orders", now), identity.RoleServer, "s1", now)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := identity.NewSplitter(ln, s1.ServerTLS(), slog.New(slog.DiscardHandler))
	web := s.Listener(identity.ALPNHTTP1)
	_ = ln.Close()
	if err := s.Serve(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v", err)
	}
	if _, err := web.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after the end = %v", err)
	}
}

// memListener hands out one end of memory pipes, so that limits can be tested in simulated time.
type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7450} }

// addressed gives a pipe the address of a peer.
type addressed struct {
	net.Conn
	from net.Addr
}

func (c addressed) RemoteAddr() net.Addr { return c.from }

func TestSilentPeerIsDroppedAfterTheHandshakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s1 := issue(t, newAuthority(t, "orders", time.Now()), identity.RoleServer, "s1", time.Now())
		ln := &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
		s := identity.NewSplitter(ln, s1.ServerTLS(), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Serve(ctx) })
		defer wg.Wait()
		defer cancel()

		dial := func(ip byte) net.Conn {
			ours, theirs := net.Pipe()
			ln.conns <- addressed{theirs, &net.TCPAddr{IP: net.IPv4(10, 0, 0, ip), Port: 1}}
			return ours
		}
		closedAfter := func(c net.Conn) time.Duration {
			start := time.Now()
			_, _ = io.ReadAll(c)
			return time.Since(start)
		}
		flood := make([]net.Conn, identity.MaxHandshakesOfIP)
		for i := range flood {
			flood[i] = dial(1)
		}
		synctest.Wait() // all of them are under way
		if got := closedAfter(dial(1)); got != 0 {
			t.Errorf("one handshake too many from one address was closed after %v, not at once", got)
		}
		if got := closedAfter(dial(2)); got != identity.HandshakeTime {
			t.Errorf("a silent peer was closed after %v, want %v", got, identity.HandshakeTime)
		}
		if got := closedAfter(flood[0]); got != 0 {
			t.Errorf("a silent peer was still there %v later", got)
		}
	})
}

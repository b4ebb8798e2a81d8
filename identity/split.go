package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// Limits of a Splitter. A connection counts as a handshake from its acceptance until its protocol's listener has it.
const (
	HandshakeTime     = 3 * time.Second // from acceptance to the end of the handshake
	MaxHandshakes     = 256             // at once; further connections wait in the kernel's queue
	MaxHandshakesOfIP = 64              // at once from one address; further ones are closed, so one address cannot fill the above
	acceptQueue       = 128             // finished connections that a listener has not accepted yet; further ones are closed
)

// Splitter lets several protocols share one TLS port: it completes each handshake and hands the *tls.Conn to the listener
// of the protocol agreed by ALPN. A peer that offers no ALPN at all gets HTTP/1.1, as crypto/tls and net/http have it.
//
// net/http serves HTTP/2 on connections from here if its Server has a nil TLSConfig, or one that names "h2".
type Splitter struct {
	ln        net.Listener
	cfg       *tls.Config
	log       *slog.Logger
	protocols map[string]*protoListener

	mu      sync.Mutex
	pending map[string]int // handshakes under way by IP address
}

// NewSplitter splits ln, with cfg for the handshakes; cfg's NextProtos are replaced by the protocols of Listener, in that
// order of preference. Call Listener for each protocol, then Serve.
func NewSplitter(ln net.Listener, cfg *tls.Config, log *slog.Logger) *Splitter {
	cfg = cfg.Clone()
	cfg.NextProtos = nil
	return &Splitter{ln: ln, cfg: cfg, log: log, protocols: make(map[string]*protoListener), pending: make(map[string]int)}
}

// Listener gives the connections of the named protocols. It must be called before Serve. Closing it refuses further
// connections of these protocols and leaves the others alone.
func (s *Splitter) Listener(protocols ...string) net.Listener {
	l := &protoListener{addr: s.ln.Addr(), conns: make(chan *tls.Conn, acceptQueue), done: make(chan struct{})}
	for _, p := range protocols {
		s.protocols[p] = l
		s.cfg.NextProtos = append(s.cfg.NextProtos, p)
	}
	return l
}

// Serve accepts until ctx ends or the port fails, then closes the port and every Listener, waits for the handshakes under
// way to end, which ctx cuts short, and closes what nobody accepted. It returns nil when ctx ended it. Connections that
// were accepted from a Listener belong to whoever accepted them.
func (s *Splitter) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { _ = s.ln.Close() })
	defer stop()
	var handshakes sync.WaitGroup
	defer func() {
		cancel()
		_ = s.ln.Close()
		handshakes.Wait()
		for _, l := range s.protocols {
			_ = l.Close()
		}
	}()
	slots := make(chan struct{}, MaxHandshakes)
	for {
		slots <- struct{}{} // freed within HandshakeTime
		conn, err := s.accept(ctx)
		if ctx.Err() != nil {
			if conn != nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept on %s: %w", s.ln.Addr(), err)
		}
		handshakes.Go(func() {
			defer func() { <-slots }()
			s.handshake(ctx, conn)
		})
	}
}

// accept outlives the errors that pass, such as too many open files.
func (s *Splitter) accept(ctx context.Context) (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		conn, err := s.ln.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || ctx.Err() != nil {
			return conn, err
		}
		s.log.Warn("cannot accept a connection, trying again", "port", s.ln.Addr().String(), "after", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// handshake owns raw until a listener does.
func (s *Splitter) handshake(ctx context.Context, raw net.Conn) {
	from := raw.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(from); err == nil {
		if !s.enter(host) {
			s.log.Warn("connection refused: too many handshakes under way from this address", "from", host, "limit", MaxHandshakesOfIP)
			_ = raw.Close()
			return
		}
		defer s.leave(host)
	}
	ctx, cancel := context.WithTimeout(ctx, HandshakeTime)
	defer cancel()
	conn := tls.Server(raw, s.cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		s.refused(ctx, raw, from, err)
		_ = raw.Close()
		return
	}
	protocol := conn.ConnectionState().NegotiatedProtocol
	if protocol == "" {
		protocol = ALPNHTTP1
	}
	l := s.protocols[protocol]
	if l == nil || !l.offer(conn) {
		s.log.Warn("connection dropped: nobody takes its protocol now", "from", from, "protocol", protocol)
		_ = conn.Close()
	}
}

// refused logs a failed handshake: loudly if a certificate was at fault, since that is a mistake of ours to mend, quietly
// if it was noise. A plain HTTP request is told what is wrong.
func (s *Splitter) refused(ctx context.Context, raw net.Conn, from string, err error) {
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &notTLS) && looksLikeHTTP(notTLS.RecordHeader):
		s.log.Debug("plain HTTP on the TLS port", "from", from)
		deadline, _ := ctx.Deadline()
		_ = raw.SetWriteDeadline(deadline)
		_, _ = io.WriteString(raw, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis port speaks TLS: use https://\n")
	case isIdentityError(err):
		s.log.Warn("connection refused", "from", from, "error", err)
	default:
		s.log.Debug("handshake failed", "from", from, "error", err)
	}
}

func looksLikeHTTP(header [5]byte) bool {
	return slices.Contains([]string{"GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO", "PATCH", "PRI *"}, string(header[:]))
}

func isIdentityError(err error) bool {
	for _, target := range []error{ErrNoCertificate, ErrExpired, ErrNotYetValid, ErrOtherAuthority, ErrOtherCluster,
		ErrWrongRole, ErrWrongNode, ErrBadName} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func (s *Splitter) enter(ip string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[ip] >= MaxHandshakesOfIP {
		return false
	}
	s.pending[ip]++
	return true
}

func (s *Splitter) leave(ip string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[ip]--; s.pending[ip] == 0 {
		delete(s.pending, ip)
	}
}

// protoListener is the net.Listener of some protocols of a Splitter.
type protoListener struct {
	addr  net.Addr
	conns chan *tls.Conn
	done  chan struct{} // closed by Close

	mu     sync.Mutex // keeps an offer from slipping in behind Close
	closed bool
}

// offer hands conn over unless the listener is closed or its queue is full.
func (l *protoListener) offer(conn *tls.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	select {
	case l.conns <- conn:
		return true
	default:
		return false
	}
}

// Accept returns the next connection, a *tls.Conn whose handshake is complete.
func (l *protoListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, fmt.Errorf("accept on %s: %w", l.addr, net.ErrClosed)
	}
}

// Close refuses further connections and closes those that wait.
func (l *protoListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	for {
		select {
		case conn := <-l.conns:
			_ = conn.Close()
		default:
			return nil
		}
	}
}

// Addr is the address of the shared port.
func (l *protoListener) Addr() net.Addr { return l.addr }

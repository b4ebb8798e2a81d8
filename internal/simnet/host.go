package simnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

const (
	firstEphemeral = 32768
	backlog        = 128 // connections that wait for Accept; further ones are refused
)

// Host is a machine on a Net.
type Host struct {
	net       *Net
	name      string
	ip        net.IP
	nextPort  int
	listeners map[int]*listener
	packets   map[int]*transport
	isolated  bool
	paused    bool
	outbox    []packet // sent while paused
	inbox     []packet // received while paused
}

// Name is the name the host was made with; Dial takes it in place of the address.
func (h *Host) Name() string { return h.name }

// IP is the host's address.
func (h *Host) IP() string { return h.ip.String() }

// Addr is the host's address with a port, as Dial takes it.
func (h *Host) Addr(port int) string { return net.JoinHostPort(h.IP(), strconv.Itoa(port)) }

// Crash is the end of the process on the host: its ports close and its connections are reset, at the other end as soon as
// the network lets the reset through. The host itself stays and its ports may be opened again at once.
func (h *Host) Crash() {
	h.net.change(func() {
		h.closePorts()
		for s := range h.net.streams {
			if s.from == h && !s.writer.closed {
				s.writer.abandon()
			}
			if s.to == h && !s.reader.closed {
				s.reader.abandon()
			}
		}
	})
}

func (h *Host) closePorts() {
	for _, l := range h.listeners {
		l.shut()
	}
	clear(h.packets)
	h.inbox, h.outbox = nil, nil
}

// Listen opens a port for connections; port 0 takes a free one.
func (h *Host) Listen(port int) (net.Listener, error) {
	l, err := h.listen(port)
	if err != nil {
		return nil, err // not l: a nil *listener is not a nil net.Listener
	}
	return l, nil
}

func (h *Host) listen(port int) (*listener, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == 0 {
		port = h.ephemeral()
	}
	addr := &net.TCPAddr{IP: h.ip, Port: port}
	if n.closed {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: net.ErrClosed}
	}
	if h.listeners[port] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: syscall.EADDRINUSE}
	}
	l := &listener{host: h, addr: addr, conns: make(chan net.Conn, backlog), done: make(chan struct{})}
	h.listeners[port] = l
	return l, nil
}

func (h *Host) ephemeral() int {
	for {
		h.nextPort++
		if h.listeners[h.nextPort] == nil {
			return h.nextPort
		}
	}
}

// Dial connects to address, "ip:port" or "name:port", within timeout; a timeout of 0 is none.
func (h *Host) Dial(address string, timeout time.Duration) (net.Conn, error) {
	ctx := context.Background()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return h.DialContext(ctx, "tcp", address)
}

// DialContext is Dial in the form of net.Dialer, for http.Transport. It takes any network as TCP.
func (h *Host) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to, port, err := n.resolve(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	fail := func(err error) (net.Conn, error) {
		if errors.Is(err, context.DeadlineExceeded) {
			err = os.ErrDeadlineExceeded
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: to.ip, Port: port}, Err: err}
	}
	rtt := n.travelReliably(h, to, retransmitSYN) + n.travelReliably(to, h, retransmitSYN)
	for {
		if n.closed {
			return fail(net.ErrClosed)
		}
		if n.open(h, to) && n.open(to, h) {
			if rtt == 0 {
				break
			}
			if err := n.unlocked(ctx, nil, rtt); err != nil {
				return fail(err)
			}
			rtt = 0 // and look again: a cut may have come on the way
			continue
		}
		if err := n.unlocked(ctx, n.changed, 0); err != nil {
			return fail(err)
		}
	}
	l := to.listeners[port]
	if l == nil {
		return fail(syscall.ECONNREFUSED)
	}
	near, far := n.connect(&net.TCPAddr{IP: h.ip, Port: h.ephemeral()}, l.addr, h, to)
	select {
	case l.conns <- far:
		return near, nil
	default:
		near.abandon()
		far.abandon()
		return fail(syscall.ECONNREFUSED)
	}
}

// unlocked waits for a change, or for d if wake is nil, without holding the lock.
func (n *Net) unlocked(ctx context.Context, wake <-chan struct{}, d time.Duration) error {
	n.mu.Unlock()
	defer n.mu.Lock()
	var after <-chan time.Time
	if wake == nil {
		timer := time.NewTimer(d)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-wake:
		return nil
	case <-after:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *Net) resolve(address string) (*Host, int, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	port, err := strconv.Atoi(service)
	if err != nil {
		return nil, 0, fmt.Errorf("port of %s: %w", address, err)
	}
	if h := n.byIP[host]; h != nil {
		return h, port, nil
	}
	if h := n.hosts[host]; h != nil {
		return h, port, nil
	}
	return nil, 0, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// StreamLayer is a listening port that dials too, the form in which Raft takes a network.
type StreamLayer struct {
	net.Listener
	host *Host
}

// StreamLayer opens a port of the host.
func (h *Host) StreamLayer(port int) (*StreamLayer, error) {
	l, err := h.Listen(port)
	if err != nil {
		return nil, err
	}
	return &StreamLayer{Listener: l, host: h}, nil
}

// Dial connects from the layer's host.
func (s *StreamLayer) Dial(address string, timeout time.Duration) (net.Conn, error) {
	return s.host.Dial(address, timeout)
}

// listener is an open port. Its connections wait in a channel, which is also what memberlist wants.
type listener struct {
	host  *Host
	addr  *net.TCPAddr
	conns chan net.Conn
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
}

// Close frees the port and resets the connections that nobody accepted; accepted ones go on.
func (l *listener) Close() error {
	l.host.net.change(l.shut)
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// shut is Close under the network's lock.
func (l *listener) shut() {
	if l.host.listeners[l.addr.Port] != l {
		return // closed before, and the port may be another's by now
	}
	delete(l.host.listeners, l.addr.Port)
	close(l.done)
	for {
		select {
		case c := <-l.conns:
			c.(*conn).abandon()
		default:
			return
		}
	}
}

package simnet

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// packetQueue is how many packets a receiver's socket holds, about what Linux's default buffer has room for. A paused host
// holds as many each way.
const packetQueue = 256

// packet is a datagram under way.
type packet struct {
	bytes    []byte
	from     *net.UDPAddr
	fromHost *Host
	to       *Host
	port     int
}

// transport is a port of a host for both packets and connections.
type transport struct {
	host    *Host
	port    int
	streams *listener
	packets chan *memberlist.Packet
}

// Transport opens a port for gossip. memberlist's own mock would block for ever on a dead peer.
func (h *Host) Transport(port int) (memberlist.Transport, error) {
	l, err := h.listen(port)
	if err != nil {
		return nil, err
	}
	t := &transport{host: h, port: l.addr.Port, streams: l, packets: make(chan *memberlist.Packet, packetQueue)}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.packets[t.port] = t
	return t, nil
}

// FinalAdvertiseAddr is the host's address, unless memberlist was configured with one.
func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if ip == "" {
		return t.host.ip, t.port, nil
	}
	parsed := net.ParseIP(ip)
	if parsed == nil {
		return nil, 0, fmt.Errorf("advertise address %q is not an IP address", ip)
	}
	return parsed, port, nil
}

// WriteTo sends a packet, which like any packet may get lost without an error.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	n := t.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if t.host.packets[t.port] != t {
		return now, &net.OpError{Op: "write", Net: "udp", Err: net.ErrClosed}
	}
	to, port, err := n.resolve(addr)
	if err != nil {
		var missing *net.DNSError
		if errors.As(err, &missing) {
			return now, nil // nobody has that address: the packet goes nowhere
		}
		return now, &net.OpError{Op: "write", Net: "udp", Err: err}
	}
	p := packet{bytes: append([]byte(nil), b...), from: &net.UDPAddr{IP: t.host.ip, Port: t.port}, fromHost: t.host, to: to, port: port}
	if t.host.paused {
		t.host.outbox = hold(t.host.outbox, p)
	} else {
		n.launch(p)
	}
	return now, nil
}

// hold keeps a packet while there is room.
func hold(box []packet, p packet) []packet {
	if len(box) == packetQueue {
		return box
	}
	return append(box, p)
}

// launch sends a packet on its way. Callers hold mu.
func (n *Net) launch(p packet) {
	if p.fromHost == p.to {
		n.arrive(p)
		return
	}
	if n.lost() || !n.linked(p.fromHost, p.to) {
		return
	}
	d := n.travel()
	if d == 0 {
		n.arrive(p)
		return
	}
	time.AfterFunc(d, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.arrive(p)
	})
}

// arrive puts a packet into its receiver's queue. Callers hold mu.
func (n *Net) arrive(p packet) {
	if !n.linked(p.fromHost, p.to) {
		return
	}
	if p.to.paused {
		p.to.inbox = hold(p.to.inbox, p)
		return
	}
	t := p.to.packets[p.port]
	if t == nil {
		return
	}
	select {
	case t.packets <- &memberlist.Packet{Buf: p.bytes, From: p.from, Timestamp: time.Now()}:
	default: // full, as a socket's buffer would be
	}
}

// PacketCh is where received packets wait.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout connects to another host's transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.host.Dial(addr, timeout)
}

// StreamCh is where accepted connections wait.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams.conns }

// Shutdown frees the port.
func (t *transport) Shutdown() error {
	n := t.host.net
	n.mu.Lock()
	if t.host.packets[t.port] == t {
		delete(t.host.packets, t.port)
	}
	n.mu.Unlock()
	return t.streams.Close()
}

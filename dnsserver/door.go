package dnsserver

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// How many TCP connections are kept. Beyond that the one that has asked nothing for the longest time is closed, so idle
// connections never keep a client out.
const (
	maxConns      = 256
	maxConnsPerIP = 16
)

// door keeps the connections.
type door struct {
	mu     sync.Mutex
	guests map[*guest]struct{}
}

// guest is one connection.
type guest struct {
	conn *net.TCPConn
	ip   netip.Addr
	last atomic.Int64 // when it last asked, Unix nanoseconds
}

func newDoor() *door { return &door{guests: map[*guest]struct{}{}} }

// admit keeps conn, and closes another one when there are too many.
func (d *door) admit(conn *net.TCPConn) *guest {
	g := &guest{conn: conn}
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		g.ip = remote.AddrPort().Addr().Unmap()
	}
	g.seen(time.Now())
	d.mu.Lock()
	defer d.mu.Unlock()
	var oldest, oldestOfIP *guest
	ofIP := 0
	for o := range d.guests {
		if oldest == nil || o.last.Load() < oldest.last.Load() {
			oldest = o
		}
		if o.ip != g.ip {
			continue
		}
		ofIP++
		if oldestOfIP == nil || o.last.Load() < oldestOfIP.last.Load() {
			oldestOfIP = o
		}
	}
	switch {
	case ofIP >= maxConnsPerIP:
		d.dismiss(oldestOfIP)
	case len(d.guests) >= maxConns:
		d.dismiss(oldest)
	}
	d.guests[g] = struct{}{}
	return g
}

// dismiss closes the connection of g; its goroutine finds out and leaves.
func (d *door) dismiss(g *guest) {
	delete(d.guests, g)
	_ = g.conn.Close()
}

func (d *door) leave(g *guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.guests, g)
}

func (g *guest) seen(at time.Time) { g.last.Store(at.UnixNano()) }

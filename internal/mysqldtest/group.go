package mysqldtest

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/baton-db/baton/mysqld"
)

// Txn is one transaction: the server that originated it and its number there. On MariaDB the numbers of one group are
// given in one domain.
type Txn struct {
	Origin uint32
	Number uint64
}

func (t Txn) String() string {
	return strconv.Itoa(int(t.Origin)) + ":" + strconv.FormatUint(t.Number, 10)
}

// Kind is what a transaction was written for.
type Kind string

// The kinds of transactions.
const (
	Application Kind = "application" // a client waits for its OK
	Marker      Kind = "marker"
)

// lock is a mutex that can be left out.
type lock struct {
	sync.Mutex
	out bool
}

func (l *lock) Lock() {
	if !l.out {
		l.Mutex.Lock()
	}
}

func (l *lock) Unlock() {
	if !l.out {
		l.Mutex.Unlock()
	}
}

// Group is a set of servers that can reach each other.
type Group struct {
	// Flavor is the family of every server.
	Flavor mysqld.Flavor
	// RelayLogRecovery makes MySQL lose its relay log in a restart; MariaDB always does.
	RelayLogRecovery bool
	// OnAck is called when a client is answered with OK; it must not call the group.
	OnAck func(by *Server, t Txn)

	mu      lock
	servers []*Server
	size    int
	markers []Txn     // every other transaction is an application's
	cut     []uint64  // by number: the numbers that cannot be reached, as bits
	joints  [][]joint // by origin and number
	lag     int       // of every replica
	quirks  [Quirks]uint64
}

// NewGroup returns a group of n servers called db1 to dbN: empty, running, read-only and following nobody.
func NewGroup(flavor mysqld.Flavor, n int) *Group {
	g := &Group{Flavor: flavor, OnAck: func(*Server, Txn) {}, size: n, cut: make([]uint64, n+1), joints: make([][]joint, n+1)}
	for i := range n {
		s := &Server{group: g, ID: fmt.Sprintf("db%d", i+1), Number: uint32(i + 1)}
		s.Host, s.Port = fmt.Sprintf("10.0.0.%d", i+1), 3306
		s.addr, s.uuid = fmt.Sprintf("%s:%d", s.Host, s.Port), fmt.Sprintf("00000000-0000-0000-0000-%012d", s.Number)
		s.boot()
		g.servers = append(g.servers, s)
	}
	return g
}

// Unlocked says that only one goroutine uses the group and what belongs to it, and saves its locking. It returns g.
func (g *Group) Unlocked() *Group {
	g.mu.out = true
	return g
}

// Copy returns a group that stands where g does and goes its own way, on the same goroutine. Its OnAck is nobody's.
func (g *Group) Copy() *Group {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &Group{Flavor: g.Flavor, RelayLogRecovery: g.RelayLogRecovery, OnAck: func(*Server, Txn) {}, size: g.size, mu: lock{out: g.mu.out},
		markers: slices.Clone(g.markers), cut: slices.Clone(g.cut), joints: g.joints, quirks: g.quirks}
	servers := make([]Server, g.size)
	for i, s := range g.servers {
		t := &servers[i]
		*t = *s
		t.group = c
		t.log, t.relay, t.inbox = slices.Clone(s.log), slices.Clone(s.relay), slices.Clone(s.inbox)
		t.acked, t.conns = slices.Clone(s.acked), slices.Clone(s.conns)
		c.servers = append(c.servers, t)
	}
	for _, t := range c.servers {
		if t.source != nil {
			t.source = c.servers[t.source.Number-1]
		}
	}
	return c
}

// Servers returns the servers in order of their names; the slice must not be changed.
func (g *Group) Servers() []*Server { return g.servers }

// Cut cuts the line between two servers, Heal mends it. What was sent stays in the line.
func (g *Group) Cut(a, b *Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut[a.Number] |= 1 << b.Number
	g.cut[b.Number] |= 1 << a.Number
}

// Heal mends the line between two servers.
func (g *Group) Heal(a, b *Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut[a.Number] &^= 1 << b.Number
	g.cut[b.Number] &^= 1 << a.Number
}

// IsCut reports whether the line between two servers is cut.
func (g *Group) IsCut(a, b *Server) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isCut(a, b)
}

func (g *Group) isCut(a, b *Server) bool { return g.cut[a.Number]&(1<<b.Number) != 0 }

func (g *Group) at(host string, port uint16) *Server {
	i := slices.IndexFunc(g.servers, func(s *Server) bool { return s.Host == host && s.Port == port })
	if i < 0 {
		return nil
	}
	return g.servers[i]
}

// Commit lets an application write on s. The client has its OK when OnAck has been called with the transaction. ok is
// false when s takes no writes.
func (g *Group) Commit(s *Server) (t Txn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !s.answers() || s.readOnly || s.full {
		return Txn{}, false
	}
	return s.write(Application), true
}

// Deliver lets to's receiver connect and fetch one transaction, and acknowledge it where it does. It returns false when
// there is nothing to fetch or no way, and nothing has changed.
func (g *Group) Deliver(to *Server) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	src := to.connected()
	if src == nil || to.full {
		return false
	}
	connects := src.conns[to.Number] != to.conn
	if connects {
		// A new connection ends the old one of the same replica, and what it still had to say.
		src.conns[to.Number] = to.conn
		src.inbox = slices.DeleteFunc(src.inbox, func(a ack) bool { return a.from == to.Number })
	}
	i, ok := src.following(to)
	if !ok {
		return connects || to.broken != ""
	}
	to.relay = append(to.relay, src.log[i])
	to.seen.stale = true
	if to.acking && src.waits {
		src.inbox = append(src.inbox, ack{from: to.Number, upTo: i + 1})
	}
	return true
}

// Ack lets s hear one acknowledgement that is on the way to it.
func (g *Group) Ack(s *Server) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(s.inbox) == 0 || !s.answers() || s.full {
		return false
	}
	i := slices.IndexFunc(s.inbox, func(a ack) bool { return !g.isCut(s, g.servers[a.from-1]) })
	if i < 0 {
		return false
	}
	a := s.inbox[i]
	s.inbox = slices.Delete(s.inbox, i, i+1)
	s.acked[a.from] = max(s.acked[a.from], a.upTo)
	s.release()
	return true
}

// Apply lets s commit one received transaction.
func (g *Group) Apply(s *Server) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(s.relay) == 0 || !s.answers() || !s.applier || s.full {
		return false
	}
	s.apply()
	return true
}

// Settle lets everything move until nothing does.
func (g *Group) Settle() {
	for moved := true; moved; {
		moved = false
		for _, s := range g.servers {
			moved = g.Deliver(s) || moved
			moved = g.Ack(s) || moved
			moved = g.Apply(s) || moved
		}
	}
}

// Kind says what t was written for.
func (g *Group) Kind(t Txn) Kind {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kind(t)
}

func (g *Group) kind(t Txn) Kind {
	if slices.Contains(g.markers, t) {
		return Marker
	}
	return Application
}

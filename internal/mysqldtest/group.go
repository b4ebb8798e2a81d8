package mysqldtest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/baton-db/baton/mysqld"
)

// Txn is one transaction: the server that originated it and its number there. On MariaDB the numbers of one group are
// given in one domain.
type Txn struct {
	Origin uint32
	Number uint64
}

func (t Txn) String() string { return fmt.Sprintf("%d:%d", t.Origin, t.Number) }

// Kind is what a transaction was written for.
type Kind string

// The kinds of transactions.
const (
	Application Kind = "application" // a client waits for its OK
	Marker      Kind = "marker"
)

// Group is a set of servers that can reach each other.
type Group struct {
	// Flavor is the family of every server.
	Flavor mysqld.Flavor
	// RelayLogRecovery makes MySQL lose its relay log in a restart; MariaDB always does.
	RelayLogRecovery bool
	// OnAck is called when a client is answered with OK; it must not call the group.
	OnAck func(by *Server, t Txn)

	mu      sync.Mutex
	servers []*Server
	kinds   map[Txn]Kind
	cut     map[[2]uint32]bool
}

// NewGroup returns a group of n servers called db1 to dbN: empty, running, read-only and following nobody.
func NewGroup(flavor mysqld.Flavor, n int) *Group {
	g := &Group{Flavor: flavor, OnAck: func(*Server, Txn) {}, kinds: map[Txn]Kind{}, cut: map[[2]uint32]bool{}}
	for i := range n {
		s := &Server{group: g, ID: fmt.Sprintf("db%d", i+1), Number: uint32(i + 1)}
		s.Host, s.Port = fmt.Sprintf("10.0.0.%d", i+1), 3306
		s.boot()
		g.servers = append(g.servers, s)
	}
	return g
}

// Servers returns the servers in order of their names; the slice must not be changed.
func (g *Group) Servers() []*Server { return g.servers }

// Cut cuts the line between two servers, Heal mends it. What was sent stays in the line.
func (g *Group) Cut(a, b *Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut[line(a, b)] = true
}

// Heal mends the line between two servers.
func (g *Group) Heal(a, b *Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.cut, line(a, b))
}

func line(a, b *Server) [2]uint32 { return [2]uint32{min(a.Number, b.Number), max(a.Number, b.Number)} }

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
	if !s.answers() || s.readOnly {
		return Txn{}, false
	}
	return s.write(Application), true
}

// Deliver lets to's receiver fetch one transaction, and acknowledge it where it does. It returns false when there is
// nothing to fetch or no way.
func (g *Group) Deliver(to *Server) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	src := to.connected()
	if src == nil {
		return false
	}
	if src.conns[to.Number] != to.conn {
		// A new connection ends the old one of the same replica, and what it still had to say.
		src.conns[to.Number] = to.conn
		src.inbox = slices.DeleteFunc(src.inbox, func(a ack) bool { return a.from == to.Number })
	}
	i, ok := src.following(to)
	if !ok {
		return false
	}
	to.relay = append(to.relay, src.log[i])
	if to.acking && src.waits {
		src.inbox = append(src.inbox, ack{from: to.Number, upTo: i + 1})
	}
	return true
}

// Ack lets s hear one acknowledgement that is on the way to it.
func (g *Group) Ack(s *Server) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(s.inbox, func(a ack) bool { return !g.cut[line(s, g.servers[a.from-1])] })
	if !s.answers() || i < 0 {
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
	if !s.answers() || !s.applier || len(s.relay) == 0 {
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
	return g.kinds[t]
}

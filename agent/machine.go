package agent

import (
	"context"
	"net"
	"time"

	"github.com/baton-db/baton/discovery"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/lease"
	"github.com/baton-db/baton/promote/power"
	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/promote/upstream"
)

// Machine is what a node has of its machine besides files: the network, the database server and the clock of leases. What is
// nil is the real thing. It is there for simulations, in which no socket, no mysqld and no clock of a kernel can be; DNS
// always listens on sockets.
type Machine struct {
	// Listen and Dial are net.Listen and a net.Dialer's, for the one TCP port.
	Listen func(network, address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	// Gossip opens what gossip is carried by, at host:port.
	Gossip func(address string) (discovery.Transport, error)
	// Database reaches the database server beside this node; it does not have to run.
	Database func(mysqld.Config) (DatabaseServer, error)
	// Probe is mysqld.Probe: it asks a database server anywhere whether it is alive.
	Probe func(ctx context.Context, address string) error
	// Uptime is lease.Now.
	Uptime func() (time.Duration, error)
	// Feed is told, when Run begins, where the state of this node comes from. It must not block.
	Feed func(promote.Feed)
}

// DatabaseServer is everything that a node says to the database server beside it. *mysqld.Server is one.
type DatabaseServer interface {
	health.Server
	promote.Server
	rejoin.Server
	upstream.Server
	power.Server
	Warm(ctx context.Context) error
	Preflight(ctx context.Context) ([]mysqld.Finding, error)
	Close() error
}

func (m Machine) withDefaults() Machine {
	if m.Listen == nil {
		m.Listen = net.Listen
	}
	if m.Dial == nil {
		m.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	if m.Gossip == nil {
		m.Gossip = func(string) (discovery.Transport, error) { return nil, nil } // sockets
	}
	if m.Database == nil {
		m.Database = func(c mysqld.Config) (DatabaseServer, error) { return mysqld.Open(c) }
	}
	if m.Probe == nil {
		m.Probe = mysqld.Probe
	}
	if m.Uptime == nil {
		m.Uptime = lease.Now
	}
	if m.Feed == nil {
		m.Feed = func(promote.Feed) {}
	}
	return m
}

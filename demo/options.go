package demo

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/baton-db/baton/internal/lab"
)

// The one database of a demo.
const (
	clusterName  = "demo"
	databaseName = "orders"
	domain       = "baton.internal"
	primaryName  = "primary." + databaseName + ".db." + domain
)

// Ports of every node; each node has an address of its own.
const (
	apiPort    = 7450
	gossipPort = 7451
	dnsPort    = 7453
)

// Fault is what is done to the primary.
type Fault string

// The faults.
const (
	Crash      Fault = "crash"      // SIGKILL
	Freeze     Fault = "freeze"     // SIGSTOP
	Switchover Fault = "switchover" // asked for
	None       Fault = "none"
)

// ParseFault reads a fault's name.
func ParseFault(s string) (Fault, error) {
	switch f := Fault(s); f {
	case Crash, Freeze, Switchover, None:
		return f, nil
	}
	return "", fmt.Errorf("unknown fault %q: want crash, freeze, switchover or none", s)
}

// DatabaseName is the one database of a rig, PrimaryName the full name of its primary and Domain what all names end in.
const (
	DatabaseName = databaseName
	PrimaryName  = primaryName
	Domain       = domain
)

// Place says where the hosts of a rig are. Host i (from 0) carries node i and, beside a server node, database i.
type Place interface {
	// IP is address n (1 to 254) of the network: databases have 1, 2, ..., servers 11, 12, ... and clients 21, 22, ...
	IP(n int) netip.Addr
	// Enter is the command that runs another one on host i, by exec; empty: none is needed.
	Enter(i int) []string
	// DataDir is where database i keeps its data; "" leaves that to the lab.
	DataDir(i int) string
	// Close gives the place back after every process of the rig has ended.
	Close() error
}

// loopback is this machine, with an address for everybody.
type loopback struct{ *lab.Subnet }

func (loopback) Enter(int) []string { return nil }
func (loopback) DataDir(int) string { return "" }

// Options say what to run.
type Options struct {
	// Families are tried in turn until one can be had.
	Families []lab.Family
	// Nodes are servers, each beside a database server; Clients only follow.
	Nodes, Clients int
	Faults         []Fault
	// PerSecond is how many writes all writers together attempt.
	PerSecond int
	// Dir is where the nodes keep their files; empty: a temporary directory that is removed.
	Dir string
	// Baton is the command line of baton itself, to which "agent --config FILE" is added.
	Baton []string
	// Restart is how long after its end a database server is started again, as a supervisor would.
	Restart time.Duration
	// Place is where the hosts are; nil: loopback addresses of this machine. The rig closes it.
	Place Place
	Out   io.Writer
	Log   *slog.Logger
}

// Validate says what is wrong with o.
func (o Options) Validate() error {
	switch {
	case o.Nodes != 3 && o.Nodes != 5:
		return fmt.Errorf("%d nodes: want 3 or 5: all of them vote", o.Nodes)
	case o.Clients < 0 || o.Clients > 100:
		return fmt.Errorf("%d clients: want 0 to 100", o.Clients)
	case o.PerSecond < 1 || o.PerSecond > 100_000:
		return fmt.Errorf("%d writes per second: want 1 to 100000", o.PerSecond)
	case len(o.Baton) == 0 || len(o.Families) == 0:
		return fmt.Errorf("no baton or no database family to run")
	}
	return nil
}

package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"github.com/baton-db/baton/dnsserver"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/registry"
)

// Config is everything one node needs to know. Default fills in what is not given; Validate says what is wrong.
type Config struct {
	Cluster registry.ClusterID
	Node    registry.NodeID
	Role    registry.Role
	Zone    string
	// DataDir holds the Raft store, promises, certificates and journals; it belongs to one node for ever.
	DataDir string
	// Advertise is the address others use.
	Advertise netip.Addr
	// API is host:port of the one TCP port for API and Raft, Gossip of the TCP and UDP port for membership.
	API    string
	Gossip string
	// GossipKey is 32 bytes shared by the cluster.
	GossipKey []byte
	// Bootstrap says that this server is the first of its cluster: what is missing of the authority, its own certificate
	// and the gossip key is made when it starts. GossipKeyFile is where to make the key, while GossipKey is empty.
	Bootstrap     bool
	GossipKeyFile string
	// Servers are the voters with which the cluster was first started, and where clients find the state.
	Servers []Server
	// Join are gossip addresses (host:port) of any other nodes.
	Join []string

	DNS      DNS
	Hosts    []HostsFile
	Database *Database
	Debug    bool
}

// Server is a Raft voter.
type Server struct {
	Node registry.NodeID
	API  string // host:port
}

// DNS is where this node answers names.
type DNS struct {
	Domain string
	Listen []string // host:port; none: no DNS here
	// Hold is how long a question for a primary that is being replaced waits for the answer.
	Hold time.Duration
	// MaxStale is how old the state may be before answers carry a mark.
	MaxStale time.Duration
}

// HostsFile is a file in which a marked block is kept equal to the records.
type HostsFile struct {
	Path    string
	Aliases map[string]string // alias -> name relative to the domain
}

// Database is the database server beside this node.
type Database struct {
	Name       registry.DatabaseName
	Instance   registry.InstanceID
	Address    string // ip:port for applications and replicas
	Socket     string // unix socket: identity and process are taken from it
	User       string
	Password   mysqld.Secret
	ReplUser   string
	ReplSecret mysqld.Secret
	Preference registry.Preference
	// Start and Stop are the programs, with their arguments, that start the server and keep it stopped: an init system's. Both
	// or none; without them baton brings no server back that is dead.
	Start, Stop []string
	// OnDivergence is how the server is brought back when it holds what the primary lacks; empty: rewind.
	OnDivergence rejoin.How
	// Policy is used when this node is the first to name the database.
	Policy registry.Policy
}

// Default ports and times.
const (
	DefaultAPIPort    = 7450
	DefaultGossipPort = 7451
	DefaultDNSPort    = 7453
	DefaultDomain     = "baton.internal"
	DefaultDataDir    = "/var/lib/baton"
)

// WithDefaults returns c with everything filled in that has a default.
func (c Config) WithDefaults() Config {
	if c.DataDir == "" {
		c.DataDir = DefaultDataDir
	}
	if c.Role == "" {
		c.Role = registry.RoleServer
	}
	if c.API == "" {
		c.API = net.JoinHostPort(c.Advertise.String(), strconv.Itoa(DefaultAPIPort))
	}
	if c.Gossip == "" {
		c.Gossip = net.JoinHostPort(c.Advertise.String(), strconv.Itoa(DefaultGossipPort))
	}
	if c.DNS.Domain == "" {
		c.DNS.Domain = DefaultDomain
	}
	if c.DNS.Hold == 0 {
		c.DNS.Hold = 2 * time.Second
	}
	if c.DNS.MaxStale == 0 {
		c.DNS.MaxStale = 10 * time.Second
	}
	if d := c.Database; d != nil {
		filled := *d
		if filled.Instance == "" {
			filled.Instance = registry.InstanceID(c.Node)
		}
		if filled.Preference == "" {
			filled.Preference = registry.Normal
		}
		if filled.OnDivergence == "" {
			filled.OnDivergence = rejoin.Rewind
		}
		if filled.Policy == (registry.Policy{}) {
			filled.Policy = registry.DefaultPolicy()
		}
		// Replicas are compared with the registry by this text, and IPv6 has many spellings of one address.
		if ap, err := netip.ParseAddrPort(filled.Address); err == nil {
			filled.Address = ap.String()
		}
		c.Database = &filled
	}
	return c
}

// FieldError is a value of a Config that cannot be used. Field is its path as in a node file: "listen.advertise".
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *FieldError) Unwrap() error { return e.Err }

// Validate returns every *FieldError, joined. It touches nothing outside c.
func (c Config) Validate() error {
	var errs []error
	bad := func(field string, err error) {
		if err != nil {
			errs = append(errs, &FieldError{field, err})
		}
	}
	bad("cluster", registry.ValidName(string(c.Cluster)))
	bad("node", registry.ValidName(string(c.Node)))
	if c.Role != registry.RoleServer && c.Role != registry.RoleClient {
		bad("role", fmt.Errorf("%q: want \"server\" or \"client\"", c.Role))
	}
	bad("listen.advertise", advertisable(c.Advertise))
	bad("listen.api", announced(c.API))
	bad("listen.gossip", announced(c.Gossip))
	for i, j := range c.Join {
		bad(fmt.Sprintf("join[%d]", i), namedPort(j))
	}
	for i, l := range c.DNS.Listen {
		bad(fmt.Sprintf("dns.listen[%d]", i), hostPort(l))
	}
	bad("dns.domain", dnsserver.Config{Domain: c.DNS.Domain}.Validate())
	bad("dns.hold", dnsserver.Config{Hold: c.DNS.Hold}.Validate())
	if c.Bootstrap && c.Role == registry.RoleClient {
		bad("bootstrap", fmt.Errorf("a client cannot be the first of a cluster: one of the servers is"))
	}
	if toBeMade := c.Bootstrap && len(c.GossipKey) == 0 && c.GossipKeyFile != ""; len(c.GossipKey) != 32 && !toBeMade {
		bad("gossip_key_file", fmt.Errorf("%d bytes, want 32", len(c.GossipKey)))
	}
	bad("servers", c.validServers())
	for i, h := range c.Hosts {
		if !filepath.IsAbs(h.Path) {
			bad(fmt.Sprintf("hosts[%d].path", i), fmt.Errorf("%q is not an absolute path", h.Path))
		}
	}
	if c.Database != nil {
		errs = append(errs, c.Database.validate(c.Advertise)...)
	}
	return errors.Join(errs...)
}

func (c Config) validServers() error {
	self, seen := false, map[string]registry.NodeID{}
	for _, s := range c.Servers {
		if err := registry.ValidName(string(s.Node)); err != nil {
			return err
		}
		if err := hostPort(s.API); err != nil {
			return fmt.Errorf("%s: %w", s.Node, err)
		}
		if s.Node == c.Node {
			self = true
			if s.API != c.API {
				return fmt.Errorf("the others find this node, %s, at %s, but it listens at %s (listen.api)", s.Node, s.API, c.API)
			}
		}
		if other, ok := seen[s.API]; ok {
			return fmt.Errorf("%s and %s have the same address %s", other, s.Node, s.API)
		}
		seen[s.API] = s.Node
	}
	switch {
	case len(c.Servers) == 0:
		return fmt.Errorf("none given: name every server of the cluster with its API address")
	case c.Role == registry.RoleServer && !self:
		return fmt.Errorf("this node, %s, is a server but not in the list", c.Node)
	case c.Role == registry.RoleClient && self:
		return fmt.Errorf("this node, %s, is a client but in the list", c.Node)
	}
	return nil
}

// validate takes the address that others use for this node, which says where its database must be reachable from.
func (d *Database) validate(node netip.Addr) []error {
	var errs []error
	bad := func(field string, err error) {
		if err != nil {
			errs = append(errs, &FieldError{"mysql." + field, err})
		}
	}
	bad("database", registry.ValidName(string(d.Name)))
	bad("instance", registry.ValidName(string(d.Instance)))
	ap, err := netip.ParseAddrPort(d.Address)
	switch {
	case err != nil:
		bad("address", fmt.Errorf("%q: want ip:port", d.Address))
	case ap.Port() == 0 || ap.Addr().IsUnspecified() || ap.Addr().IsMulticast() || ap.Addr().Zone() != "":
		bad("address", fmt.Errorf("%s cannot be reached by others", d.Address))
	case ap.Addr().Is4In6():
		bad("address", fmt.Errorf("%s is an IPv4 address in disguise: write it as %s", d.Address, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())))
	case ap.Addr().IsLoopback() && node.IsValid() && !node.IsUnspecified() && !node.IsLoopback():
		bad("address", fmt.Errorf("%s is reached from this machine only; its replicas and applications need the address of an interface", d.Address))
	}
	if !filepath.IsAbs(d.Socket) {
		bad("socket", fmt.Errorf("%q is not an absolute path: baton learns from the socket which process is the server", d.Socket))
	}
	if d.User == "" {
		bad("user", fmt.Errorf("missing"))
	}
	if d.ReplUser == "" {
		bad("replication_user", fmt.Errorf("missing"))
	}
	if d.Preference.Rank() < 0 {
		bad("preference", fmt.Errorf("%q: want prefer, normal, last-resort or never", d.Preference))
	}
	bad("start", command(d.Start, d.Stop))
	bad("stop", command(d.Stop, d.Start))
	bad("on_divergence", d.OnDivergence.Valid())
	bad(policySetting(d.Policy), d.Policy.Validate())
	return errs
}

// command says what is wrong with a program and its arguments, of which there are two or none.
func command(argv, other []string) error {
	switch {
	case len(argv) == 0 && len(other) > 0:
		return fmt.Errorf("missing: start and stop belong together")
	case len(argv) > 0 && !filepath.IsAbs(argv[0]):
		return fmt.Errorf("%q is not an absolute path: no shell looks for the program", argv[0])
	}
	return nil
}

// policySetting is the setting that is to blame when p is not valid.
func policySetting(p registry.Policy) string {
	switch {
	case p.Expect < 2:
		return "expect"
	case p.K < 1 || p.K >= p.Expect:
		return "k"
	case p.MaxLagSeconds < 1:
		return "max_lag"
	case p.SwitchoverSeconds < 1:
		return "switchover_timeout"
	case p.Durability != "" && p.Durability != registry.Lossless && p.Durability != registry.Async:
		return "durability"
	}
	return "when_alone"
}

// advertisable refuses what no other machine could reach. Loopback addresses are allowed, because a whole cluster may
// live on one machine; a node with such an address can only join nodes of the same kind.
func advertisable(a netip.Addr) error {
	switch {
	case !a.IsValid():
		return fmt.Errorf("missing: give the address that other machines use for this one")
	case a.IsUnspecified():
		return fmt.Errorf("%s means every address of this machine; give the one that others use", a)
	case a.IsMulticast() || a.Zone() != "" || a.IsLinkLocalUnicast():
		return fmt.Errorf("%s cannot be used by other machines", a)
	}
	return nil
}

// announced refuses what other nodes could not connect to: the address that is bound is the one they are told.
func announced(s string) error {
	if err := hostPort(s); err != nil {
		return err
	}
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Addr().IsUnspecified() {
		return fmt.Errorf("%s means every address of this machine, and others are told to connect to it: give one address", s)
	}
	return nil
}

// namedPort wants host:port, where host may be a name.
func namedPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
		return fmt.Errorf("%q: want host:port", s)
	}
	return nil
}

func hostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q: want host:port", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q: port %q is none of 1 to 65535", s, port)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("%q: %q is not an IP address", s, host)
	}
	return nil
}

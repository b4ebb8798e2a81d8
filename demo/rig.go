package demo

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/internal/lab"
)

// Rig is a whole cluster on this machine: real database servers, and baton nodes as processes of their own.
type Rig struct {
	Binaries *lab.Binaries
	// Databases[i] is guarded by Nodes[i]; both are called db1, db2, ... Behind them in Nodes are the clients.
	Databases []*lab.Server
	Nodes     []*Node
	// Client asks as an operator.
	Client *api.Client
	// Dir holds everything the nodes keep.
	Dir string

	opts      Options
	place     Place
	ownDir    bool
	fresh     int // servers that got an empty data directory
	transport *api.Transport
}

// NewRig prepares directories, certificates and node files. Close must be called, also after an error of Start.
func NewRig(opts Options) (*Rig, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	r := &Rig{opts: opts, Dir: opts.Dir, place: opts.Place}
	if err := r.prepare(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Rig) prepare() error {
	var err error
	var lacking []error
	for _, family := range r.opts.Families {
		if r.Binaries, err = lab.Find(family); err == nil {
			break
		}
		lacking = append(lacking, err)
	}
	if r.Binaries == nil {
		return errors.Join(lacking...)
	}
	if r.Dir == "" {
		if r.Dir, err = os.MkdirTemp("", "baton-demo-"); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
		r.ownDir = true
	} else if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	if r.place == nil {
		subnet, err := lab.ClaimSubnet()
		if err != nil {
			return err
		}
		r.place = loopback{subnet}
	}
	for i := range r.opts.Nodes {
		name := "db" + strconv.Itoa(i+1)
		s, err := lab.New(r.Binaries, lab.Options{Name: name, IP: r.place.IP(i + 1), ServerID: uint32(i + 1),
			DataDir: r.place.DataDir(i), Enter: r.place.Enter(i), Supervise: r.opts.Restart, Log: r.opts.Log})
		if err != nil {
			return err
		}
		r.Databases = append(r.Databases, s)
		r.addNode(&Node{Name: name, Addr: r.place.IP(i + 11), enter: r.place.Enter(i)})
	}
	for i := range r.opts.Clients {
		r.addNode(&Node{Name: "app" + strconv.Itoa(i+1), Addr: r.place.IP(i + 21), Client: true, enter: r.place.Enter(r.opts.Nodes + i)})
	}
	return r.writeFiles()
}

func (r *Rig) addNode(n *Node) {
	n.Dir = filepath.Join(r.Dir, n.Name)
	n.Hosts = filepath.Join(n.Dir, "hosts")
	r.Nodes = append(r.Nodes, n)
}

// writeFiles makes what an operator would: certificates, secrets and one node file for each node.
func (r *Rig) writeFiles() error {
	authority, err := identity.NewAuthority(clusterName, time.Now())
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	for i, n := range r.Nodes {
		// The node finds its certificates in its data directory, as after a join.
		tlsDir := filepath.Join(n.Data(), "tls")
		if err := os.MkdirAll(tlsDir, 0o700); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
		cert, private, err := authority.Issue(n.role(), n.Name, time.Now())
		if err != nil {
			return err
		}
		if err := identity.Save(tlsDir, authority.CertPEM(), cert, private); err != nil {
			return err
		}
		files := map[string]string{
			"gossip.key": base64.StdEncoding.EncodeToString(key) + "\n",
			"baton.pw":   "baton\n", "repl.pw": "repl\n",
			"baton.hcl": r.nodeFile(i),
			"hosts":     "127.0.0.1 localhost\n",
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(n.Dir, name), []byte(text), 0o600); err != nil {
				return fmt.Errorf("write %s: %w", name, err)
			}
		}
	}
	return r.operator(authority)
}

// operator makes the identity of the person who watches, and a client that uses it.
func (r *Rig) operator(authority *identity.Authority) error {
	dir := filepath.Join(r.Dir, "operator")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	cert, private, err := authority.Issue(identity.RoleOperator, "demo", time.Now())
	if err != nil {
		return err
	}
	if err := identity.Save(dir, authority.CertPEM(), cert, private); err != nil {
		return err
	}
	id, err := identity.Load(dir)
	if err != nil {
		return err
	}
	r.transport = api.NewTransport(api.TransportConfig{TLS: func() *tls.Config { return id.ClientTLS("", identity.ALPNHTTP2) }})
	r.Client, err = api.NewClient(api.ClientConfig{Addrs: api.Static(r.APIs()...), Transport: r.transport, Log: r.opts.Log})
	return err
}

// APIs are the addresses (host:port) at which the servers answer people.
func (r *Rig) APIs() []string { return endpoints(r.servers(), apiPort) }

// DNS are the addresses (host:port) at which all nodes answer names, in the order of Nodes.
func (r *Rig) DNS() []string { return endpoints(r.Nodes, dnsPort) }

func (r *Rig) servers() []*Node { return r.Nodes[:r.opts.Nodes] }

func endpoints(nodes []*Node, port int) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, net.JoinHostPort(n.Addr.String(), strconv.Itoa(port)))
	}
	return all
}

// nodeFile is the configuration of node i as a person would write it.
func (r *Rig) nodeFile(i int) string {
	n := r.Nodes[i]
	var servers, join []string
	for _, other := range r.servers() {
		servers = append(servers, fmt.Sprintf("  %s = %q", other.Name, net.JoinHostPort(other.Addr.String(), strconv.Itoa(apiPort))))
		join = append(join, strconv.Quote(net.JoinHostPort(other.Addr.String(), strconv.Itoa(gossipPort))))
	}
	return fmt.Sprintf(`cluster         = %q
node            = %q
role            = %q
data_dir        = %q
gossip_key_file = %q
join            = [%s]
servers = {
%s
}

listen {
  advertise = %q
}

dns {
  domain = %q
  listen = [%q]
}

hosts "system" {
  path    = %q
  aliases = { "%s-db" = "primary.%s.db" }
}
%s`, clusterName, n.Name, n.role(), n.Data(), filepath.Join(n.Dir, "gossip.key"), strings.Join(join, ", "),
		strings.Join(servers, "\n"), n.Addr, domain, net.JoinHostPort(n.Addr.String(), strconv.Itoa(dnsPort)),
		n.Hosts, databaseName, databaseName, r.databaseBlock(i))
}

func (r *Rig) databaseBlock(i int) string {
	n := r.Nodes[i]
	if n.Client {
		return ""
	}
	return fmt.Sprintf(`
mysql {
  database                  = %q
  address                   = %q
  socket                    = %q
  user                      = "baton"
  password_file             = %q
  replication_user          = "repl"
  replication_password_file = %q
  on_divergence             = "wait" # Heal empties it
  expect                    = %d
}
`, databaseName, r.Databases[i].Addr(), r.Databases[i].Socket(),
		filepath.Join(n.Dir, "baton.pw"), filepath.Join(n.Dir, "repl.pw"), len(r.Databases))
}

// Start brings up the database servers and then the nodes, and returns when all processes run.
func (r *Rig) Start(ctx context.Context) error {
	if err := lab.StartAll(ctx, r.Databases...); err != nil {
		return err
	}
	for _, n := range r.Nodes {
		if err := r.StartNode(n); err != nil {
			return err
		}
	}
	return nil
}

// Close ends every process and removes what the rig made. The nodes are killed: the last leader would wait for a
// successor, and nothing of theirs is needed any more.
func (r *Rig) Close() error {
	var errs []error
	for _, n := range r.Nodes {
		if n.child != nil {
			errs = append(errs, n.child.Signal(syscall.SIGKILL))
		}
	}
	for _, n := range r.Nodes {
		if n.child != nil {
			errs = append(errs, n.end())
		}
	}
	for _, s := range r.Databases {
		errs = append(errs, s.Close())
	}
	if r.transport != nil {
		r.transport.Close()
	}
	if r.place != nil {
		errs = append(errs, r.place.Close())
	}
	if r.ownDir {
		errs = append(errs, os.RemoveAll(r.Dir))
	}
	return errors.Join(errs...)
}

// Commands are what a person can type to look around while the rig runs.
func (r *Rig) Commands() []string {
	dns, n := r.DNS()[0], r.Nodes[0]
	host, port, _ := net.SplitHostPort(dns) // our own address
	return []string{
		fmt.Sprintf("dig @%s -p %s %s A", host, port, primaryName),
		fmt.Sprintf("dig @%s -p %s why.%s TXT", host, port, primaryName),
		fmt.Sprintf("export BATON_ADDR=%s BATON_IDENTITY=%s", strings.Join(r.APIs(), ","), filepath.Join(r.Dir, "operator")),
		fmt.Sprintf("%s status", r.opts.Baton[0]),
		fmt.Sprintf("%s db show %s", r.opts.Baton[0], databaseName),
		fmt.Sprintf("%s db switchover %s", r.opts.Baton[0], databaseName),
		fmt.Sprintf("mariadb -h %s -u app -papp app -e 'SELECT COUNT(*) FROM ledger'", r.Databases[0].Addr().Addr()),
		"cat " + n.Hosts,
		"tail -f " + n.Log(),
	}
}

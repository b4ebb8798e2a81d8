package demo

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
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
	// Databases[i] is guarded by Nodes[i]; both are called db1, db2, ...
	Databases []*lab.Server
	Nodes     []*Node
	// Client asks as an operator.
	Client *api.Client
	// Dir holds everything the nodes keep.
	Dir string

	opts      Options
	subnet    *lab.Subnet
	ownDir    bool
	transport *api.Transport
}

// Node is one baton process.
type Node struct {
	Name  string
	Addr  netip.Addr
	Dir   string
	Hosts string // path of the hosts file it keeps
	child *lab.Child
	log   *os.File
}

// NewRig prepares directories, certificates and node files. Close must be called, also after an error of Start.
func NewRig(opts Options) (*Rig, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	r := &Rig{opts: opts, Dir: opts.Dir}
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
	if r.subnet, err = lab.ClaimSubnet(); err != nil {
		return err
	}
	for i := range r.opts.Nodes {
		name := "db" + strconv.Itoa(i+1)
		s, err := lab.New(r.Binaries, lab.Options{Name: name, IP: r.subnet.IP(i + 1), ServerID: uint32(i + 1),
			Supervise: r.opts.Restart, Log: r.opts.Log})
		if err != nil {
			return err
		}
		r.Databases = append(r.Databases, s)
		dir := filepath.Join(r.Dir, name)
		r.Nodes = append(r.Nodes, &Node{Name: name, Addr: r.subnet.IP(i + 11), Dir: dir, Hosts: filepath.Join(dir, "hosts")})
	}
	return r.writeFiles()
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
		for _, dir := range []string{n.Dir, filepath.Join(n.Dir, "tls")} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return fmt.Errorf("make a directory: %w", err)
			}
		}
		cert, private, err := authority.Issue(identity.RoleServer, n.Name, time.Now())
		if err != nil {
			return err
		}
		if err := identity.Save(filepath.Join(n.Dir, "tls"), authority.CertPEM(), cert, private); err != nil {
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

// APIs are the addresses (host:port) at which the nodes answer people, and DNS where they answer names.
func (r *Rig) APIs() []string { return r.endpoints(apiPort) }

// DNS are the addresses (host:port) at which the nodes answer names.
func (r *Rig) DNS() []string { return r.endpoints(dnsPort) }

func (r *Rig) endpoints(port int) []string {
	var all []string
	for _, n := range r.Nodes {
		all = append(all, net.JoinHostPort(n.Addr.String(), strconv.Itoa(port)))
	}
	return all
}

// nodeFile is the configuration of node i as a person would write it.
func (r *Rig) nodeFile(i int) string {
	n := r.Nodes[i]
	var servers, join []string
	for _, other := range r.Nodes {
		servers = append(servers, fmt.Sprintf("  %s = %q", other.Name, net.JoinHostPort(other.Addr.String(), strconv.Itoa(apiPort))))
		join = append(join, strconv.Quote(net.JoinHostPort(other.Addr.String(), strconv.Itoa(gossipPort))))
	}
	return fmt.Sprintf(`cluster         = %q
node            = %q
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

mysql {
  database                  = %q
  address                   = %q
  socket                    = %q
  user                      = "baton"
  password_file             = %q
  replication_user          = "repl"
  replication_password_file = %q
  expect                    = %d
}
`, clusterName, n.Name, filepath.Join(n.Dir, "data"), filepath.Join(n.Dir, "gossip.key"), strings.Join(join, ", "),
		strings.Join(servers, "\n"), n.Addr, domain, net.JoinHostPort(n.Addr.String(), strconv.Itoa(dnsPort)),
		n.Hosts, databaseName, databaseName, databaseName, r.Databases[i].Addr(), r.Databases[i].Socket(),
		filepath.Join(n.Dir, "baton.pw"), filepath.Join(n.Dir, "repl.pw"), len(r.Nodes))
}

// Start brings up the database servers and then the nodes, and returns when all processes run.
func (r *Rig) Start(ctx context.Context) error {
	if err := lab.StartAll(ctx, r.Databases...); err != nil {
		return err
	}
	for _, n := range r.Nodes {
		if err := r.startNode(n); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rig) startNode(n *Node) error {
	data := filepath.Join(n.Dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	// The node finds its certificates in its data directory, as after a join.
	if err := os.Rename(filepath.Join(n.Dir, "tls"), filepath.Join(data, "tls")); err != nil {
		return fmt.Errorf("install certificates of %s: %w", n.Name, err)
	}
	out, err := os.OpenFile(filepath.Join(n.Dir, "baton.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", n.Name, err)
	}
	n.log = out
	args := append(r.opts.Baton[1:len(r.opts.Baton):len(r.opts.Baton)], "agent", "--config", filepath.Join(n.Dir, "baton.hcl"))
	cmd := exec.Command(r.opts.Baton[0], args...)
	cmd.Stdout, cmd.Stderr = out, out
	n.child, err = lab.StartChild(cmd)
	if err != nil {
		return fmt.Errorf("start baton on %s: %w", n.Name, err)
	}
	return nil
}

// Pid is the node's process id, 0 before it was started.
func (n *Node) Pid() int {
	if n.child == nil {
		return 0
	}
	return n.child.Pid()
}

// Log is the path of what the node says.
func (n *Node) Log() string { return filepath.Join(n.Dir, "baton.log") }

// Ended returns an error when a node's process has ended, with the last lines that it said.
func (r *Rig) Ended() error {
	for _, n := range r.Nodes {
		if n.child == nil {
			continue
		}
		select {
		case <-n.child.Done():
			return fmt.Errorf("baton on %s ended: %s\n%s", n.Name, n.child.Outcome(), tail(n.Log(), 15))
		default:
		}
	}
	return nil
}

func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Close ends every process and removes what the rig made.
func (r *Rig) Close() error {
	var errs []error
	for _, n := range r.Nodes {
		if n.child != nil {
			errs = append(errs, n.child.Signal(syscall.SIGTERM))
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
	if r.subnet != nil {
		errs = append(errs, r.subnet.Close())
	}
	if r.ownDir {
		errs = append(errs, os.RemoveAll(r.Dir))
	}
	return errors.Join(errs...)
}

// end waits for a node that was asked to stop, and kills one that does not.
func (n *Node) end() error {
	t := time.NewTimer(10 * time.Second)
	defer t.Stop()
	var err error
	select {
	case <-n.child.Done():
	case <-t.C:
		err = errors.Join(fmt.Errorf("baton on %s did not stop within 10 s: killed", n.Name), n.child.Signal(syscall.SIGKILL))
	}
	n.child.Wait()
	return errors.Join(err, n.log.Close())
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

// Package config reads a node's HCL file into an agent.Config, with a position and a way out in every error.
//
// A node file is one file, or a directory with baton.hcl and conf.d/*.hcl, which are merged in the order of their names.
// Unknown settings are errors, durations carry units, secrets are given only by the file that holds them. Nothing is
// opened, bound or changed here except those files: `baton config validate` can run beside a live agent.
package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// file is the form of a node file. docs/config.md and sample.hcl say what each setting means.
type file struct {
	Cluster   string            `hcl:"cluster"`
	Node      string            `hcl:"node"`
	Role      *string           `hcl:"role"`
	Zone      *string           `hcl:"zone"`
	DataDir   *string           `hcl:"data_dir"`
	Join      []string          `hcl:"join,optional"`
	Servers   map[string]string `hcl:"servers"`
	GossipKey string            `hcl:"gossip_key_file"`
	Log       *logging          `hcl:"log,block"`
	Listen    listen            `hcl:"listen,block"`
	DNS       *dns              `hcl:"dns,block"`
	Hosts     []hosts           `hcl:"hosts,block"`
	MySQL     *mysql            `hcl:"mysql,block"`
}

type logging struct {
	Level *string `hcl:"level"`
}

type listen struct {
	Advertise string  `hcl:"advertise"`
	API       *string `hcl:"api"`
	Gossip    *string `hcl:"gossip"`
}

type dns struct {
	Domain   *string  `hcl:"domain"`
	Listen   []string `hcl:"listen,optional"`
	Hold     *string  `hcl:"hold"`
	MaxStale *string  `hcl:"max_stale"`
}

type hosts struct {
	Name    string            `hcl:"name,label"`
	Path    string            `hcl:"path"`
	Aliases map[string]string `hcl:"aliases,optional"`
}

type mysql struct {
	Database        string  `hcl:"database"`
	Instance        *string `hcl:"instance"`
	Address         string  `hcl:"address"`
	Socket          string  `hcl:"socket"`
	User            string  `hcl:"user"`
	PasswordFile    *string `hcl:"password_file"`
	ReplicationUser string  `hcl:"replication_user"`
	ReplicationFile string  `hcl:"replication_password_file"`
	Preference      *string `hcl:"preference"`
	Expect          *int    `hcl:"expect"`
	K               *int    `hcl:"k"`
	MaxLag          *string `hcl:"max_lag"`
	Switchover      *string `hcl:"switchover_timeout"`
}

// Load reads the file or directory at path. The error is an *Error.
func Load(path string) (agent.Config, error) {
	l := &loader{parser: hclparse.NewParser()}
	l.load(path)
	if l.diags.HasErrors() {
		return agent.Config{}, &Error{path: path, diags: l.diags, files: l.parser.Files()}
	}
	return l.cfg, nil
}

// loader collects everything that is wrong, so that one run names it all.
type loader struct {
	parser *hclparse.Parser
	bodies []hcl.Body
	diags  hcl.Diagnostics
	cfg    agent.Config
}

func (l *loader) load(path string) {
	paths, err := files(path)
	if err != nil {
		l.fail(nil, "Cannot read the configuration", err.Error())
		return
	}
	for _, p := range paths {
		f, diags := l.parser.ParseHCLFile(p)
		l.diags = append(l.diags, diags...)
		if f != nil {
			l.bodies = append(l.bodies, f.Body)
		}
	}
	if l.diags.HasErrors() {
		return
	}
	var in file
	l.diags = append(l.diags, gohcl.DecodeBody(hcl.MergeBodies(l.bodies), nil, &in)...)
	if l.diags.HasErrors() {
		return
	}
	l.fill(in)
	l.cfg = l.cfg.WithDefaults()
	l.check(l.cfg.Validate())
}

// files lists what path stands for.
func files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w. Give the path of a node file, or of a directory with baton.hcl", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	more, err := filepath.Glob(filepath.Join(path, "conf.d", "*.hcl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(more)
	return append([]string{filepath.Join(path, "baton.hcl")}, more...), nil
}

func (l *loader) fill(in file) {
	c := &l.cfg
	c.Cluster, c.Node = registry.ClusterID(in.Cluster), registry.NodeID(in.Node)
	c.Role, c.Zone = registry.Role(value(in.Role)), value(in.Zone)
	c.DataDir, c.Join = value(in.DataDir), in.Join
	c.API, c.Gossip = value(in.Listen.API), value(in.Listen.Gossip)
	c.Advertise, _ = netip.ParseAddr(in.Listen.Advertise) // Validate names an address that is none
	for node, api := range in.Servers {
		c.Servers = append(c.Servers, agent.Server{Node: registry.NodeID(node), API: api})
	}
	slices.SortFunc(c.Servers, func(a, b agent.Server) int { return strings.Compare(string(a.Node), string(b.Node)) })
	c.GossipKey = l.gossipKey(in.GossipKey)
	l.fillLog(in.Log)
	if in.DNS != nil {
		c.DNS = agent.DNS{Domain: value(in.DNS.Domain), Listen: in.DNS.Listen,
			Hold: l.duration("dns.hold", in.DNS.Hold), MaxStale: l.duration("dns.max_stale", in.DNS.MaxStale)}
	}
	for _, h := range in.Hosts {
		c.Hosts = append(c.Hosts, agent.HostsFile{Path: h.Path, Aliases: h.Aliases})
	}
	if in.MySQL != nil {
		c.Database = l.database(*in.MySQL)
	}
}

func (l *loader) fillLog(in *logging) {
	if in == nil {
		return
	}
	switch value(in.Level) {
	case "debug":
		l.cfg.Debug = true
	case "", "info":
	default:
		l.failAt("log.level", "Unknown log level", fmt.Sprintf("%q: want \"debug\" or \"info\".", value(in.Level)))
	}
}

func (l *loader) database(in mysql) *agent.Database {
	p := registry.DefaultPolicy()
	if in.Expect != nil {
		p.Expect = *in.Expect
	}
	if in.K != nil {
		p.K = *in.K
	}
	if in.MaxLag != nil {
		p.MaxLagSeconds = int(l.duration("mysql.max_lag", in.MaxLag) / time.Second)
	}
	if in.Switchover != nil {
		p.SwitchoverSeconds = int(l.duration("mysql.switchover_timeout", in.Switchover) / time.Second)
	}
	d := &agent.Database{
		Name: registry.DatabaseName(in.Database), Instance: registry.InstanceID(value(in.Instance)),
		Address: in.Address, Socket: in.Socket, User: in.User, ReplUser: in.ReplicationUser,
		Preference: registry.Preference(value(in.Preference)), Policy: p,
		ReplSecret: mysqld.Secret(l.secret("mysql.replication_password_file", in.ReplicationFile)),
	}
	if in.PasswordFile != nil {
		d.Password = mysqld.Secret(l.secret("mysql.password_file", *in.PasswordFile))
	}
	return d
}

func (l *loader) duration(field string, s *string) time.Duration {
	if s == nil {
		return 0
	}
	d, err := time.ParseDuration(*s)
	if err != nil || d <= 0 {
		l.failAt(field, "Not a duration", fmt.Sprintf("%q: want a positive number with a unit, such as \"2s\" or \"500ms\".", *s))
	}
	return d
}

// gossipKey reads the 32 bytes that all nodes share.
func (l *loader) gossipKey(path string) []byte {
	key := []byte(l.secret("gossip_key_file", path))
	if raw, err := decodeKey(string(key)); err == nil {
		return raw
	}
	return key
}

// secret reads a file that nobody but its owner may read.
func (l *loader) secret(field, path string) string {
	info, err := os.Stat(path)
	if err != nil {
		l.failAt(field, "Secret file cannot be read", fmt.Sprintf("%v. Create it with the secret as its only line, mode 0600.", err))
		return ""
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		l.failAt(field, "Secret file is open to others", fmt.Sprintf("%s has mode %04o. Fix: chmod 600 %s", path, mode, path))
		return ""
	}
	b, err := os.ReadFile(path)
	if err != nil {
		l.failAt(field, "Secret file cannot be read", err.Error())
		return ""
	}
	return strings.TrimRight(string(b), "\r\n")
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

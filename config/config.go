// Package config reads a node's HCL file into an agent.Config, with a position and a way out in every error.
//
// A node file is one file, or a directory with baton.hcl and conf.d/*.hcl, which are merged in the order of their names.
// Unknown settings are errors, durations carry units, secrets are given only by the file that holds them. Nothing is
// opened, bound or changed here except those files: `baton config validate` can run beside a live agent.
//
// A load has three stages, and each says everything that is wrong before it gives up: the files are read (read.go),
// parsed and decoded (hints.go puts what the HCL library says into our words), and filled into an agent.Config whose
// own Validate has the last word (fill.go). where.go finds the line for every setting.
package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/baton-db/baton/agent"
)

// file is the form of a node file. docs/config.md and sample.hcl say what each setting means; eg is what an error shows
// as an example.
type file struct {
	Cluster   string            `hcl:"cluster" eg:"\"prod\""`
	Node      string            `hcl:"node" eg:"\"db1\""`
	Role      *string           `hcl:"role" eg:"\"server\" or \"client\""`
	Bootstrap *bool             `hcl:"bootstrap" eg:"true"`
	Zone      *string           `hcl:"zone" eg:"\"a\""`
	DataDir   *string           `hcl:"data_dir" eg:"\"/var/lib/baton\""`
	Join      []string          `hcl:"join,optional" eg:"[\"10.0.0.12:7451\"]"`
	Servers   map[string]string `hcl:"servers" eg:"{ db1 = \"10.0.0.11:7450\" }"`
	GossipKey string            `hcl:"gossip_key_file" eg:"\"/etc/baton/gossip.key\""`
	Log       *logging          `hcl:"log,block"`
	Listen    listen            `hcl:"listen,block"`
	DNS       *dns              `hcl:"dns,block"`
	Hosts     []hosts           `hcl:"hosts,block"`
	MySQL     *mysql            `hcl:"mysql,block"`
}

type logging struct {
	Level *string `hcl:"level" eg:"\"info\" or \"debug\""`
}

type listen struct {
	Advertise string  `hcl:"advertise" eg:"\"10.0.0.11\""`
	API       *string `hcl:"api" eg:"\"10.0.0.11:7450\""`
	Gossip    *string `hcl:"gossip" eg:"\"10.0.0.11:7451\""`
}

type dns struct {
	Domain   *string  `hcl:"domain" eg:"\"baton.internal\""`
	Listen   []string `hcl:"listen,optional" eg:"[\"127.0.0.1:7453\"]"`
	Hold     *string  `hcl:"hold" eg:"\"2s\""`
	MaxStale *string  `hcl:"max_stale" eg:"\"10s\""`
}

type hosts struct {
	Name    string            `hcl:"name,label"`
	Path    string            `hcl:"path" eg:"\"/etc/hosts\""`
	Aliases map[string]string `hcl:"aliases,optional" eg:"{ orders-db = \"primary.orders.db\" }"`
}

type mysql struct {
	Database        string   `hcl:"database" eg:"\"orders\""`
	Instance        *string  `hcl:"instance" eg:"\"db1\""`
	Address         string   `hcl:"address" eg:"\"10.0.0.11:3306\""`
	Socket          string   `hcl:"socket" eg:"\"/run/mysqld/mysqld.sock\""`
	User            string   `hcl:"user" eg:"\"baton\""`
	PasswordFile    *string  `hcl:"password_file" eg:"\"/etc/baton/mysql.pw\""`
	ReplicationUser string   `hcl:"replication_user" eg:"\"repl\""`
	ReplicationFile string   `hcl:"replication_password_file" eg:"\"/etc/baton/repl.pw\""`
	Preference      *string  `hcl:"preference" eg:"\"prefer\", \"normal\", \"last-resort\" or \"never\""`
	Start           []string `hcl:"start,optional" eg:"[\"/usr/bin/systemctl\", \"start\", \"mariadb\"]"`
	Stop            []string `hcl:"stop,optional" eg:"[\"/usr/bin/systemctl\", \"stop\", \"mariadb\"]"`
	OnDivergence    *string  `hcl:"on_divergence" eg:"\"rewind\", \"clone\" or \"wait\""`
	Expect          *int     `hcl:"expect" eg:"3"`
	K               *int     `hcl:"k" eg:"1"`
	MaxLag          *string  `hcl:"max_lag" eg:"\"30s\""`
	Switchover      *string  `hcl:"switchover_timeout" eg:"\"3s\""`
	Durability      *string  `hcl:"durability" eg:"\"lossless\" or \"async\""`
	WhenAlone       *string  `hcl:"when_alone" eg:"\"block\" or \"degrade\""`
}

// Load reads the file or directory at path. The error is an *Error.
func Load(path string) (agent.Config, error) {
	l := &loader{path: path, parser: hclparse.NewParser(), failed: map[string]bool{}}
	l.load()
	if len(l.found) > 0 {
		return agent.Config{}, l.error()
	}
	return l.cfg, nil
}

// loader collects everything that is wrong, so that one run names it all.
type loader struct {
	path    string
	parser  *hclparse.Parser
	sources []source
	bodies  []*hclsyntax.Body
	cfg     agent.Config
	found   []Finding
	failed  map[string]bool // settings that something is wrong with already
}

func (l *loader) load() {
	l.sources = l.read()
	if len(l.found) > 0 {
		return
	}
	for _, s := range l.sources {
		if at, deep := tooDeep(s); deep {
			l.add(l.at(at, Finding{Code: codeSyntax, Problem: "brackets or operators are nested too deep", Fix: "A node file needs neither. Is it another file?"}))
			continue
		}
		f, diags := l.parser.ParseHCL(s.text, s.path)
		l.translate(diags)
		if f == nil {
			continue
		}
		body, ok := f.Body.(*hclsyntax.Body)
		if !ok {
			panic(fmt.Sprintf("config: native syntax has no such body: %T", f.Body))
		}
		l.bodies = append(l.bodies, body)
	}
	if len(l.found) > 0 {
		return
	}
	var all []hcl.Body
	for _, b := range l.bodies {
		all = append(all, b)
	}
	var in file
	l.translate(gohcl.DecodeBody(hcl.MergeBodies(all), nil, &in))
	if len(l.found) > 0 {
		return
	}
	l.quotedNumber("mysql.expect", "mysql.k")
	l.fill(in)
	l.cfg = l.cfg.WithDefaults()
	l.check(l.cfg.Validate())
}

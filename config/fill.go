package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/registry"
)

// fill turns what is written into what it means.
func (l *loader) fill(in file) {
	c := &l.cfg
	c.Cluster, c.Node = registry.ClusterID(in.Cluster), registry.NodeID(in.Node)
	c.Role, c.Zone = registry.Role(value(in.Role)), value(in.Zone)
	c.DataDir, c.Join = value(in.DataDir), in.Join
	if c.DataDir != "" && !filepath.IsAbs(c.DataDir) {
		l.fail("data_dir", codeValue, fmt.Sprintf("data_dir: %q is not an absolute path", c.DataDir), "")
	}
	c.API, c.Gossip = value(in.Listen.API), value(in.Listen.Gossip)
	l.advertise(in.Listen.Advertise)
	for node, api := range in.Servers {
		c.Servers = append(c.Servers, agent.Server{Node: registry.NodeID(node), API: api})
	}
	slices.SortFunc(c.Servers, func(a, b agent.Server) int { return strings.Compare(string(a.Node), string(b.Node)) })
	if n := len(c.Servers); n > 0 && n%2 == 0 {
		l.fail("servers", codeValue, fmt.Sprintf("servers: %d voters outlive the loss of %d, and %d would as well", n, n/2-1, n-1),
			"Name three or five voters, or one to try baton out. A node that is not to vote has role = \"client\" and is not in the list.")
	}
	c.Bootstrap = in.Bootstrap != nil && *in.Bootstrap
	if c.Bootstrap && filepath.IsAbs(in.GossipKey) && l.absent(in.GossipKey) {
		c.GossipKeyFile = in.GossipKey // the agent makes it
	} else {
		c.GossipKey = l.gossipKey(in.GossipKey)
	}
	l.fillLog(in.Log)
	if in.DNS != nil {
		c.DNS = agent.DNS{Domain: value(in.DNS.Domain), Listen: in.DNS.Listen,
			Hold:     l.duration("dns.hold", in.DNS.Hold, bounds{time.Millisecond, 30 * time.Second}),
			MaxStale: l.duration("dns.max_stale", in.DNS.MaxStale, bounds{time.Second, 24 * time.Hour})}
	}
	for i, h := range in.Hosts {
		l.hostsOnce(i, in.Hosts)
		c.Hosts = append(c.Hosts, agent.HostsFile{Path: h.Path, Aliases: h.Aliases})
	}
	if in.MySQL != nil {
		c.Database = l.database(*in.MySQL)
	}
}

func (l *loader) advertise(s string) {
	const field = "listen.advertise"
	a, err := netip.ParseAddr(s)
	switch {
	case s == "":
		return // Validate says that it is missing
	case err != nil:
		l.fail(field, codeValue, fmt.Sprintf("%s: %q is not an IP address", field, s),
			"Give the IP address that other machines use for this one. A name will not do: baton is there when DNS is not.")
	case a.Is4In6():
		l.fail(field, codeValue, fmt.Sprintf("%s: %s is an IPv4 address in disguise", field, s), "Write it as "+a.Unmap().String()+".")
	default:
		l.cfg.Advertise = a
	}
}

func (l *loader) fillLog(in *logging) {
	if in == nil {
		return
	}
	switch value(in.Level) {
	case "debug":
		l.cfg.Debug = true
	case "info":
	default:
		if in.Level != nil {
			l.fail("log.level", codeValue, fmt.Sprintf("log.level: unknown level %q", *in.Level), "")
		}
	}
}

// hostsOnce refuses two blocks of one name or for one file: they would take turns in undoing each other.
func (l *loader) hostsOnce(i int, all []hosts) {
	for _, other := range all[:i] {
		switch {
		case other.Name == all[i].Name:
			l.fail(fmt.Sprintf("hosts[%d]", i), codeTwice, fmt.Sprintf("a second block hosts %q", other.Name), "Give each a name of its own, or keep one of the two.")
		case filepath.Clean(other.Path) == filepath.Clean(all[i].Path):
			l.fail(fmt.Sprintf("hosts[%d].path", i), codeTwice, fmt.Sprintf("hosts %q and %q keep the same file %s", other.Name, all[i].Name, other.Path),
				"Put the aliases of both into one block.")
		}
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
		p.MaxLagSeconds = l.seconds("mysql.max_lag", in.MaxLag, bounds{time.Second, 24 * time.Hour})
	}
	if in.Switchover != nil {
		p.SwitchoverSeconds = l.seconds("mysql.switchover_timeout", in.Switchover, bounds{time.Second, time.Minute})
	}
	if d := registry.Durability(value(in.Durability)); d != registry.Lossless { // what is the default is left out, so that servers read it that know no other
		p.Durability = d
	}
	if a := registry.WhenAlone(value(in.WhenAlone)); a != registry.Block {
		p.WhenAlone = a
	}
	d := &agent.Database{
		Name: registry.DatabaseName(in.Database), Instance: registry.InstanceID(value(in.Instance)),
		Address: in.Address, Socket: in.Socket, User: in.User, ReplUser: in.ReplicationUser,
		Preference: registry.Preference(value(in.Preference)), Policy: p,
		Start: program(in.Start), Stop: program(in.Stop), OnDivergence: rejoin.How(value(in.OnDivergence)),
		ReplSecret: mysqld.Secret(l.secret("mysql.replication_password_file", in.ReplicationFile)),
	}
	if in.PasswordFile != nil {
		d.Password = mysqld.Secret(l.secret("mysql.password_file", *in.PasswordFile))
	}
	return d
}

// program is nil for an empty list, as for none.
func program(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	return argv
}

// bounds are the least and the greatest duration that make sense.
type bounds struct{ least, most time.Duration }

// duration reads a duration; it returns 0 when none is written, or after saying what is wrong.
func (l *loader) duration(field string, s *string, b bounds) time.Duration {
	if s == nil {
		return 0
	}
	d, err := time.ParseDuration(*s)
	switch {
	case err != nil:
		l.fail(field, codeValue, fmt.Sprintf("%s: %q is not a duration", field, *s), `Write a number and its unit (ms, s, m, h), such as "500ms" or "2s".`)
	case d < b.least || d > b.most:
		l.fail(field, codeValue, fmt.Sprintf("%s: %s is out of range", field, *s), fmt.Sprintf("Write a duration from %s to %s.", short(b.least), short(b.most)))
	default:
		return d
	}
	return 0
}

// seconds is duration for what is kept in whole seconds. After an error it returns a number that raises no second one.
func (l *loader) seconds(field string, s *string, b bounds) int {
	d := l.duration(field, s, b)
	if d%time.Second != 0 {
		l.fail(field, codeValue, fmt.Sprintf("%s: %s has a part of a second", field, *s), "Write whole seconds.")
	}
	return max(1, int(d/time.Second))
}

// short is a duration without its empty units: 24h, not 24h0m0s.
func short(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "m0s")
	if s != d.String() {
		s = strings.TrimSuffix(s+"m", "h0m") // 24h0m0s
		if !strings.HasSuffix(s, "m") {
			s += "h"
		}
	}
	return s
}

// check turns what agent.Config.Validate found into findings, except what was said already.
func (l *loader) check(err error) {
	if err == nil {
		return
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		panic(fmt.Sprintf("config: Validate returned %T", err))
	}
	for _, one := range joined.Unwrap() {
		var f *agent.FieldError
		if !errors.As(one, &f) {
			panic(fmt.Sprintf("config: Validate returned %T in its list", one))
		}
		if !l.failed[f.Field] && !l.follows(f.Field) {
			l.fail(f.Field, codeValue, problem(f), fix(f.Field))
		}
	}
}

// problem is the text of f without the name of the setting a second time.
func problem(f *agent.FieldError) string {
	text, name := f.Err.Error(), lastPart(f.Field)
	if strings.HasPrefix(text, name+" = ") {
		return strings.TrimSuffix(f.Field, name) + text
	}
	return f.Field + ": " + strings.TrimPrefix(text, strings.ReplaceAll(f.Field, ".", " ")+" ")
}

// fix is the way out for settings of which an example says too little; "" for all others.
func fix(field string) string {
	switch field {
	case "bootstrap":
		return "Write bootstrap = true into the node file of one server, and into no other."
	case "servers":
		return "Name every voter with its listen.api, the same on every node: servers = " + example(field) +
			"\nA node that is not to vote has role = \"client\" and is not in the list."
	}
	return ""
}

// follows reports whether what is wrong with field only follows from something that was said already.
func (l *loader) follows(field string) bool {
	switch field {
	case "listen.api", "listen.gossip":
		return l.failed["listen.advertise"] && !l.written(field)
	case "servers":
		return l.failed["node"] || l.failed["role"] || l.failed["listen.api"] || l.failed["listen.advertise"] && !l.written("listen.api")
	case "mysql.instance":
		return l.failed["node"] && !l.written(field)
	}
	return false
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

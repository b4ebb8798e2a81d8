package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/discovery"
	"github.com/baton-db/baton/dnsserver"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/hostsgen"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/raft"
	"github.com/baton-db/baton/registry"
)

// Agent is one node. New prepares it, Run runs it once.
type Agent struct {
	cfg     Config
	version string
	log     *slog.Logger
	machine Machine
	id      *identity.Current

	lock      *os.File     // held while the data directory is ours
	port      net.Listener // the one TCP port
	gossip    *discovery.Gossip
	dns       *dnsserver.Server // nil: none here
	transport *api.Transport
	client    *api.Client // asks the servers, as this node
	keeper    *keeper     // nil: no database here

	// One of the two is where this node's state comes from.
	replica  *raft.Replica
	follower *api.Follower
	board    *health.Board
	door     *server.Server // nil on a client
	started  bool           // the parts run, and close what is theirs
}

// New checks cfg, claims the data directory, binds every port, and makes what the first server of a cluster has to make.
// Whatever it refuses, it changes nothing but files in its own data directory, and leaves nothing open.
func New(cfg Config, version string, log *slog.Logger) (*Agent, error) {
	return Machine{}.New(cfg, version, log)
}

// New is the function New for a node on m.
func (m Machine) New(cfg Config, version string, log *slog.Logger) (*Agent, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, version: version, log: log.With("node", cfg.Node), machine: m.withDefaults(), board: health.NewBoard()}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.release())
	}
	return a, nil
}

// open does everything that can be refused, cheapest first.
func (a *Agent) open() error {
	for _, dir := range []string{a.cfg.DataDir, filepath.Join(a.cfg.DataDir, "guard"), filepath.Join(a.cfg.DataDir, "hosts")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
	}
	var err error
	if a.lock, err = lockDir(a.cfg.DataDir); err != nil {
		return err
	}
	if a.port, err = listen(a.machine.Listen, a.cfg.API); err != nil {
		return portInUse("listen.api", a.cfg.API, err)
	}
	if err := a.identify(); err != nil {
		return err
	}
	a.transport = api.NewTransport(api.TransportConfig{Dial: a.machine.Dial, TLS: func() *tls.Config { return a.id.ClientTLS("", identity.ALPNHTTP2) }})
	if a.client, err = api.NewClient(api.ClientConfig{Addrs: a.serverAddrs, Transport: a.transport, Node: a.cfg.Node, Log: a.room("api")}); err != nil {
		return err
	}
	if err := a.openGossip(); err != nil {
		return err
	}
	if len(a.cfg.DNS.Listen) > 0 {
		a.dns, err = dnsserver.New(dnsserver.Config{Domain: a.cfg.DNS.Domain, Listen: a.cfg.DNS.Listen, Hold: a.cfg.DNS.Hold,
			NodeID: a.cfg.Node, Nameservers: a.nameservers(), Logger: a.room("dnsserver")})
		if err != nil {
			return fmt.Errorf("dns: %w", err)
		}
		if err := a.dns.Listen(); err != nil {
			return fmt.Errorf("dns.listen: %w", err)
		}
	}
	return nil
}

// room is the logger of one room.
func (a *Agent) room(name string) *slog.Logger { return a.log.With("room", name) }

func (a *Agent) openGossip() error {
	carrier, err := a.machine.Gossip(a.cfg.Gossip)
	if err != nil {
		return gossipInUse(a.cfg.Gossip, err)
	}
	meta := discovery.Meta{API: a.cfg.API, Role: string(a.cfg.Role), Zone: a.cfg.Zone, Version: a.version}
	g, err := discovery.Open(discovery.Config{Name: string(a.cfg.Node), Cluster: string(a.cfg.Cluster), Bind: a.cfg.Gossip,
		Key: a.cfg.GossipKey, Meta: meta, Seeds: a.others(a.cfg.Join), Timing: discovery.LAN(), Log: a.room("discovery")}, carrier)
	if err != nil {
		if carrier != nil {
			err = errors.Join(err, carrier.Shutdown())
		}
		return gossipInUse(a.cfg.Gossip, err)
	}
	a.gossip = g
	return nil
}

// serverAddrs are the addresses of the servers' APIs.
func (a *Agent) serverAddrs() []string {
	var all []string
	for _, s := range a.cfg.Servers {
		all = append(all, s.API)
	}
	return all
}

// otherServers are the addresses of the servers' APIs but this node's own.
func (a *Agent) otherServers() []string {
	var all []string
	for _, s := range a.cfg.Servers {
		if s.Node != a.cfg.Node {
			all = append(all, s.API)
		}
	}
	return all
}

func (a *Agent) nameservers() []string {
	var all []string
	for _, s := range a.cfg.Servers {
		all = append(all, string(s.Node)+".node")
	}
	return all
}

// Run runs the node until ctx ends or a part of it fails, and takes it apart in reverse order: leadership is handed
// over before anything else stops, and the port is the last to go.
func (a *Agent) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.release()) }()
	splitter := identity.NewSplitter(a.port, a.id.ServerTLS(), a.room("identity"))
	http := splitter.Listener(identity.ALPNHTTP2, identity.ALPNHTTP1)
	parts := []part{}
	if a.cfg.Role == registry.RoleServer {
		raftPort := splitter.Listener(identity.ALPNRaft)
		parts = append(parts, part{"port", splitter.Serve})
		voter, err := a.serverParts(raftPort, http)
		if err != nil {
			return err
		}
		parts = append(parts, voter...)
	} else {
		parts = append(parts, part{"port", splitter.Serve})
		a.follower = api.NewFollower(a.client, a.cfg.Cluster)
		parts = append(parts, part{"state stream", a.follower.Run})
	}
	a.machine.Feed(a.feed())
	parts = append(parts, part{"certificate", a.id.Keep}, part{"gossip", a.runGossip})
	parts = append(parts, a.publishers()...)
	local, err := a.databaseParts()
	if err != nil {
		return err
	}
	parts = append(parts, local...)
	parts = append(parts, part{"announce", a.announce})
	if a.replica != nil {
		parts = append(parts, part{"leadership", a.handOver})
	}
	a.started = true
	a.log.Info("running", "version", a.version, "role", a.cfg.Role, "api", a.cfg.API)
	err = runParts(ctx, a.log, parts)
	a.log.Info("stopped", "err", err)
	return err
}

// feed is where this node's state comes from.
func (a *Agent) feed() promote.Feed {
	if a.replica != nil {
		return a.replica
	}
	return a.follower
}

func (a *Agent) runGossip(ctx context.Context) error {
	a.gossip.Run(ctx) // joins, and joins again whoever is missing
	leaveCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return a.gossip.Leave(leaveCtx)
}

// others leaves this node itself out of a list of addresses to join.
func (a *Agent) others(addrs []string) []string {
	var all []string
	for _, addr := range addrs {
		if addr != a.cfg.Gossip {
			all = append(all, addr)
		}
	}
	return all
}

// databaseParts looks after the database server of this node, if it has one.
func (a *Agent) databaseParts() ([]part, error) {
	if a.cfg.Database == nil {
		return nil, nil
	}
	reporter, err := api.NewReporter(api.ReporterConfig{Addrs: a.otherServers, Transport: a.transport, Log: a.room("api")})
	if err != nil {
		return nil, err
	}
	send := reporter.Send
	if a.door != nil {
		send = a.alsoHere(reporter.Send)
	}
	if a.keeper, err = a.newKeeper(send); err != nil {
		return nil, err
	}
	return append([]part{{"report streams", reporter.Run}}, a.keeper.parts()...), nil
}

// publishers project the state into DNS and hosts files.
func (a *Agent) publishers() []part {
	var parts []part
	if a.dns != nil {
		parts = append(parts, part{"dns", a.dns.Serve}, part{"dns records", a.publish})
	}
	for _, h := range a.cfg.Hosts {
		file := &hostsgen.File{Path: h.Path, Journal: filepath.Join(a.cfg.DataDir, "hosts"), Logger: a.room("hostsgen"),
			Options: hostsgen.Options{Domain: a.cfg.DNS.Domain, Cluster: a.cfg.Cluster, Aliases: h.Aliases}}
		parts = append(parts, part{"hosts file " + h.Path, func(ctx context.Context) error { file.Keep(ctx, a.feed()); return nil }})
	}
	return parts
}

// release closes what New has opened and Run has not closed.
func (a *Agent) release() error {
	var errs []error
	if a.transport != nil {
		a.transport.Close()
	}
	if a.gossip != nil {
		errs = append(errs, a.gossip.Close())
	}
	if !a.started {
		errs = append(errs, a.releaseParts())
	}
	if a.port != nil {
		if err := a.port.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	return errors.Join(errs...)
}

// releaseParts closes what parts close that were never started.
func (a *Agent) releaseParts() error {
	if a.dns != nil {
		a.dns.Close()
	}
	if a.replica == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return a.replica.Close(ctx)
}

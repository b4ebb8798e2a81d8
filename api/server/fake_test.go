package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

const clusterID registry.ClusterID = "prod"

// group is a log that every backend of it applies at once, and who leads.
type group struct {
	mu     sync.Mutex
	leader registry.NodeID
	index  registry.Index
	nodes  []*backend
	// stuck proposals and barriers wait for their deadline.
	stuck bool
}

// backend is one server's: a server.Backend made of a registry and nothing else.
type backend struct {
	id    registry.NodeID
	group *group
	feed  *registry.Feed
	board *health.Board

	mu       sync.Mutex
	log      []api.Committed
	oldest   registry.Index  // Since serves what is behind it
	believes registry.NodeID // who leads, if not what the group says
	addr     map[registry.NodeID]string
	contact  time.Duration
	behind   bool // applies nothing
	barriers int
	peers    []api.RaftPeer
	received []health.Report
	arrived  chan struct{} // a token per report, dropped when nobody waits
	onState  func()        // called by State
	onCommit func()        // before a proposal is applied
	onRemove func()        // after a server was removed
}

func newGroup(ids ...registry.NodeID) *group {
	g := &group{leader: ids[0]}
	addr := map[registry.NodeID]string{}
	for _, id := range ids {
		g.nodes = append(g.nodes, &backend{id: id, group: g, feed: registry.NewFeed(registry.New(clusterID)), board: health.NewBoard(),
			addr: addr, arrived: make(chan struct{}, 1)})
	}
	return g
}

func (g *group) lead(id registry.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leader = id
}

// commit applies c everywhere; the index moves also when c is refused.
func (g *group) commit(c registry.Command) (registry.Index, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b, err := codec.Encode(c)
	if err != nil {
		return 0, err
	}
	g.index += 2 // gaps are normal: raft has entries of its own
	var refused error
	for _, n := range g.nodes {
		if err := n.apply(c, api.Committed{Index: g.index, Bytes: b}); err != nil {
			refused = err
		}
	}
	return g.index, refused
}

func (b *backend) apply(c registry.Command, entry api.Committed) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.behind {
		return nil
	}
	next, err := b.feed.State().Next(entry.Index, c)
	b.log = append(b.log, entry)
	b.feed.Publish(next)
	return err
}

func (b *backend) State() *registry.State {
	if b.onState != nil {
		b.onState()
	}
	return b.feed.State()
}
func (b *backend) Changed() <-chan struct{} { return b.feed.Changed() }

func (b *backend) Since(after registry.Index) ([]api.Committed, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if after < b.oldest {
		return nil, false
	}
	i := slices.IndexFunc(b.log, func(c api.Committed) bool { return c.Index > after })
	if i < 0 {
		return nil, true
	}
	return slices.Clone(b.log[i:]), true
}

// forget drops the log up to index i.
func (b *backend) forget(i registry.Index) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.oldest = i
}

func (b *backend) leads(ctx context.Context) error {
	b.group.mu.Lock()
	leader, stuck := b.group.leader, b.group.stuck
	b.group.mu.Unlock()
	if leader != b.id {
		return fmt.Errorf("propose at %s: %w", b.id, api.ErrNotLeader)
	}
	if stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (b *backend) Propose(ctx context.Context, c registry.Command) (registry.Index, error) {
	if err := b.leads(ctx); err != nil {
		return 0, err
	}
	if b.onCommit != nil {
		b.onCommit()
	}
	return b.group.commit(c)
}

func (b *backend) Barrier(ctx context.Context) error {
	b.mu.Lock()
	b.barriers++
	b.mu.Unlock()
	return b.leads(ctx)
}

func (b *backend) barrierCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.barriers
}

func (b *backend) believe(id registry.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.believes = id
}

func (b *backend) Leader() (registry.NodeID, string) {
	b.group.mu.Lock()
	leader := b.group.leader
	b.group.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.believes != "" {
		leader = b.believes
	}
	return leader, b.addr[leader]
}

func (b *backend) LastContact() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.contact
}

func (b *backend) cutOff(for_ time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.contact = for_
}

func (b *backend) Raft() api.RaftStatus {
	leader, _ := b.Leader()
	b.mu.Lock()
	defer b.mu.Unlock()
	return api.RaftStatus{Leader: leader, Term: 3, Applied: b.feed.State().Index(), Peers: b.peers}
}

func (b *backend) AddServer(ctx context.Context, id registry.NodeID, addr string) error {
	if err := b.leads(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers = append(slices.Clone(b.peers), api.RaftPeer{Node: id, Address: addr, Voter: true})
	return nil
}

func (b *backend) RemoveServer(ctx context.Context, id registry.NodeID) error {
	if err := b.leads(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers = slices.DeleteFunc(slices.Clone(b.peers), func(p api.RaftPeer) bool { return p.Node == id })
	if b.onRemove != nil {
		b.onRemove()
	}
	return nil
}

// peersAre sets what the leader knows of the others.
func (b *backend) peersAre(peers ...api.RaftPeer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers = peers
}

func (b *backend) Members() []api.Member {
	return []api.Member{{Name: "s1", Address: "127.0.0.1", Role: registry.RoleServer, State: "alive"}}
}

func (b *backend) View(db registry.DatabaseName) health.View { return b.board.View(db) }

func (b *backend) Receive(r health.Report) {
	b.board.Receive(r)
	b.mu.Lock()
	b.received = append(b.received, r)
	b.mu.Unlock()
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// hear waits until a report arrives for which ok holds.
func (b *backend) hear(t testing.TB, what string, ok func(health.Report) bool) {
	t.Helper()
	for {
		b.mu.Lock()
		found := slices.ContainsFunc(b.received, ok)
		b.mu.Unlock()
		if found {
			return
		}
		select {
		case <-b.arrived:
		case <-deadline(t):
			t.Fatalf("%s: no report with %s arrived", b.id, what)
		}
	}
}

// rig is a group behind real servers on loopback with mutual TLS.
type rig struct {
	t         testing.TB
	group     *group
	authority *identity.Authority
	servers   map[registry.NodeID]*running
	config    func(*server.Config)
}

type running struct {
	addr string
	stop func()
}

// start brings up one server per id; the first leads.
func start(t testing.TB, config func(*server.Config), ids ...registry.NodeID) *rig {
	t.Helper()
	authority, err := identity.NewAuthority(string(clusterID), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, group: newGroup(ids...), authority: authority, servers: map[registry.NodeID]*running{}, config: config}
	for _, n := range r.group.nodes {
		r.up(n, "")
	}
	return r
}

// up starts the server of n, at addr if it had one.
func (r *rig) up(n *backend, addr string) {
	r.t.Helper()
	if addr == "" {
		addr = ownAddress() + ":0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		r.t.Fatal(err)
	}
	id := r.identity(identity.RoleServer, string(n.id))
	cfg := server.Config{
		Node: n.id, Version: "test", Backend: n, Identify: identify, Log: quiet(),
		Forward: r.transport(id), Keepalive: 20 * time.Millisecond,
	}
	if r.config != nil {
		r.config(&cfg)
	}
	s, err := server.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	n.addr[n.id] = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, tls.NewListener(l, id.DoorTLS(identity.ALPNHTTP2, identity.ALPNHTTP1))); err != nil {
			r.t.Errorf("server %s: %v", n.id, err)
		}
	})
	stop := sync.OnceFunc(func() { cancel(); wg.Wait() })
	r.t.Cleanup(stop)
	r.servers[n.id] = &running{addr: l.Addr().String(), stop: stop}
}

func identify(cs tls.ConnectionState) (api.Peer, error) {
	n, err := identity.PeerName(cs)
	if errors.Is(err, identity.ErrNoCertificate) {
		return api.Peer{}, nil
	}
	return api.Peer{Role: registry.Role(n.Role), Name: n.Node}, err
}

// ownAddress is a loopback address of this process alone.
func ownAddress() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.1", 1+pid>>8&0x7f, pid&0xff)
}

func (r *rig) identity(role identity.Role, name string) *identity.Identity {
	r.t.Helper()
	cert, key, err := r.authority.Issue(role, name, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	id, err := identity.New(r.authority.CertPEM(), cert, key)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) transport(id *identity.Identity) *api.Transport {
	tr := api.NewTransport(api.TransportConfig{TLS: func() *tls.Config { return id.ClientTLS("", identity.ALPNHTTP2) }, DialTime: 30 * time.Second})
	r.t.Cleanup(tr.Close)
	return tr
}

// as returns a transport of a peer of its own.
func (r *rig) as(role identity.Role, name string) *api.Transport {
	return r.transport(r.identity(role, name))
}

func (r *rig) addrs(ids ...registry.NodeID) []string {
	var all []string
	for _, id := range ids {
		all = append(all, r.servers[id].addr)
	}
	return all
}

// client is an API client of a peer at the given servers.
func (r *rig) client(tr *api.Transport, ids ...registry.NodeID) *api.Client {
	r.t.Helper()
	c, err := api.NewClient(api.ClientConfig{Addrs: api.Static(r.addrs(ids...)...), Transport: tr, Log: quiet()})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *rig) node(id registry.NodeID) *backend {
	for _, n := range r.group.nodes {
		if n.id == id {
			return n
		}
	}
	r.t.Fatalf("no node %s", id)
	return nil
}

// must commits c as if it had been proposed.
func (r *rig) must(c registry.Command) registry.Index {
	r.t.Helper()
	i, err := r.group.commit(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return i
}

// run runs f until the test ends, and waits for it.
func run(t testing.TB, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// deadline is far beyond anything that a test waits for.
func deadline(t testing.TB) <-chan time.Time {
	t.Helper()
	return time.After(30 * time.Second)
}

// until waits for ok, looking whenever changed says so.
func until(t testing.TB, what string, changed func() <-chan struct{}, ok func() bool) {
	t.Helper()
	end := deadline(t)
	for {
		c := changed()
		if ok() {
			return
		}
		select {
		case <-c:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}

// The small cluster that most tests talk about.

func clientNode(id registry.NodeID) *registry.PutNode {
	return &registry.PutNode{Node: registry.Node{ID: id, Address: "10.0.0.1", Role: registry.RoleClient}}
}

func member(id registry.InstanceID, last int) *registry.PutMember {
	return &registry.PutMember{Database: "orders", Member: registry.Member{
		ID: id, Node: registry.NodeID(id), Address: fmt.Sprintf("10.0.1.%d:3306", last), ServerUUID: fmt.Sprintf("uuid-%d", last),
		Flavor: registry.MySQL, Preference: registry.Normal,
	}}
}

// reign makes db1 the primary of orders in epoch 1, with db2 and db3 as ackers.
func (r *rig) reign() {
	r.t.Helper()
	r.must(&registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()})
	var heard []registry.Evidence
	for i, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		r.must(member(id, i+1))
		heard = append(heard, registry.Evidence{Instance: id})
	}
	r.must(&registry.Revoke{Database: "orders", Epoch: 1, Cause: registry.Cause{Code: "Formation"}})
	r.elect(1, "db1", registry.ProofFormed, heard)
	r.must(&registry.Establish{Database: "orders", Epoch: 1, Cause: registry.Cause{Code: "Established"}})
}

func (r *rig) elect(e registry.Epoch, winner registry.InstanceID, proof registry.Proof, heard []registry.Evidence) {
	r.t.Helper()
	var ackers []registry.InstanceID
	for _, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		if id != winner {
			ackers = append(ackers, id)
		}
	}
	r.must(&registry.Elect{Database: "orders", Epoch: e, Winner: winner, Ackers: ackers, K: 1, Proof: proof, Evidence: heard,
		Cause: registry.Cause{Code: "Elected"}})
}

// report is what a replica says that could take over from db1 in epoch 1.
func report(id registry.InstanceID, seq uint64) health.Report {
	return health.Report{
		Database: "orders", Instance: id, Node: registry.NodeID(id), Boot: "b1", Seq: seq, Process: health.ProcessRunning,
		Replication: &health.Replication{Source: "10.0.1.1:3306", Receiver: "running", Applier: true},
		Guard:       health.Guard{Promise: 1, Follows: 1, CaughtUp: true},
	}
}

// anonymous checks nobody and shows nothing.
func anonymous() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

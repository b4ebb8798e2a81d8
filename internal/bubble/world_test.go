package bubble_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/discovery"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/internal/simnet"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/registry"
)

const (
	cluster  = "bubble"
	database = "orders"
	domain   = "baton.internal"
	// patience bounds every wait, in simulated time.
	patience = time.Minute
	// hop is how long anything takes from one host to another: what is committed at a moment is nowhere else yet.
	hop = 500 * time.Microsecond
)

// world is a cluster in a bubble, and everything that looks at it.
type world struct {
	t         *testing.T
	net       *simnet.Net
	group     *mysqldtest.Group
	nodes     []*node
	authority *identity.Authority
	dir       string
	worth     registry.Durability
	operator  *api.Client
	people    []*api.Transport
	log       *journal
	began     time.Time
	stop      context.CancelFunc
	all       sync.WaitGroup
	pending   sync.WaitGroup // what a storm will still do
	movement
	links
	witness
}

// node is a machine: an agent, and a database server beside it.
type node struct {
	w      *world
	id     registry.NodeID
	host   *simnet.Host
	dir    string
	server *mysqldtest.Server

	mu    sync.Mutex
	run   *run          // nil: the agent is down
	ended chan struct{} // closed when the agent that was killed has gone
}

// run is one life of an agent.
type run struct {
	dead atomic.Bool // it reaches its database server no more
	stop context.CancelFunc
	done chan struct{}
	feed promote.Feed // nil: it has just begun
}

// inBubble makes a cluster of so many nodes, each with a database server, starts it and runs play when writes are
// acknowledged; then it ends everything.
func inBubble(t *testing.T, flavor mysqld.Flavor, size int, play func(*world)) {
	t.Helper()
	inBubbleWorth(t, registry.Lossless, flavor, size, play)
}

// inBubbleWorth is inBubble where commits are to be worth so much.
func inBubbleWorth(t *testing.T, worth registry.Durability, flavor mysqld.Flavor, size int, play func(*world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, flavor, size)
		w.worth = worth
		defer w.close()
		w.begin()
		play(w)
	})
}

func newWorld(t *testing.T, dir string, flavor mysqld.Flavor, size int) *world {
	w := &world{t: t, net: simnet.New(), group: mysqldtest.NewGroup(flavor, size), dir: dir, log: &journal{}, began: time.Now()}
	w.net.SetDelay(hop, 0)
	w.movement.init()
	w.cuts, w.dead = map[[2]*node]bool{}, map[*node]bool{}
	w.witness.init()
	w.group.OnAck = w.onAck
	var err error
	if w.authority, err = identity.NewAuthority(cluster, time.Now()); err != nil {
		t.Fatal(err)
	}
	for i := range size {
		n := &node{w: w, id: registry.NodeID(fmt.Sprintf("n%d", i+1))}
		n.host, n.dir = w.net.Host(string(n.id)), filepath.Join(dir, string(n.id))
		n.server = w.group.Servers()[i]
		if n.server.Host != n.host.IP() {
			t.Fatalf("%s has the address %s, its server %s", n.id, n.host.IP(), n.server.Host)
		}
		w.nodes = append(w.nodes, n)
		w.issue(identity.RoleServer, string(n.id), agent.CertificateDir(n.dir))
		if err := os.WriteFile(n.hosts(), []byte("127.0.0.1 localhost\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.operator = w.person(identity.RoleOperator, "operator")(w.nodes...)
	return w
}

func (w *world) issue(role identity.Role, name, dir string) {
	cert, private, err := w.authority.Issue(role, name, time.Now())
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = identity.Save(dir, w.authority.CertPEM(), cert, private)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// person makes somebody with a certificate, on a host that is never cut off, and returns how they ask only these nodes.
func (w *world) person(role identity.Role, name string) func(...*node) *api.Client {
	dir := filepath.Join(w.dir, name)
	w.issue(role, name, dir)
	id, err := identity.Load(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := api.NewTransport(api.TransportConfig{Dial: w.net.Host(name).DialContext,
		TLS: func() *tls.Config { return id.ClientTLS("", identity.ALPNHTTP2) }})
	w.people = append(w.people, transport)
	return func(nodes ...*node) *api.Client {
		var addrs []string
		for _, n := range nodes {
			addrs = append(addrs, n.api())
		}
		client, err := api.NewClient(api.ClientConfig{Addrs: api.Static(addrs...), Transport: transport, Log: w.log.logger(name)})
		if err != nil {
			w.t.Fatal(err)
		}
		return client
	}
}

func (n *node) api() string { return n.host.Addr(agent.DefaultAPIPort) }

// begin starts everything and waits for the first acknowledged write at every node.
func (w *world) begin() {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.all.Go(func() { w.replicate(ctx) })
	ask := w.person(identity.RoleOperator, "reader")
	for _, n := range w.nodes {
		n.start()
		w.all.Go(func() { n.write(ctx) })
		w.all.Go(func() { n.readHosts(ctx) })
		w.all.Go(func() { w.read(ctx, ask(n)) })
	}
	w.await("writes are acknowledged through every node's name", func() string {
		for _, n := range w.nodes {
			if w.through(n) == 0 {
				return string(n.id) + " has none"
			}
		}
		return ""
	})
	w.await("everybody follows", w.notWhole)
}

// close ends every agent, which takes some simulated seconds, and says what was logged if the test failed.
func (w *world) close() {
	w.healAll()
	for _, n := range w.nodes {
		n.mu.Lock()
		r := n.run
		n.mu.Unlock()
		if r != nil {
			r.stop()
			<-r.done
		}
	}
	w.stop()
	for _, p := range w.people {
		p.Close()
	}
	w.net.Close()
	w.all.Wait()
	time.Sleep(5 * time.Second) // discovery says for what
	if w.t.Failed() {
		w.t.Logf("the log ends with:\n%s", w.log.tail(400))
	}
}

// acks is how many acknowledgements a commit waits for: one, or two of four where the family can.
func (w *world) acks() int {
	if len(w.nodes) > 3 && w.group.Flavor == mysqld.MySQL {
		return 2
	}
	return 1
}

func (n *node) hosts() string { return filepath.Join(n.dir, "hosts.txt") }

// config is what the node's file would say.
func (n *node) config() agent.Config {
	c := agent.Config{Cluster: cluster, Node: n.id, Role: registry.RoleServer, DataDir: n.dir, GossipKey: bytes.Repeat([]byte{7}, 32),
		Hosts: []agent.HostsFile{{Path: n.hosts()}}, DNS: agent.DNS{Domain: domain}}
	c.Advertise = netip.MustParseAddr(n.host.IP())
	for _, other := range n.w.nodes {
		c.Servers = append(c.Servers, agent.Server{Node: other.id, API: other.api()})
		c.Join = append(c.Join, other.host.Addr(agent.DefaultGossipPort))
	}
	c.Database = &agent.Database{Name: database, Instance: registry.InstanceID(n.server.ID), Address: n.server.Address(),
		Socket: "/nowhere/" + n.server.ID, User: "baton", ReplUser: "replication", Policy: registry.DefaultPolicy()}
	c.Database.Policy.Expect, c.Database.Policy.K, c.Database.Policy.Durability = len(n.w.nodes), n.w.acks(), n.w.worth
	return c
}

// start begins a life of the node's agent.
func (n *node) start() {
	ctx, stop := context.WithCancel(context.Background())
	r := &run{stop: stop, done: make(chan struct{})}
	n.mu.Lock()
	n.run = r
	n.mu.Unlock()
	w := n.w
	m := agent.Machine{
		Listen: func(_, address string) (net.Listener, error) {
			return n.host.Listen(int(netip.MustParseAddrPort(address).Port()))
		},
		Dial: n.host.DialContext,
		Gossip: func(address string) (discovery.Transport, error) {
			return n.host.Transport(int(netip.MustParseAddrPort(address).Port()))
		},
		Database: func(mysqld.Config) (agent.DatabaseServer, error) {
			return &connection{n: n, run: r, Server: n.server, eyes: mysqldtest.NewObserver(n.server, time.Now)}, nil
		},
		Probe:  n.probe,
		Uptime: func() (time.Duration, error) { return time.Since(w.began) + time.Hour, nil },
		Feed: func(f promote.Feed) {
			n.mu.Lock()
			r.feed = f
			n.mu.Unlock()
			w.all.Go(func() { w.watch(ctx, n, f) })
		},
	}
	a, err := m.New(n.config(), "bubble", w.log.logger(string(n.id)))
	if err != nil {
		w.t.Fatalf("%s: %v", n.id, err)
	}
	w.all.Go(func() {
		defer close(r.done)
		if err := a.Run(ctx); err != nil {
			w.log.say(w.t, "%s ended: %v", n.id, err)
			if ctx.Err() == nil {
				w.t.Errorf("%s ended: %v", n.id, err)
			}
		}
	})
}

// kill ends the agent: it reaches nobody from now on. The database server goes on.
func (n *node) kill() {
	n.mu.Lock()
	r := n.run
	n.run = nil
	n.mu.Unlock()
	r.dead.Store(true)
	n.w.isolateAgent(n)
	r.stop()
	ended := make(chan struct{})
	n.w.all.Go(func() {
		defer close(ended)
		<-r.done
		n.host.Crash()
		n.w.rejoinAgent(n)
	})
	n.w.log.say(n.w.t, "%s is killed", n.id)
	n.mu.Lock()
	n.ended = ended
	n.mu.Unlock()
}

// restart begins another life after a kill.
func (n *node) restart() {
	n.mu.Lock()
	ended := n.ended
	n.mu.Unlock()
	<-ended
	n.w.log.say(n.w.t, "%s is started again", n.id)
	n.start()
}

// feed is where the node's state comes from, nil while it is down.
func (n *node) feed() promote.Feed {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.run == nil {
		return nil
	}
	return n.run.feed
}

// leads reports whether the node believes to lead.
func (n *node) leads() bool {
	f, ok := n.feed().(interface{ Leading() bool })
	return ok && f.Leading()
}

// believes is whom the node takes for the leader; empty: nobody.
func (n *node) believes() registry.NodeID {
	f, ok := n.feed().(interface {
		Leader() (registry.NodeID, string)
	})
	if !ok {
		return ""
	}
	leader, _ := f.Leader()
	return leader
}

// await looks again and again until wrong says nothing, in simulated time.
func (w *world) await(what string, wrong func() string) {
	w.t.Helper()
	w.awaitWithin(patience, what, wrong)
}

func (w *world) awaitWithin(bound time.Duration, what string, wrong func() string) {
	w.t.Helper()
	for end := time.Now().Add(bound); ; time.Sleep(10 * time.Millisecond) {
		why := wrong()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("after %s not yet: %s: %s", bound, what, why)
		}
	}
}

// journal is the log of all nodes.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) logger(who string) *slog.Logger {
	return slog.New(slog.NewTextHandler(j, nil)).With("at", who)
}

// say puts a line of the test's own into the log.
func (j *journal) say(t *testing.T, format string, args ...any) {
	t.Helper()
	fmt.Fprintf(j, "time=%s ---- %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf(format, args...))
}

func (j *journal) tail(n int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := strings.Split(strings.TrimSpace(j.buf.String()), "\n")
	return strings.Join(slices.Clone(all[max(0, len(all)-n):]), "\n")
}

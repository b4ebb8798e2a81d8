package raft

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/internal/simnet"
	"github.com/baton-db/baton/raft/raftlog"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// cluster is a set of servers on a simulated network in a bubble, with real files.
type cluster struct {
	t       *testing.T
	net     *simnet.Net
	dir     string
	log     *slog.Logger
	servers []Server
	running map[registry.NodeID]*Replica
	wraps   map[registry.NodeID]func(raftlog.File) raftlog.File
	change  func(*Config)
}

const port = 7450

// stream is a host of the simulated network as a StreamLayer.
type simStream struct {
	net.Listener
	host *simnet.Host
}

func (s simStream) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return s.host.DialContext(ctx, "tcp", addr)
}

// inBubble runs f with a started cluster of the given size in a bubble and stops what is left of it.
func inBubble(t *testing.T, size int, f func(*cluster)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{
			t: t, net: simnet.New(), dir: dir, log: slog.New(slog.DiscardHandler),
			running: map[registry.NodeID]*Replica{}, wraps: map[registry.NodeID]func(raftlog.File) raftlog.File{},
			change: func(*Config) {},
		}
		if os.Getenv("BATON_TEST_LOG") != "" {
			c.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
		for i := range size {
			id := fmt.Sprintf("n%d", i+1)
			c.servers = append(c.servers, Server{registry.NodeID(id), c.net.Host(id).Addr(port)})
		}
		defer c.stop()
		f(c)
	})
}

// startAll starts every server and returns the leader, with the node "host" committed.
func (c *cluster) startAll() *Replica {
	c.t.Helper()
	for _, s := range c.servers {
		c.start(s.ID)
	}
	leader := c.leader()
	c.commit(leader, node("host"))
	return leader
}

func (c *cluster) config(id registry.NodeID) Config {
	config := Config{
		ID: id, Cluster: "c1", Dir: filepath.Join(c.dir, string(id)), Advertise: c.net.Host(string(id)).Addr(port),
		Logger: c.log.With("node", id),
	}
	if slices.ContainsFunc(c.servers, func(s Server) bool { return s.ID == id }) {
		config.Bootstrap = c.servers
	}
	c.change(&config)
	return config
}

func (c *cluster) open(id registry.NodeID) (*Replica, error) {
	c.t.Helper()
	host := c.net.Host(string(id))
	l, err := host.Listen(port)
	if err != nil {
		c.t.Fatal(err)
	}
	return open(c.config(id), simStream{l, host}, c.wraps[id])
}

func (c *cluster) start(id registry.NodeID) *Replica {
	c.t.Helper()
	r, err := c.open(id)
	if err != nil {
		c.t.Fatal(err)
	}
	c.running[id] = r
	return r
}

func (c *cluster) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.t.Context(), 30*time.Second)
}

func (c *cluster) close(id registry.NodeID) {
	c.t.Helper()
	ctx, cancel := c.context()
	defer cancel()
	if err := c.running[id].Close(ctx); err != nil {
		c.t.Errorf("close %s: %v", id, err)
	}
	delete(c.running, id)
}

// crash stops a server without handing over anything.
func (c *cluster) crash(id registry.NodeID) {
	c.t.Helper()
	c.net.Host(string(id)).Crash()
	r := c.running[id]
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	if err := r.shutdown(); err != nil {
		c.t.Errorf("crash %s: %v", id, err)
	}
	r.watch.Wait()
	delete(c.running, id)
}

func (c *cluster) stop() {
	for id := range c.running {
		c.crash(id)
	}
	c.net.Close()
}

// until waits in a bubble for a condition.
func (c *cluster) until(what string, holds func() bool) time.Duration {
	c.t.Helper()
	began := time.Now()
	for !holds() {
		if time.Since(began) > time.Minute {
			c.t.Fatalf("waited a minute for: %s", what)
		}
		time.Sleep(max(time.Millisecond, time.Since(began)/50))
	}
	return time.Since(began)
}

// leader waits for a leader among these servers, or among all.
func (c *cluster) leader(among ...registry.NodeID) *Replica {
	c.t.Helper()
	var found *Replica
	c.until("a leader", func() bool {
		for id, r := range c.running {
			if (len(among) == 0 || slices.Contains(among, id)) && r.Leading() {
				found = r
			}
		}
		return found != nil
	})
	return found
}

func (c *cluster) others(id registry.NodeID) []registry.NodeID {
	var all []registry.NodeID
	for _, s := range c.servers {
		if s.ID != id {
			all = append(all, s.ID)
		}
	}
	return all
}

// propose commits an urgent command, for which the node "host" must be there.
func (c *cluster) propose(r *Replica, name string) registry.Index {
	return c.commit(r, service(name))
}

// commit proposes a command that must be committed and returns its index.
func (c *cluster) commit(r *Replica, command registry.Command) registry.Index {
	c.t.Helper()
	ctx, cancel := c.context()
	defer cancel()
	i, err := r.Propose(ctx, command)
	if err != nil {
		c.t.Fatal(err)
	}
	return i
}

// service is an urgent command.
func service(name string) registry.Command {
	return &registry.PutService{Instance: registry.ServiceInstance{
		Service: "web", Node: "host", ID: name, Address: "10.0.0.1", Port: 80,
	}}
}

// node is a command that is not urgent.
func node(name string) registry.Command {
	return &registry.PutNode{Node: registry.Node{
		ID: registry.NodeID(name), Address: "10.0.0.1", API: "10.0.0.1:7450", Role: registry.RoleClient,
	}}
}

func has(s *registry.State, name string) bool {
	return slices.ContainsFunc(s.Service("web"), func(i registry.ServiceInstance) bool { return i.ID == name })
}

func encoded(t *testing.T, s *registry.State) string {
	t.Helper()
	b, err := codec.EncodeState(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

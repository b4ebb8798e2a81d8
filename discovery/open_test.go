package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/discovery"
	"github.com/baton-db/baton/internal/simnet"
)

// local is an address of this process's own on loopback.
func local(host int) string {
	return fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()/250%250, 1+os.Getpid()%250, host)
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*discovery.Config)
		says   string
	}{
		"no key":                    {func(c *discovery.Config) { c.Key = nil }, "no gossip key"},
		"short key":                 {func(c *discovery.Config) { c.Key = c.Key[:16] }, "16 bytes, not 32"},
		"insecure beyond loopback":  {func(c *discovery.Config) { c.Key, c.Insecure, c.Bind = nil, true, "0.0.0.0:0" }, "for loopback only"},
		"no name":                   {func(c *discovery.Config) { c.Name = "" }, "node name"},
		"name with capitals":        {func(c *discovery.Config) { c.Name = "N1" }, "node name"},
		"no cluster":                {func(c *discovery.Config) { c.Cluster = "" }, "cluster name"},
		"no logger":                 {func(c *discovery.Config) { c.Log = nil }, "no logger"},
		"no timing":                 {func(c *discovery.Config) { c.Timing = discovery.Timing{} }, "probe timeout"},
		"too much metadata":         {func(c *discovery.Config) { c.Meta.Zone = strings.Repeat("z", 500) }, "shorten the zone"},
		"bind address without port": {func(c *discovery.Config) { c.Bind = "127.0.0.1" }, "bind address"},
		"bind address by name":      {func(c *discovery.Config) { c.Bind = "localhost:7451" }, "bind address"},
		"bind port out of range":    {func(c *discovery.Config) { c.Bind = "127.0.0.1:70000" }, "number below 65536"},
		"advertise without port":    {func(c *discovery.Config) { c.Advertise = "10.0.0.1" }, "advertise address"},
		"address not of this host":  {func(c *discovery.Config) { c.Bind = "192.0.2.1:7451" }, "listen on 192.0.2.1:7451"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config("n1")
			cfg.Bind = local(1) + ":0"
			c.change(&cfg)
			g, err := discovery.Open(cfg, nil)
			if err == nil {
				_ = g.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it to say %q", err, c.says)
			}
		})
	}
	cfg := config("n1")
	cfg.Key = nil
	if _, err := discovery.Open(cfg, nil); !errors.Is(err, discovery.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		var port int
		switch network {
		case "tcp":
			ln, err := net.Listen("tcp", local(2)+":0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			port = ln.Addr().(*net.TCPAddr).Port
		case "udp":
			pc, err := net.ListenPacket("udp", local(2)+":0")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			port = pc.LocalAddr().(*net.UDPAddr).Port
		}
		cfg := config("n1")
		cfg.Bind = fmt.Sprintf("%s:%d", local(2), port)
		g, err := discovery.Open(cfg, nil)
		if err == nil {
			_ = g.Close()
			t.Fatalf("%s: opened on a port in use", network)
		}
		if want := fmt.Sprintf("port %d of %s is in use", port, local(2)); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to say %q", network, err, want)
		}
	}
}

// The same over real sockets, also in clear on loopback.
func TestGossipOverSockets(t *testing.T) {
	for name, change := range map[string]func(*discovery.Config){
		"with a key": func(*discovery.Config) {},
		"in clear":   func(c *discovery.Config) { c.Key, c.Insecure = nil, true },
		"with a limit of addresses": func(c *discovery.Config) {
			c.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var nodes []*discovery.Gossip
			for i := range 3 {
				cfg := config(fmt.Sprintf("n%d", i))
				cfg.Bind = local(10+i) + ":0"
				// Ten times LAN's patience: this is real time on a machine that may have much else to do.
				cfg.Timing.ProbeTimeout, cfg.Timing.ProbeInterval, cfg.Timing.SuspicionMult = 250*time.Millisecond, 800*time.Millisecond, 1
				change(&cfg)
				g, err := discovery.Open(cfg, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				nodes = append(nodes, g)
			}
			for _, g := range nodes[1:] {
				if n, err := g.Join(t.Context(), []string{nodes[0].Addr().String()}); n != 1 || err != nil {
					t.Fatalf("joined %d, %v", n, err)
				}
			}
			until(t, nodes[0], "all are there", func() bool { return count(nodes[0], discovery.Alive) == 3 })
			if _, err := nodes[0].Ping("n2"); err != nil {
				t.Error(err)
			}
			if err := nodes[1].Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			until(t, nodes[0], "n1 left", func() bool { return state(nodes[0], "n1") == discovery.Left })
			if err := nodes[2].Close(); err != nil {
				t.Fatal(err)
			}
			until(t, nodes[0], "n2 failed", func() bool { return state(nodes[0], "n2") == discovery.Failed })
		})
	}
}

// until waits on Changed, as users of it do.
func until(t *testing.T, g *discovery.Gossip, what string, done func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		changed := g.Changed()
		if done() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("not within a minute: %s; members %+v", what, g.Members())
		}
	}
}

func TestJoinCountsAndExplains(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*discovery.Config)
		says   string
	}{
		"another key":     {func(c *discovery.Config) { c.Key = bytes.Repeat([]byte{8}, discovery.KeySize) }, "another gossip key"},
		"another cluster": {func(c *discovery.Config) { c.Cluster = "billing" }, "does it belong to cluster billing?"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newCluster(t, 1)
				cfg := config("n1")
				c.change(&cfg)
				n.nodes = append(n.nodes, n.open(cfg))
				joined, err := n.nodes[1].Join(t.Context(), []string{n.addr(0)})
				if joined != 0 || err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("joined %d, %v; want it to say %q", joined, err, c.says)
				}
				time.Sleep(time.Second)
				if count(n.nodes[0], discovery.Alive) != 1 || count(n.nodes[1], discovery.Alive) != 1 {
					t.Error("they know each other")
				}
			})
		})
	}
	t.Run("some of several", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, 2)
			c.nodes = append(c.nodes, c.open(config("n2")))
			c.net.Host("silent")
			c.net.Isolate("silent")
			start := time.Now()
			n, err := c.nodes[2].Join(t.Context(), []string{c.addr(0), c.net.Host("silent").Addr(discovery.DefaultPort), c.addr(1), "10.0.0.1:x"})
			if n != 2 || err == nil {
				t.Errorf("joined %d, %v", n, err)
			}
			if took, limit := time.Since(start), discovery.LAN().Stream; took > limit {
				t.Errorf("it took %v, more than %v", took, limit)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if n, err := c.nodes[2].Join(ctx, []string{c.addr(0)}); n != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("after the end of ctx: joined %d, %v", n, err)
			}
		})
	})
}

func TestPingIsAboutOneMemberAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.net.SetDelay(time.Millisecond, 0)
		if rtt, err := c.nodes[0].Ping("n1"); err != nil || rtt != 2*time.Millisecond {
			t.Errorf("ping n1: %v, %v", rtt, err)
		}
		c.net.Cut("n0", "n1")
		if _, err := c.nodes[0].Ping("n1"); err == nil {
			t.Error("n1 answered over a cut")
		}
		if state(c.nodes[0], "n1") != discovery.Alive {
			t.Error("n1, which n2 reaches, is taken for failed")
		}
		if _, err := c.nodes[0].Ping("n9"); err == nil {
			t.Error("a member that does not exist answered")
		}
	})
}

func TestClosedGossipSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		tr, err := n.Host("n0").Transport(discovery.DefaultPort)
		if err != nil {
			t.Fatal(err)
		}
		g, err := discovery.Open(config("n0"), tr)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := g.Leave(t.Context()); !errors.Is(err, discovery.ErrClosed) {
			t.Errorf("Leave after Close: %v", err)
		}
		time.Sleep(5 * time.Second)
	})
}

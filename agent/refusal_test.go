package agent_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// alone is the configuration of a server that has no other, with certificates of its own in its data directory.
func alone(t *testing.T, subnet *lab.Subnet) agent.Config {
	t.Helper()
	dir, addr := t.TempDir(), subnet.IP(1)
	certify(t, dir, "solo", identity.RoleServer, "n1")
	at := func(port uint16) string { return netip.AddrPortFrom(addr, port).String() }
	return agent.Config{Cluster: "solo", Node: "n1", Role: registry.RoleServer, DataDir: dir, Advertise: addr,
		API: at(7450), Gossip: at(7451), GossipKey: make([]byte, 32), Servers: []agent.Server{{Node: "n1", API: at(7450)}},
		DNS: agent.DNS{Listen: []string{at(7453)}}}
}

func certify(t *testing.T, dir, cluster string, role identity.Role, node string) {
	t.Helper()
	authority, err := identity.NewAuthority(cluster, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := authority.Issue(role, node, time.Now())
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "tls"), 0o700)
	}
	if err == nil {
		err = identity.Save(filepath.Join(dir, "tls"), authority.CertPEM(), cert, key)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// once runs a node from New to its end and returns what either refused.
func once(t *testing.T, cfg agent.Config) error {
	t.Helper()
	a, err := agent.New(cfg, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return a.Run(ctx)
}

func TestAPortInUseIsRefusedByNameOfSettingAndProcess(t *testing.T) {
	fields := map[string]func(agent.Config) string{
		"listen.api":    func(c agent.Config) string { return c.API },
		"listen.gossip": func(c agent.Config) string { return c.Gossip },
		"dns.listen":    func(c agent.Config) string { return c.DNS.Listen[0] },
	}
	for field, of := range fields {
		for _, network := range []string{"tcp", "udp"} {
			if field == "listen.api" && network == "udp" {
				continue
			}
			t.Run(field+" "+network, func(t *testing.T) {
				cfg := alone(t, labtest.Subnet(t)) // addresses that no node has used before
				addr := of(cfg)
				free := occupy(t, network, addr)
				err := once(t, cfg)
				free()
				if err == nil {
					t.Fatal("two processes on one port")
				}
				for _, want := range []string{field, addr, "(pid " + strconv.Itoa(os.Getpid()) + ")"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q does not name %q", err, want)
					}
				}
				if strings.Count(err.Error(), "(pid ") > 1 {
					t.Errorf("%q says it twice", err)
				}
				if err := once(t, cfg); err != nil {
					t.Errorf("it does not start once the port is free: %v", err)
				}
			})
		}
	}
}

// occupy listens on addr until the function is called.
func occupy(t *testing.T, network, addr string) func() {
	t.Helper()
	var port interface{ Close() error }
	var err error
	if network == "tcp" {
		port, err = net.Listen(network, addr)
	} else {
		port, err = net.ListenPacket(network, addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := port.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnAddressThatCannotBeAdvertisedIsRefused(t *testing.T) {
	cfg := alone(t, labtest.Subnet(t))
	for _, addr := range []string{"0.0.0.0", "::", "224.0.0.1", "fe80::1%eth0", ""} {
		t.Run(addr, func(t *testing.T) {
			bad := cfg
			bad.Advertise, _ = netip.ParseAddr(addr) // the empty one is none
			err := once(t, bad)
			var field *agent.FieldError
			if !errors.As(err, &field) || !strings.Contains(err.Error(), "listen.advertise") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("not of this machine", func(t *testing.T) {
		bad := cfg
		bad.API = "192.0.2.1:7450" // reserved for documentation
		bad.Servers = []agent.Server{{Node: "n1", API: bad.API}}
		if err := once(t, bad); err == nil || !strings.Contains(err.Error(), "listen.api: 192.0.2.1 is not an address of this machine") {
			t.Errorf("got %v", err)
		}
	})
}

func TestADirectoryOfAnotherNodeIsRefused(t *testing.T) {
	subnet := labtest.Subnet(t)
	cfg := alone(t, subnet)
	if err := once(t, cfg); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*agent.Config)
		want   []string
	}{
		"certificates of another node": {func(c *agent.Config) { c.Node, c.Servers[0].Node = "n2", "n2" },
			[]string{"baton://solo/server/n1", "baton://solo/server/n2", cfg.DataDir}},
		"certificates of another cluster": {func(c *agent.Config) { c.Cluster = "other" }, []string{"baton://solo/server/n1", "baton://other/server/n1"}},
		"certificates of another role": {func(c *agent.Config) { c.Role, c.Servers[0].Node = registry.RoleClient, "n2" },
			[]string{"baton://solo/server/n1", "baton://solo/client/n1"}},
		"state of another node": {func(c *agent.Config) {
			c.Node, c.Servers[0].Node = "n2", "n2"
			certify(t, c.DataDir, "solo", identity.RoleServer, "n2")
		}, []string{"n1", "n2", "data directory"}},
		"state of another cluster": {func(c *agent.Config) {
			c.Cluster = "other"
			certify(t, c.DataDir, "other", identity.RoleServer, "n1")
		}, []string{"solo", "other", "data directory"}},
		"no certificates": {func(c *agent.Config) { c.DataDir = t.TempDir() }, []string{"certificates in", "tls"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bad := cfg
			bad.Servers = append([]agent.Server(nil), cfg.Servers...)
			defer certify(t, cfg.DataDir, "solo", identity.RoleServer, "n1")
			tt.change(&bad)
			err := once(t, bad)
			if err == nil {
				t.Fatal("it started")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %q", err, want)
				}
			}
		})
	}
	if err := once(t, cfg); err != nil {
		t.Errorf("its own node does not start any more: %v", err)
	}
}

func TestASecondAgentOnADirectoryIsRefused(t *testing.T) {
	subnet := labtest.Subnet(t)
	first := alone(t, subnet)
	a, err := agent.New(first, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	second := first // with ports of its own, so that nothing but the directory is in the way
	second.API, second.Gossip = netip.AddrPortFrom(subnet.IP(2), 7450).String(), netip.AddrPortFrom(subnet.IP(2), 7451).String()
	second.Servers, second.DNS.Listen = []agent.Server{{Node: "n1", API: second.API}}, nil
	err = once(t, second)
	if err == nil || !strings.Contains(err.Error(), "data_dir: "+first.DataDir+" is in use by") || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := once(t, second); err != nil {
		t.Errorf("the directory is free and yet: %v", err)
	}
}

func TestARefusedRunLeavesNothingOpen(t *testing.T) {
	cfg := alone(t, labtest.Subnet(t))
	policy := registry.DefaultPolicy()
	cfg.Database = &agent.Database{Name: "orders", Instance: "n1", Address: netip.AddrPortFrom(cfg.Advertise, 3306).String(),
		Socket: filepath.Join(cfg.DataDir, "no.sock"), User: "baton", Password: mysqld.Secret("x"), ReplUser: "repl", ReplSecret: mysqld.Secret("x"), Policy: policy}
	promises := filepath.Join(cfg.DataDir, "guard", "promise-orders-n1")
	if err := os.MkdirAll(filepath.Dir(promises), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(promises, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := once(t, cfg); err == nil || !strings.Contains(err.Error(), promises) {
		t.Fatalf("a damaged promise file: %v", err)
	}
	if err := os.Remove(promises); err != nil {
		t.Fatal(err)
	}
	if err := once(t, cfg); err != nil {
		t.Errorf("what was refused holds on to something: %v", err)
	}
}

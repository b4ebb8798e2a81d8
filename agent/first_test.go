package agent_test

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/registry"
)

// first is a first server of two, on a bare machine.
func first(t *testing.T) agent.Config {
	t.Helper()
	subnet := labtest.Subnet(t)
	cfg := alone(t, subnet)
	cfg.DataDir, cfg.DNS.Listen = filepath.Join(t.TempDir(), "data"), nil
	cfg.Bootstrap, cfg.GossipKey, cfg.GossipKeyFile = true, nil, filepath.Join(t.TempDir(), "gossip.key")
	cfg.Servers = append(cfg.Servers, agent.Server{Node: "n2", API: netip.AddrPortFrom(subnet.IP(2), 7450).String()})
	return cfg
}

func TestAFirstServerMakesItsCertificatesOnceAndStartsAgain(t *testing.T) {
	cfg := first(t)
	if err := once(t, cfg); err != nil {
		t.Fatal(err)
	}
	made, err := identity.Load(agent.CertificateDir(cfg.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	if authority, err := identity.LoadAuthority(agent.AuthorityDir(cfg.DataDir)); err != nil || authority.Fingerprint() != made.Fingerprint() {
		t.Errorf("the authority: %v", err)
	}
	if err := once(t, cfg); err == nil || !strings.Contains(err.Error(), "gossip_key_file: there is no ") {
		// The file exists, but this configuration says that it did not when it was read.
		t.Errorf("without the key that it made: %v", err)
	}
	cfg.GossipKey, cfg.GossipKeyFile = make([]byte, 32), ""
	if err := once(t, cfg); err != nil {
		t.Errorf("it does not start again: %v", err)
	}
	if again, err := identity.Load(agent.CertificateDir(cfg.DataDir)); err != nil || again.Fingerprint() != made.Fingerprint() || !again.NotAfter().Equal(made.NotAfter()) {
		t.Errorf("something was made again: %v", err)
	}
	if err := os.RemoveAll(agent.CertificateDir(cfg.DataDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(agent.AuthorityDir(cfg.DataDir)); err != nil {
		t.Fatal(err)
	}
	if err := once(t, cfg); err == nil || !strings.Contains(err.Error(), "holds the state of a cluster") {
		t.Errorf("a second authority over the state that Raft left: %v", err)
	}
}

// Two servers that are both called the first must not both find nobody: each has its port before it asks.
func TestAFirstServerHoldsItsPortWhileItAsksForOthers(t *testing.T) {
	cfg := first(t)
	ln, err := net.Listen("tcp", cfg.Servers[1].API)
	if err != nil {
		t.Fatal(err)
	}
	var reached error
	var other sync.WaitGroup
	other.Go(func() {
		asked, err := ln.Accept()
		if err != nil {
			reached = err
			return
		}
		conn, err := net.Dial("tcp", cfg.API)
		if reached = err; err == nil {
			_ = conn.Close()
		}
		_ = asked.Close()
	})
	_, err = agent.New(cfg, "test", slog.New(slog.DiscardHandler))
	_ = ln.Close()
	other.Wait()
	if reached != nil {
		t.Errorf("its own port, while it asks: %v", reached)
	}
	if err == nil || !strings.Contains(err.Error(), "bootstrap = true stands in the node file of n2 too") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(agent.AuthorityDir(cfg.DataDir)); err == nil {
		t.Error("it made an authority")
	}
	if err := once(t, cfg); err != nil {
		t.Errorf("once the other is gone: %v", err)
	}
}

func TestACertificateThatEndedIsRenewedAtTheStartWhereTheAuthorityIs(t *testing.T) {
	cfg := alone(t, labtest.Subnet(t))
	then := time.Now().Add(-100 * 24 * time.Hour)
	authority, err := identity.NewAuthority("solo", then)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := authority.Issue(identity.RoleServer, "n1", then)
	if err == nil {
		err = identity.Save(agent.CertificateDir(cfg.DataDir), authority.CertPEM(), cert, key)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := once(t, cfg); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("without the authority: %v", err)
	}
	if err := authority.Save(agent.AuthorityDir(cfg.DataDir)); err != nil {
		t.Fatal(err)
	}
	if err := once(t, cfg); err != nil {
		t.Errorf("with the authority: %v", err)
	}
}

func TestOnlyAServerCanBeTheFirst(t *testing.T) {
	cfg := alone(t, labtest.Subnet(t))
	cfg.Role, cfg.Bootstrap, cfg.Servers[0].Node = registry.RoleClient, true, "n2"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "bootstrap: a client") {
		t.Errorf("got %v", err)
	}
	cfg.Bootstrap, cfg.GossipKey, cfg.GossipKeyFile = false, nil, "/gossip.key"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "gossip_key_file") {
		t.Errorf("a node that is not the first may make a key: %v", err)
	}
}

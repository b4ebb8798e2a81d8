package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/identity"
)

func newAuthority(t *testing.T, cluster string, now time.Time) *identity.Authority {
	t.Helper()
	a, err := identity.NewAuthority(cluster, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *identity.Authority, role identity.Role, node string, now time.Time) *identity.Identity {
	t.Helper()
	cert, key, err := a.Issue(role, node, now)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.New(a.CertPEM(), cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// shake runs one handshake over loopback and one byte each way, so that a refusal by the server reaches the client.
func shake(t *testing.T, server, client *tls.Config) (cs tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		raw, err := ln.Accept()
		if err != nil {
			serverErr = err
			return
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(30 * time.Second))
		conn := tls.Server(raw, server)
		if serverErr = conn.Handshake(); serverErr != nil {
			return
		}
		cs = conn.ConnectionState()
		_, serverErr = conn.Write([]byte{1})
	})
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.SetDeadline(time.Now().Add(30 * time.Second))
	conn := tls.Client(raw, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = conn.Read(make([]byte, 1))
	}
	_ = raw.Close()
	wg.Wait()
	return cs, serverErr, clientErr
}

func TestNodesOfOneClusterKnowEachOther(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	s1, db1 := issue(t, a, identity.RoleServer, "s1", now), issue(t, a, identity.RoleClient, "db1", now)
	cs, serverErr, clientErr := shake(t, s1.ServerTLS("h2"), db1.ClientTLS("s1", "h2"))
	if serverErr != nil || clientErr != nil {
		t.Fatalf("server: %v, client: %v", serverErr, clientErr)
	}
	peer, err := identity.PeerName(cs)
	if want := db1.Name(); err != nil || peer != want {
		t.Errorf("the server sees %v, %v; want %v", peer, err, want)
	}
	if cs.Version != tls.VersionTLS13 || cs.NegotiatedProtocol != "h2" {
		t.Errorf("agreed on version %x and protocol %q", cs.Version, cs.NegotiatedProtocol)
	}
}

func TestServerRefusesAndNamesTheMistake(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now.Add(-200*24*time.Hour))
	s1 := issue(t, a, identity.RoleServer, "s1", now)
	for _, c := range []struct {
		name   string
		client *identity.Identity
		alpn   string
		want   error
		says   string
	}{
		{"authority of the same name", issue(t, newAuthority(t, "orders", now), identity.RoleClient, "db1", now), "h2",
			identity.ErrOtherAuthority, "baton://orders/client/db1"},
		{"another cluster", issue(t, newAuthority(t, "billing", now), identity.RoleClient, "db1", now), "h2",
			identity.ErrOtherCluster, "this is cluster orders"},
		{"client speaking Raft", issue(t, a, identity.RoleClient, "db1", now), identity.ALPNRaft,
			identity.ErrWrongRole, "which is for servers"},
		{"operator speaking Raft", issue(t, a, identity.RoleOperator, "ann", now), identity.ALPNRaft,
			identity.ErrWrongRole, "which is for servers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.client.ClientTLS("s1", c.alpn)
			cfg.VerifyConnection = nil // the server is under test
			_, err, clientErr := shake(t, s1.ServerTLS(c.alpn), cfg)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v saying %q", err, c.want, c.says)
			}
			if clientErr == nil {
				t.Error("the client was not turned away")
			}
		})
	}
}

// A node whose own certificate is out of date says so itself; one that shows it all the same is refused with the reason.
func TestOutOfDateCertificateIsNamedWithTheClock(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now.Add(-200*24*time.Hour))
	s1 := issue(t, a, identity.RoleServer, "s1", now)
	for _, c := range []struct {
		name string
		when time.Time
		want error
		says string
	}{
		{"expired", now.Add(-identity.NodeLife - 50*time.Hour), identity.ErrExpired, "ended 2d2h0m0s ago"},
		{"not yet valid", now.Add(3 * time.Hour), identity.ErrNotYetValid, "begins in 2h5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db1 := issue(t, a, identity.RoleClient, "db1", c.when)
			_, _, own := shake(t, s1.ServerTLS("h2"), db1.ClientTLS("s1", "h2"))
			careless := db1.ClientTLS("s1", "h2")
			careless.GetClientCertificate = nil
			_, server, _ := shake(t, s1.ServerTLS("h2"), careless)
			_, _, client := shake(t, issue(t, a, identity.RoleServer, "s2", c.when).ServerTLS("h2"), s1.ClientTLS("s2", "h2"))
			for who, err := range map[string]error{"itself": own, "the server": server, "a client of it": client} {
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) ||
					!strings.Contains(err.Error(), "this machine's clock says "+time.Now().UTC().Format("2006-")) {
					t.Errorf("%s says: %v", who, err)
				}
			}
		})
	}
}

func TestClientRefusesAndNamesTheMistake(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	db1 := issue(t, a, identity.RoleClient, "db1", now)
	for _, c := range []struct {
		name   string
		server *identity.Identity
		want   error
	}{
		{"another node", issue(t, a, identity.RoleServer, "s2", now), identity.ErrWrongNode},
		{"a client of the server's name", issue(t, a, identity.RoleClient, "s1", now), identity.ErrWrongRole},
		{"an operator of the server's name", issue(t, a, identity.RoleOperator, "s1", now), identity.ErrWrongRole},
		{"another authority", issue(t, newAuthority(t, "orders", now), identity.RoleServer, "s1", now), identity.ErrOtherAuthority},
		{"another cluster", issue(t, newAuthority(t, "billing", now), identity.RoleServer, "s1", now), identity.ErrOtherCluster},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := shake(t, c.server.ServerTLS("h2"), db1.ClientTLS("s1", "h2"))
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestPeerWithoutCertificate(t *testing.T) {
	now := time.Now()
	s1 := issue(t, newAuthority(t, "orders", now), identity.RoleServer, "s1", now)
	join := func(alpn string) *tls.Config { return identity.JoinTLS(s1.Fingerprint(), alpn) }

	if _, err, _ := shake(t, s1.ServerTLS("h2"), join("h2")); err == nil {
		t.Error("ServerTLS let in a peer without a certificate")
	}
	cs, serverErr, clientErr := shake(t, s1.DoorTLS("h2"), join("h2"))
	if serverErr != nil || clientErr != nil {
		t.Fatalf("DoorTLS: server %v, client %v", serverErr, clientErr)
	}
	if _, err := identity.PeerName(cs); !errors.Is(err, identity.ErrNoCertificate) {
		t.Errorf("PeerName = %v, want ErrNoCertificate", err)
	}
	if _, err, _ := shake(t, s1.DoorTLS(identity.ALPNRaft), join(identity.ALPNRaft)); !errors.Is(err, identity.ErrNoCertificate) {
		t.Errorf("DoorTLS let nobody speak Raft: %v", err)
	}
}

func TestJoiningNodeBelievesOnlyTheAuthorityOfItsToken(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	impostor := newAuthority(t, "orders", now)
	for _, c := range []struct {
		name   string
		server *identity.Identity
		want   error
	}{
		{"server of another authority", issue(t, impostor, identity.RoleServer, "s1", now), identity.ErrOtherAuthority},
		{"client of this authority", issue(t, a, identity.RoleClient, "s1", now), identity.ErrWrongRole},
	} {
		_, _, err := shake(t, c.server.DoorTLS("h2"), identity.JoinTLS(a.Fingerprint(), "h2"))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// An impostor may send the true authority's public certificate along; its own was still not signed by it.
	fake := issue(t, impostor, identity.RoleServer, "s1", now).DoorTLS("h2")
	block, _ := pem.Decode(a.CertPEM())
	fake.Certificates[0].Certificate = append(fake.Certificates[0].Certificate[:1:1], block.Bytes)
	if _, _, err := shake(t, fake, identity.JoinTLS(a.Fingerprint(), "h2")); !errors.Is(err, identity.ErrOtherAuthority) {
		t.Errorf("impostor with the true authority's certificate: %v", err)
	}
}

func TestOlderTLSIsRefused(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	s1 := issue(t, a, identity.RoleServer, "s1", now)
	old := s1.ClientTLS("s1", "h2")
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err, _ := shake(t, s1.ServerTLS("h2"), old); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}

func TestCertificateHoldsOneNameAndNeverOutlivesItsAuthority(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := newAuthority(t, "orders", now)
	late := now.Add(identity.AuthorityLife - time.Hour)
	pemText, _, err := a.Issue(identity.RoleServer, "s1", late, "s1.example.com", "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(pemText)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.URIs) != 1 || cert.URIs[0].String() != "baton://orders/server/s1" {
		t.Errorf("names: %v", cert.URIs)
	}
	if want := now.Add(identity.AuthorityLife); !cert.NotAfter.Equal(want) {
		t.Errorf("ends at %v, its authority at %v", cert.NotAfter, want)
	}
	if cert.VerifyHostname("s1.example.com") != nil || cert.VerifyHostname("10.0.0.1") != nil || cert.VerifyHostname("s1") == nil {
		t.Errorf("host names: %v %v", cert.DNSNames, cert.IPAddresses)
	}
	if _, _, err := a.Issue(identity.RoleServer, "s1", now.Add(identity.AuthorityLife+time.Hour)); !errors.Is(err, identity.ErrExpired) {
		t.Errorf("an ended authority signed: %v", err)
	}
	for _, bad := range []string{"", "S1", "a/b", "s1.example.com", "../x"} {
		if _, _, err := a.Issue(identity.RoleServer, bad, now); err == nil {
			t.Errorf("a certificate for %q was issued", bad)
		}
	}
}

func TestSignedRequestKeepsTheKeyAtHome(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	csr, key, err := identity.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Sign(csr, identity.RoleClient, "db1", now)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.New(a.CertPEM(), cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := id.Name().String(), "baton://orders/client/db1"; got != want {
		t.Errorf("name %s, want %s", got, want)
	}
	for _, bad := range [][]byte{nil, []byte("x"), cert, key, csr[:len(csr)/2]} {
		if _, err := a.Sign(bad, identity.RoleClient, "db1", now); err == nil {
			t.Errorf("signed %q", bad)
		}
	}
}

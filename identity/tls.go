package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// The protocols of baton's one port, as ALPN names them.
const (
	ALPNRaft  = "baton-raft/1" // between servers
	ALPNHTTP2 = "h2"
	ALPNHTTP1 = "http/1.1"
)

// ServerTLS accepts peers of this cluster that show a certificate, of any role; only a server may agree on ALPNRaft.
func (id *Identity) ServerTLS(alpn ...string) *tls.Config {
	cfg := id.config(alpn)
	cfg.ClientAuth = tls.RequireAnyClientCert // checked by VerifyConnection
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		return id.verify(cs, x509.ExtKeyUsageClientAuth, anyone)
	}
	return cfg
}

// DoorTLS is ServerTLS for a port that strangers reach too, a node that joins with a token or a browser: a peer that shows
// no certificate is let in as nobody, so that PeerName gives ErrNoCertificate, and may not speak Raft. A peer that shows
// one is checked as always.
func (id *Identity) DoorTLS(alpn ...string) *tls.Config {
	cfg := id.config(alpn)
	cfg.ClientAuth = tls.RequestClientCert
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 && cs.NegotiatedProtocol != ALPNRaft {
			return nil
		}
		return id.verify(cs, x509.ExtKeyUsageClientAuth, anyone)
	}
	return cfg
}

// ClientTLS is for dialling a server of this cluster: the named one, or any if expectNode is empty.
func (id *Identity) ClientTLS(expectNode string, alpn ...string) *tls.Config {
	return id.PeerTLS(RoleServer, expectNode, alpn...)
}

// PeerTLS is for dialling a node of the given role: the named one, or any of that role if expectNode is empty. The role is
// part of what is expected because a client node may bear the name of a server.
func (id *Identity) PeerTLS(expect Role, expectNode string, alpn ...string) *tls.Config {
	cfg := id.config(alpn)
	cfg.InsecureSkipVerify = true // no host names here; VerifyConnection checks more than crypto/tls would
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		return id.verify(cs, x509.ExtKeyUsageServerAuth, func(n Name) error { return expectPeer(n, expect, expectNode) })
	}
	return cfg
}

// JoinTLS is for dialling a server before one has an identity: it believes the authority of the fingerprint, which a join
// token carries, and shows no certificate.
func JoinTLS(authority Fingerprint, alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         slices.Clone(alpn),
		InsecureSkipVerify: true, // VerifyConnection checks
		VerifyConnection: func(cs tls.ConnectionState) error {
			i := slices.IndexFunc(cs.PeerCertificates, func(c *x509.Certificate) bool { return fingerprintOf(c) == authority })
			if i < 1 {
				return fmt.Errorf("%w: the server does not belong to authority %.8s, which the token names", ErrOtherAuthority, authority)
			}
			name, err := checkPeer(cs.PeerCertificates[i], cs.PeerCertificates[0], x509.ExtKeyUsageServerAuth)
			if err != nil {
				return err
			}
			return expectPeer(name, RoleServer, "")
		},
	}
}

// config is what every configuration has in common.
func (id *Identity) config(alpn []string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             slices.Clone(alpn),
		SessionTicketsDisabled: true,
		Certificates:           []tls.Certificate{id.pair},
		// The other side can only answer "bad certificate"; a node whose own certificate is at fault finds out here.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if err := id.Check(time.Now()); err != nil {
				return nil, fmt.Errorf("this node cannot show its certificate: %w", err)
			}
			return &id.pair, nil
		},
	}
}

// verify checks the peer of a handshake that is about to be accepted.
func (id *Identity) verify(cs tls.ConnectionState, use x509.ExtKeyUsage, accept func(Name) error) error {
	if len(cs.PeerCertificates) == 0 {
		return ErrNoCertificate
	}
	name, err := checkPeer(id.ca, cs.PeerCertificates[0], use)
	if err != nil {
		return err
	}
	if cs.NegotiatedProtocol == ALPNRaft && name.Role != RoleServer {
		return fmt.Errorf("%w: %s speaks %s, which is for servers", ErrWrongRole, name, ALPNRaft)
	}
	return accept(name)
}

// checkPeer is the whole check of a certificate by itself: signature, time, use.
func checkPeer(ca, leaf *x509.Certificate, use x509.ExtKeyUsage) (Name, error) {
	name, err := checkIssued(ca, leaf)
	if err != nil {
		return Name{}, err
	}
	if err := checkTimes(ca, leaf, name, time.Now()); err != nil {
		return Name{}, err
	}
	if !slices.Contains(leaf.ExtKeyUsage, use) {
		return Name{}, fmt.Errorf("%w: the certificate of %s is not for this end of a connection", ErrWrongRole, name)
	}
	return name, nil
}

func anyone(Name) error { return nil }

func expectPeer(got Name, role Role, node string) error {
	if got.Role != role {
		return fmt.Errorf("%w: reached %s, expected a %s", ErrWrongRole, got, role)
	}
	if node != "" && got.Node != node {
		return fmt.Errorf("%w: reached %s, expected %s; does its address still belong to it?", ErrWrongNode, got, node)
	}
	return nil
}

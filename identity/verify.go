package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// checkIssued says whether ca signed leaf, whenever that was, and for whom.
func checkIssued(ca, leaf *x509.Certificate) (Name, error) {
	cluster, err := clusterOf(ca)
	if err != nil {
		return Name{}, fmt.Errorf("%w: %w", ErrOtherAuthority, err)
	}
	// A claim is read before the signature for one purpose only: to say in the refusal who seems to be calling.
	name, nameErr := nameOf(leaf)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	// Time is checked by checkTimes, after the signature; here the question is put at the first moment both are valid.
	moment := leaf.NotBefore
	if ca.NotBefore.After(moment) {
		moment = ca.NotBefore
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: moment, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	switch {
	case err != nil && nameErr == nil && name.Cluster != cluster:
		return Name{}, fmt.Errorf("%w: it says %s, this is cluster %s: %w", ErrOtherCluster, name, cluster, err)
	case err != nil:
		return Name{}, fmt.Errorf("%w: %s was not signed by authority %.8s of cluster %s (was the cluster initialised again?): %w",
			ErrOtherAuthority, claim(leaf, name, nameErr), fingerprintOf(ca), cluster, err)
	case nameErr != nil:
		return Name{}, nameErr
	case name.Cluster != cluster:
		return Name{}, fmt.Errorf("%w: %s, this is cluster %s", ErrOtherCluster, name, cluster)
	}
	return name, nil
}

func claim(leaf *x509.Certificate, name Name, err error) string {
	if err != nil {
		return fmt.Sprintf("certificate %.80q", leaf.Subject.CommonName)
	}
	return "a certificate that says " + name.String()
}

// nameOf reads the name in a certificate; there must be exactly one.
func nameOf(leaf *x509.Certificate) (Name, error) {
	if len(leaf.URIs) != 1 {
		return Name{}, fmt.Errorf("%w: %.80q has %d URI names, not one", ErrBadName, leaf.Subject.CommonName, len(leaf.URIs))
	}
	name, err := ParseName(leaf.URIs[0].String())
	if err != nil {
		return Name{}, fmt.Errorf("%w: %w", ErrBadName, err)
	}
	return name, nil
}

func checkTimes(ca, leaf *x509.Certificate, name Name, now time.Time) error {
	for _, c := range []struct {
		what string
		cert *x509.Certificate
	}{{"the certificate of " + name.String(), leaf}, {"the authority of cluster " + name.Cluster, ca}} {
		if now.After(c.cert.NotAfter) {
			return expired(c.what, c.cert, now)
		}
		if now.Before(c.cert.NotBefore) {
			return fmt.Errorf("%w: %s begins in %s, at %s; this machine's clock says %s", ErrNotYetValid, c.what,
				roughly(c.cert.NotBefore.Sub(now)), stamp(c.cert.NotBefore), stamp(now))
		}
	}
	return nil
}

func expired(what string, cert *x509.Certificate, now time.Time) error {
	return fmt.Errorf("%w: %s ended %s ago, at %s; this machine's clock says %s", ErrExpired, what,
		roughly(now.Sub(cert.NotAfter)), stamp(cert.NotAfter), stamp(now))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// roughly is a duration in days once it has some.
func roughly(d time.Duration) string {
	if days := int(d / (24 * time.Hour)); days > 0 {
		return fmt.Sprintf("%dd%s", days, (d % (24 * time.Hour)).Truncate(time.Hour))
	}
	return d.Truncate(time.Second).String()
}

// PeerName is who is at the other end of a connection made with one of this package's configurations; their handshake
// checked the certificate, this only reads it. A peer without one gives ErrNoCertificate.
func PeerName(cs tls.ConnectionState) (Name, error) {
	if !cs.HandshakeComplete || len(cs.PeerCertificates) == 0 {
		return Name{}, ErrNoCertificate
	}
	return nameOf(cs.PeerCertificates[0])
}

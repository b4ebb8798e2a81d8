package identity

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// What a refusal is about; every error of a handshake or of loading wraps one of these where it applies.
var (
	ErrNoCertificate  = errors.New("no certificate was shown")
	ErrExpired        = errors.New("certificate expired")
	ErrNotYetValid    = errors.New("certificate not yet valid")
	ErrOtherAuthority = errors.New("certificate of another authority")
	ErrOtherCluster   = errors.New("certificate of another cluster")
	ErrWrongRole      = errors.New("certificate of the wrong role")
	ErrWrongNode      = errors.New("certificate of another node")
	ErrBadName        = errors.New("certificate without a baton name")
	ErrExposedKey     = errors.New("private key readable by others")
)

// Identity is this node's certificate, its key, and the authority it believes. It is immutable and safe for concurrent use.
type Identity struct {
	name Name
	ca   *x509.Certificate
	leaf *x509.Certificate
	pair tls.Certificate // leaf, then the authority
}

// New makes an identity of PEM texts, as Issue or Sign gave them.
func New(caPEM, certPEM, keyPEM []byte) (*Identity, error) {
	ca, err := parseCert(caPEM)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	leaf, err := parseCert(certPEM)
	if err != nil {
		return nil, fmt.Errorf("read the node's certificate: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("read the node's key: %w", err)
	}
	return assemble(ca, leaf, key)
}

func assemble(ca, leaf *x509.Certificate, key *ecdsa.PrivateKey) (*Identity, error) {
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return nil, fmt.Errorf("%s and %s do not belong together: join again", nodeCertFile, nodeKeyFile)
	}
	name, err := checkIssued(ca, leaf)
	if err != nil {
		return nil, err
	}
	pair := tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.Raw}, PrivateKey: key, Leaf: leaf}
	return &Identity{name: name, ca: ca, leaf: leaf, pair: pair}, nil
}

// Name is whom this identity speaks for.
func (id *Identity) Name() Name { return id.name }

// NotAfter is when this node's certificate ends.
func (id *Identity) NotAfter() time.Time { return id.leaf.NotAfter }

// AuthorityPEM is the certificate of the authority this identity believes.
func (id *Identity) AuthorityPEM() []byte { return pemBlock(certBlock, id.ca.Raw) }

// Fingerprint names the authority this identity believes.
func (id *Identity) Fingerprint() Fingerprint { return fingerprintOf(id.ca) }

// Check says whether this node's own certificate and its authority are valid at now.
func (id *Identity) Check(now time.Time) error {
	return checkTimes(id.ca, id.leaf, id.name, now)
}

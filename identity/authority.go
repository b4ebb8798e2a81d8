package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Lifetimes of what an Authority makes. Backdating lets a certificate work on a machine whose clock is a little behind
// the one that issued it.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	NodeLife      = 90 * 24 * time.Hour
	Backdating    = 5 * time.Minute
)

// Authority signs the certificates of one cluster. It is immutable and safe for concurrent use.
type Authority struct {
	cluster string
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
}

// NewAuthority makes the authority of a new cluster, valid for AuthorityLife from now.
func NewAuthority(cluster string, now time.Time) (*Authority, error) {
	if err := validLabel("cluster", cluster); err != nil {
		return nil, fmt.Errorf("new authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("new authority: make a key: %w", err)
	}
	tmpl := &x509.Certificate{
		Subject:               pkix.Name{CommonName: authorityName(cluster)},
		NotBefore:             now.Add(-Backdating).UTC(),
		NotAfter:              now.Add(AuthorityLife).UTC(),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // it signs nodes, never another authority
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("new authority: sign its own certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("new authority: read back its certificate: %w", err)
	}
	return &Authority{cluster: cluster, cert: cert, key: key}, nil
}

// Cluster is the name of the cluster whose certificates a signs.
func (a *Authority) Cluster() string { return a.cluster }

// CertPEM is the authority's certificate: what every node must have and anyone may see.
func (a *Authority) CertPEM() []byte { return pemBlock(certBlock, a.cert.Raw) }

// Fingerprint names the authority in join tokens.
func (a *Authority) Fingerprint() Fingerprint { return fingerprintOf(a.cert) }

// Issue makes a key and a certificate for it, valid for NodeLife from now or until the authority ends, whichever is
// sooner. hosts are further DNS names or IP addresses for programs that check those (browsers, curl, Prometheus); baton
// itself never looks at them.
func (a *Authority) Issue(role Role, name string, now time.Time, hosts ...string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate for %s %s: make a key: %w", role, name, err)
	}
	if certPEM, err = a.sign(&key.PublicKey, Name{a.cluster, role, name}, now, hosts); err != nil {
		return nil, nil, err
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, fmt.Errorf("issue a certificate for %s %s: %w", role, name, err)
	}
	return certPEM, keyPEM, nil
}

// Sign certifies the key of a request made by NewRequest, so that a node's private key never leaves it. Nothing in the
// request is believed except the key, of which it proves the possession: role, name and hosts are the caller's decision.
func (a *Authority) Sign(csrPEM []byte, role Role, name string, now time.Time, hosts ...string) (certPEM []byte, err error) {
	block, _ := pem.Decode(csrPEM)
	if block == nil || block.Type != requestBlock {
		return nil, fmt.Errorf("sign a certificate for %s %s: the request is not a PEM %s", role, name, requestBlock)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate for %s %s: read the request: %w", role, name, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("sign a certificate for %s %s: the request does not hold the key it names: %w", role, name, err)
	}
	pub, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, fmt.Errorf("sign a certificate for %s %s: the request's key is not ECDSA P-256", role, name)
	}
	return a.sign(pub, Name{a.cluster, role, name}, now, hosts)
}

func (a *Authority) sign(pub crypto.PublicKey, name Name, now time.Time, hosts []string) ([]byte, error) {
	if err := name.Validate(); err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	if now.After(a.cert.NotAfter) {
		return nil, fmt.Errorf("sign a certificate for %s: %w", name, expired("the authority of cluster "+a.cluster, a.cert, now))
	}
	notAfter := now.Add(NodeLife)
	if notAfter.After(a.cert.NotAfter) {
		notAfter = a.cert.NotAfter
	}
	tmpl := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name.Node},
		NotBefore:             now.Add(-Backdating).UTC(),
		NotAfter:              notAfter.UTC(),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:                  []*url.URL{name.uri()},
	}
	if name.Role != RoleOperator {
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, pub, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate for %s: %w", name, err)
	}
	return pemBlock(certBlock, der), nil
}

// NewRequest makes a key and a request for a certificate of it, for Sign.
func NewRequest() (csrPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("request a certificate: make a key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("request a certificate: %w", err)
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, fmt.Errorf("request a certificate: %w", err)
	}
	return pemBlock(requestBlock, der), keyPEM, nil
}

// authorityName is the common name of a cluster's authority. It is how an Authority and an Identity learn their cluster
// when they are loaded.
func authorityName(cluster string) string { return "baton authority of " + cluster }

func clusterOf(authority *x509.Certificate) (string, error) {
	cluster, ok := strings.CutPrefix(authority.Subject.CommonName, authorityName(""))
	if !ok || validLabel("cluster", cluster) != nil {
		return "", fmt.Errorf("certificate %q is not the authority of a baton cluster", authority.Subject.CommonName)
	}
	return cluster, nil
}

package identity

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"fmt"
	"strings"
)

const (
	certBlock    = "CERTIFICATE"
	keyBlock     = "PRIVATE KEY"
	requestBlock = "CERTIFICATE REQUEST"
)

// Fingerprint is the SHA-256 of an authority's certificate, by which a join token says whom to believe.
type Fingerprint [sha256.Size]byte

// String is the fingerprint in lower-case base32 without padding, 52 characters.
func (f Fingerprint) String() string {
	return strings.ToLower(fingerprintEncoding().EncodeToString(f[:]))
}

// ParseFingerprint reads what String writes, in either case.
func ParseFingerprint(s string) (Fingerprint, error) {
	raw, err := fingerprintEncoding().DecodeString(strings.ToUpper(s))
	if err != nil || len(raw) != sha256.Size {
		return Fingerprint{}, fmt.Errorf("fingerprint %.80q is not 52 characters of base32", s)
	}
	return Fingerprint(raw), nil
}

// FingerprintOf is the fingerprint of an authority's certificate in PEM.
func FingerprintOf(caPEM []byte) (Fingerprint, error) {
	cert, err := parseCert(caPEM)
	if err != nil {
		return Fingerprint{}, err
	}
	return fingerprintOf(cert), nil
}

func fingerprintOf(cert *x509.Certificate) Fingerprint { return sha256.Sum256(cert.Raw) }

func fingerprintEncoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	return pemBlock(keyBlock, der), nil
}

func parseCert(raw []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != certBlock {
		return nil, fmt.Errorf("no PEM block %q in it", certBlock)
	}
	return x509.ParseCertificate(block.Bytes)
}

func parseKey(raw []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != keyBlock {
		return nil, fmt.Errorf("no PEM block %q in it", keyBlock)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it holds a %T, not an ECDSA key", key)
	}
	return ec, nil
}

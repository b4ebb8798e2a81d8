package identity

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/baton-db/baton/internal/durable"
)

// The files of an identity directory. The names must not change: installed nodes hold them.
const (
	caCertFile   = "ca.pem"       // the authority's certificate, on every node
	caKeyFile    = "ca-key.pem"   // the authority's key, on servers only, 0600
	nodeCertFile = "node.pem"     // this node's certificate
	nodeKeyFile  = "node-key.pem" // its key, 0600
)

// Save writes ca.pem and ca-key.pem to dir, which is made 0700 if missing. It refuses to replace an authority: whoever
// loses the key of a cluster has to give every node a new identity.
func (a *Authority) Save(dir string) error {
	path := filepath.Join(dir, caKeyFile)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("save the authority of %s: %s is there already; move it away first if it is really to be replaced: %w",
			a.cluster, path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save the authority of %s: %w", a.cluster, err)
	}
	key, err := encodeKey(a.key)
	if err != nil {
		return fmt.Errorf("save the authority of %s: %w", a.cluster, err)
	}
	return writeAll(dir, file{caKeyFile, key, 0o600}, file{caCertFile, a.CertPEM(), 0o644})
}

// LoadAuthority reads what Save wrote.
func LoadAuthority(dir string) (*Authority, error) {
	cert, err := loadCert(filepath.Join(dir, caCertFile))
	if err != nil {
		return nil, fmt.Errorf("load the authority: %w", err)
	}
	key, err := loadKey(filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, fmt.Errorf("load the authority: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("load the authority: %s and %s in %s do not belong together", caCertFile, caKeyFile, dir)
	}
	cluster, err := clusterOf(cert)
	if err != nil {
		return nil, fmt.Errorf("load the authority: %w", err)
	}
	return &Authority{cluster: cluster, cert: cert, key: key}, nil
}

// Save writes a node's identity to dir: ca.pem, node-key.pem and, last, node.pem. What it is given is checked first, so
// that a bad answer from a server never replaces a good identity on disk.
func Save(dir string, caPEM, certPEM, keyPEM []byte) error {
	if _, err := New(caPEM, certPEM, keyPEM); err != nil {
		return fmt.Errorf("save the identity: %w", err)
	}
	return writeAll(dir, file{caCertFile, caPEM, 0o644}, file{nodeKeyFile, keyPEM, 0o600}, file{nodeCertFile, certPEM, 0o644})
}

// Load reads a node's identity from dir. A directory without one gives an error that is fs.ErrNotExist: the node has not
// joined. An expired certificate loads, because a node without connections still answers DNS; see Identity.Check.
func Load(dir string) (*Identity, error) {
	ca, err := loadCert(filepath.Join(dir, caCertFile))
	if err != nil {
		return nil, fmt.Errorf("load the identity: %w", err)
	}
	cert, err := loadCert(filepath.Join(dir, nodeCertFile))
	if err != nil {
		return nil, fmt.Errorf("load the identity: %w", err)
	}
	key, err := loadKey(filepath.Join(dir, nodeKeyFile))
	if err != nil {
		return nil, fmt.Errorf("load the identity: %w", err)
	}
	id, err := assemble(ca, cert, key)
	if err != nil {
		return nil, fmt.Errorf("load the identity in %s: %w", dir, err)
	}
	return id, nil
}

type file struct {
	name    string
	content []byte
	mode    fs.FileMode
}

// writeAll replaces the files in the order given, each whole, and makes their names durable.
func writeAll(dir string, files ...file) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the identity directory: %w", err)
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := replace(dir, path, f); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return durable.SyncDir(dir)
}

// replace is not durable.Replace, because people make certificates beside a node that runs, and two writers need two
// temporary files; and it is not renameio.WriteFile, which would keep the mode of a file that is there already, also too wide a one.
func replace(dir, path string, f file) error {
	pending, err := renameio.NewPendingFile(path, renameio.WithTempDir(dir), renameio.WithStaticPermissions(f.mode))
	if err != nil {
		return err
	}
	defer func() { _ = pending.Cleanup() }() // nothing to do once replaced
	if _, err := pending.Write(f.content); err != nil {
		return err
	}
	return pending.CloseAtomicallyReplace()
}

func loadCert(path string) (*x509.Certificate, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cert, err := parseCert(raw)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s: %w", path, err)
	}
	return cert, nil
}

// loadKey refuses a key that others may read: it would have to be counted as stolen.
func loadKey(path string) (*ecdsa.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the key %s may be read by others than its owner (mode %04o): run chmod 600 %s: %w",
			path, mode, path, ErrExposedKey)
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: %w", path, err)
	}
	key, err := parseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: %w", path, err)
	}
	return key, nil
}

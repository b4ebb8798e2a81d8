package identity_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/identity"
)

func TestSavedIdentityLoads(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	dir := filepath.Join(t.TempDir(), "identity")
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := identity.LoadAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.Cluster() != "orders" || again.Fingerprint() != a.Fingerprint() {
		t.Errorf("loaded authority of %s, %s", again.Cluster(), again.Fingerprint())
	}
	if _, err := identity.Load(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory without a node certificate: %v", err)
	}
	cert, key, err := again.Issue(identity.RoleServer, "s1", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Save(dir, again.CertPEM(), cert, key); err != nil {
		t.Fatal(err)
	}
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := id.Name().String(); got != "baton://orders/server/s1" || id.Fingerprint() != a.Fingerprint() {
		t.Errorf("loaded %s of %s", got, id.Fingerprint())
	}
	for name, want := range map[string]fs.FileMode{"ca.pem": 0o644, "ca-key.pem": 0o600, "node.pem": 0o644, "node-key.pem": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info, err, want)
		}
	}
}

func TestAuthorityIsNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	if err := newAuthority(t, "orders", now).Save(dir); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := newAuthority(t, "orders", now).Save(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Save: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "ca-key.pem")); string(after) != string(before) {
		t.Error("the key was replaced")
	}
}

func TestKeyReadableByOthersIsRefusedWithTheFix(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	dir := t.TempDir()
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	cert, key, err := a.Issue(identity.RoleServer, "s1", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Save(dir, a.CertPEM(), cert, key); err != nil {
		t.Fatal(err)
	}
	for name, load := range map[string]func() error{
		"ca-key.pem":   func() error { _, err := identity.LoadAuthority(dir); return err },
		"node-key.pem": func() error { _, err := identity.Load(dir); return err },
	} {
		path := filepath.Join(dir, name)
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if err := load(); !errors.Is(err, identity.ErrExposedKey) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("%s at 0640: %v", name, err)
		}
	}
	// Saving again is also a fix: it does not keep the mode it finds.
	if err := identity.Save(dir, a.CertPEM(), cert, key); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Load(dir); err != nil {
		t.Errorf("after saving again: %v", err)
	}
}

func TestBadIdentityIsNotSaved(t *testing.T) {
	now := time.Now()
	a, other := newAuthority(t, "orders", now), newAuthority(t, "orders", now)
	cert, key, err := a.Issue(identity.RoleServer, "s1", now)
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := a.Issue(identity.RoleServer, "s1", now)
	if err != nil {
		t.Fatal(err)
	}
	for name, parts := range map[string][3][]byte{
		"key of another certificate": {a.CertPEM(), cert, otherKey},
		"another authority":          {other.CertPEM(), cert, key},
		"node as its own authority":  {cert, cert, key},
		"no PEM":                     {a.CertPEM(), []byte("x"), key},
		"certificate for a key":      {a.CertPEM(), cert, cert},
	} {
		dir := t.TempDir()
		if err := identity.Save(dir, parts[0], parts[1], parts[2]); err == nil {
			t.Errorf("%s: saved", name)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
}

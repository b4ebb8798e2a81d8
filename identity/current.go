package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"
)

// How a Current keeps a certificate alive.
const (
	RenewBefore = NodeLife / 3   // this long before its end a certificate is renewed, or its owner warned
	LookEvery   = time.Hour      // how often the files are looked at
	WarnEvery   = 24 * time.Hour // how often a warning is repeated
)

// Current is the identity in a directory as it is now: whoever replaces the files need not start the node again. Where
// the key of the authority is at hand it renews the certificate by itself. Identity, ServerTLS and ClientTLS are safe
// for concurrent use; Refresh and Keep belong to one goroutine.
type Current struct {
	dir       string
	authority string
	log       *slog.Logger
	id        atomic.Pointer[Identity]
	warned    map[string]time.Time // when each warning was given last
}

// OpenCurrent loads the identity in dir, as Load does. authority is the directory in which the authority would be, if
// this node has it.
func OpenCurrent(dir, authority string, log *slog.Logger) (*Current, error) {
	id, err := Load(dir)
	if err != nil {
		return nil, err
	}
	c := &Current{dir: dir, authority: authority, log: log, warned: map[string]time.Time{}}
	c.id.Store(id)
	return c, nil
}

// Identity is the newest one.
func (c *Current) Identity() *Identity { return c.id.Load() }

// ServerTLS is Identity.ServerTLS with the certificate that is newest at each handshake.
func (c *Current) ServerTLS(alpn ...string) *tls.Config {
	cfg := c.Identity().ServerTLS(alpn...) // the authority, by which peers are checked, never changes
	cfg.Certificates = nil
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c.Identity().pair, nil }
	return cfg
}

// ClientTLS is Identity.ClientTLS of the newest one.
func (c *Current) ClientTLS(expectNode string, alpn ...string) *tls.Config {
	return c.Identity().ClientTLS(expectNode, alpn...)
}

// Keep looks at the files now and then until ctx ends. It returns nil.
func (c *Current) Keep(ctx context.Context) error {
	tick := time.NewTicker(LookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.Refresh(time.Now())
		}
	}
}

// Refresh takes over files that were replaced, and renews a certificate that is due. What goes wrong is logged: the node
// goes on with the identity that it has.
func (c *Current) Refresh(now time.Time) {
	if err := c.reload(); err != nil {
		c.warn(now, "the certificate on disk cannot be used, going on with the former one", "dir", c.dir, "ends", stamp(c.Identity().NotAfter()), "err", err)
		return // a person is replacing the files right now, or has to look at them
	}
	id := c.Identity()
	if !id.due(now) {
		return
	}
	err := c.renew(id, now)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.warn(now, "this node's certificate must be renewed: run this on the server with the authority, and copy the files; they are taken over without a restart",
			"ends", stamp(id.NotAfter()), "run", IssueCommand(id.name, c.authority), "to", c.dir)
	case err != nil:
		c.warn(now, "this node's certificate must be renewed, and it failed", "ends", stamp(id.NotAfter()), "err", err)
	}
}

// due reports whether it is time to renew. A certificate that begins in the future was made while the clock was wrong.
func (id *Identity) due(now time.Time) bool {
	return now.After(id.leaf.NotAfter.Add(-RenewBefore)) || now.Before(id.leaf.NotBefore)
}

func (c *Current) reload() error {
	fresh, err := Load(c.dir)
	if err != nil {
		return err
	}
	old := c.Identity()
	switch {
	case fresh.name != old.name:
		return fmt.Errorf("%w: it is of %s, this node runs as %s", ErrWrongNode, fresh.name, old.name)
	case fresh.Fingerprint() != old.Fingerprint():
		return fmt.Errorf("%w: %.8s, this node runs with %.8s; start it again to change it", ErrOtherAuthority, fresh.Fingerprint(), old.Fingerprint())
	case bytes.Equal(fresh.leaf.Raw, old.leaf.Raw):
		return nil
	}
	c.id.Store(fresh)
	c.log.Info("this node's certificate was replaced", "ends", stamp(fresh.NotAfter()))
	return nil
}

// renew replaces node.pem alone. The error is fs.ErrNotExist when the authority is elsewhere.
func (c *Current) renew(id *Identity, now time.Time) error {
	a, err := LoadAuthority(c.authority)
	if err != nil {
		return err
	}
	cert, err := a.Renew(id, now)
	if err != nil {
		return err
	}
	if err := writeAll(c.dir, file{nodeCertFile, cert, 0o644}); err != nil {
		return err
	}
	return c.reload()
}

func (c *Current) warn(now time.Time, text string, args ...any) {
	last, given := c.warned[text]
	if since := now.Sub(last); !given || since < 0 || since >= WarnEvery {
		c.warned[text] = now
		c.log.Warn(text, args...)
	}
}

// Renew certifies the key of id once more, for everything that it is certified for, for NodeLife from now.
func (a *Authority) Renew(id *Identity, now time.Time) (certPEM []byte, err error) {
	if a.Fingerprint() != id.Fingerprint() {
		return nil, fmt.Errorf("renew the certificate of %s: %w: it is not of this authority, %.8s", id.name, ErrOtherAuthority, a.Fingerprint())
	}
	if now.Before(a.cert.NotBefore) {
		return nil, fmt.Errorf("renew the certificate of %s: %w", id.name, checkTimes(a.cert, a.cert, id.name, now))
	}
	if !id.NotAfter().Before(a.cert.NotAfter) {
		return nil, fmt.Errorf("renew the certificate of %s: the authority itself ends at %s", id.name, stamp(a.cert.NotAfter))
	}
	return a.sign(id.leaf.PublicKey, id.name, now, hostsOf(id.leaf))
}

func hostsOf(leaf *x509.Certificate) []string {
	hosts := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// IssueCommand is the command line that makes a certificate for a node, in a directory of the node's name, where the
// authority is in dir.
func IssueCommand(name Name, dir string) string {
	return fmt.Sprintf("baton ca issue %s --ca %s --node %s --role %s", name.Node, filepath.Clean(dir), name.Node, name.Role)
}

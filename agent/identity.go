package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/identity/founder"
)

// ErrNoCertificates is why a node does not start that nobody has made certificates for.
var ErrNoCertificates = errors.New("no certificates")

// CertificateDir is where a node with the data directory dataDir has its certificate.
func CertificateDir(dataDir string) string { return filepath.Join(dataDir, founder.TLSDir) }

// AuthorityDir is where the first server with the data directory dataDir has the authority.
func AuthorityDir(dataDir string) string { return filepath.Join(dataDir, founder.AuthorityDir) }

// identify makes what the first server has to make, reads the certificates that say who this node is, and checks that they
// say what the configuration says.
func (a *Agent) identify() error {
	want := identity.Name{Cluster: string(a.cfg.Cluster), Role: identity.Role(a.cfg.Role), Node: string(a.cfg.Node)}
	if a.cfg.Bootstrap {
		if err := a.found(want); err != nil {
			return err
		}
	}
	dir := CertificateDir(a.cfg.DataDir)
	var err error
	a.id, err = identity.OpenCurrent(dir, AuthorityDir(a.cfg.DataDir), a.room("identity"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w in %s: %w", ErrNoCertificates, dir, err)
	case err != nil:
		return fmt.Errorf("certificates in %s: %w", dir, err)
	}
	if is := a.id.Identity().Name(); is != want {
		return fmt.Errorf("certificates in %s belong to %s, the configuration says %s: is this the data directory of another node?", dir, is, want)
	}
	now := time.Now()
	a.id.Refresh(now)
	return a.id.Identity().Check(now)
}

// found begins the cluster, if nobody has.
func (a *Agent) found(name identity.Name) error {
	first := founder.Server{Name: name, DataDir: a.cfg.DataDir, Seeds: a.others(a.cfg.Join), Servers: map[string]string{}, Log: a.room("founder")}
	if len(a.cfg.GossipKey) == 0 {
		first.KeyFile = a.cfg.GossipKeyFile
	}
	for _, s := range a.cfg.Servers {
		if s.Node != a.cfg.Node {
			first.Servers[string(s.Node)] = s.API
		}
	}
	key, err := first.Found(context.Background()) // it bounds itself
	if key != nil {
		a.cfg.GossipKey = key
	}
	return err
}

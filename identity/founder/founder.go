package founder

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/internal/durable"
)

// The directories below a node's data directory.
const (
	TLSDir       = "tls" // this node's certificate
	AuthorityDir = "ca"  // the authority, on the first server only
)

// keySize is the size of a gossip key in bytes.
const keySize = 32

// programBegins is before the first day on which this program existed: a clock that is behind it is wrong, and an authority
// made by it would end too early.
const programBegins = 2026

// Server is a server that its node file calls the first one of its cluster.
type Server struct {
	Name identity.Name
	// DataDir is claimed by the caller's process, and the port that other servers know this one by is bound: two servers
	// that are both called the first then see each other.
	DataDir string
	// KeyFile is where to make the gossip key; empty when there is one.
	KeyFile string
	// Servers are the API addresses (host:port) of the other servers, by name; Seeds are gossip addresses of other nodes.
	Servers map[string]string
	Seeds   []string
	Log     *slog.Logger
}

// Found makes what is missing and says in the log what that is. It returns the 32 bytes of a gossip key that it made, nil
// when it made none. A node that has its certificate is left alone. Every refusal says the way out, and comes before
// anything is made.
func (s Server) Found(ctx context.Context) (key []byte, err error) {
	now := time.Now()
	switch certified, err := exists(s.tls("node.pem")); {
	case err != nil:
		return nil, err
	case certified && s.KeyFile != "":
		return nil, s.keyIsElsewhere("certificates")
	case certified:
		return nil, nil
	}
	authority, err := s.authority(now)
	if err == nil {
		err = s.nobodyElse(ctx, authority)
	}
	if err != nil {
		return nil, err
	}
	if s.KeyFile != "" {
		if key, err = makeKey(s.KeyFile); err != nil {
			return nil, fmt.Errorf("gossip_key_file: make a key: %w", err)
		}
		s.Log.Info("first server: made the gossip key, the same on every node", "file", s.KeyFile)
	}
	if authority == nil {
		if authority, err = identity.NewAuthority(s.Name.Cluster, now); err != nil {
			return nil, err
		}
		if err := authority.SaveNew(s.ca()); err != nil {
			return nil, err
		}
		s.Log.Info("first server: made the authority of the cluster", "dir", s.ca(), "authority", authority.Fingerprint().String())
	}
	cert, private, err := authority.Issue(s.Name.Role, s.Name.Node, now)
	if err != nil {
		return nil, err
	}
	if err := identity.SaveNew(s.tls(), authority.CertPEM(), cert, private); err != nil {
		return nil, err
	}
	s.Log.Info("first server: made the certificate of this node", "dir", s.tls())
	for _, node := range slices.Sorted(maps.Keys(s.Servers)) {
		other := identity.Name{Cluster: s.Name.Cluster, Role: identity.RoleServer, Node: node}
		s.Log.Info("first server: make the certificate of "+node+" here, and copy it and the gossip key", "run", identity.IssueCommand(other, s.ca()))
	}
	return key, nil
}

func (s Server) ca() string { return filepath.Join(s.DataDir, AuthorityDir) }

func (s Server) tls(file ...string) string {
	return filepath.Join(append([]string{s.DataDir, TLSDir}, file...)...)
}

// authority loads what an earlier start made; nil says that there is none and that one may be made.
func (s Server) authority(now time.Time) (*identity.Authority, error) {
	if left, err := holds(s.tls()); err != nil || left {
		return nil, errors.Join(err, fmt.Errorf("first server: %s is not empty, and there is no node.pem in it. Complete it: %s. Or move it away",
			s.tls(), identity.IssueCommand(s.Name, s.ca())))
	}
	made, err := holds(s.ca())
	if err != nil {
		return nil, err
	}
	if made {
		return s.finish()
	}
	if now.Year() < programBegins {
		return nil, fmt.Errorf("first server: this machine's clock says %s. Set it: certificates made now would end too early", now.UTC().Format(time.RFC3339))
	}
	for _, name := range []string{"raft", "guard", "hosts"} {
		dir := filepath.Join(s.DataDir, name)
		if left, err := holds(dir); err != nil || left {
			return nil, errors.Join(err, fmt.Errorf("first server: %s holds the state of a cluster, but its certificates are gone. A new authority would be one that "+
				"nobody else believes. Put %s back, or make this node's certificate where the authority is: %s. If the cluster really begins anew, move %s away",
				dir, s.tls(), identity.IssueCommand(s.Name, s.ca()), s.DataDir))
		}
	}
	return nil, nil
}

func (s Server) finish() (*identity.Authority, error) {
	a, err := identity.LoadAuthority(s.ca())
	switch {
	case err != nil:
		return nil, fmt.Errorf("first server: %s is there and cannot be used. Put the authority back into it, or move it away if no node has a certificate: %w", s.ca(), err)
	case a.Cluster() != s.Name.Cluster:
		return nil, fmt.Errorf("first server: %s is the authority of cluster %s, the configuration says %s: is this the data directory of another node?",
			s.ca(), a.Cluster(), s.Name.Cluster)
	case s.KeyFile != "":
		return nil, s.keyIsElsewhere("the authority of its cluster")
	}
	return a, nil
}

func (s Server) keyIsElsewhere(has string) error {
	return fmt.Errorf("gossip_key_file: there is no %s, and this node has %s already. Copy the file from another node; if no other node has one, run: "+
		"(umask 077; head -c32 /dev/urandom | base64 > %s)", s.KeyFile, has, s.KeyFile)
}

// makeKey writes a new key, in base64, to a file that is not there yet, and returns it. The file is there whole or not at
// all, and is never one that somebody else made meanwhile.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove what an earlier attempt left: %w", err)
	}
	err := durable.Create(next, []byte(base64.StdEncoding.EncodeToString(key)+"\n"))
	if err != nil {
		return nil, err
	}
	err = os.Link(next, path) // a rename would replace
	if err = errors.Join(err, os.Remove(next)); err != nil {
		return nil, err
	}
	return key, durable.SyncDir(filepath.Dir(path))
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// holds reports whether there is anything in dir.
func holds(dir string) (bool, error) {
	all, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return len(all) > 0, err
}

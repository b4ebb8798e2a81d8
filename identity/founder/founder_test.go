package founder_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/identity/founder"
)

// site is a first server on a bare machine.
type site struct {
	founder.Server
	t   *testing.T
	dir string // its data directory is data/, its gossip key gossip.key
	log bytes.Buffer
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir()}
	s.Server = founder.Server{Name: identity.Name{Cluster: "prod", Role: identity.RoleServer, Node: "db1"}, DataDir: filepath.Join(s.dir, "data"),
		Servers: map[string]string{"db2": unused(t), "db3": unused(t)}, Seeds: []string{unused(t)}, Log: slog.New(slog.NewTextHandler(&s.log, nil))}
	for _, d := range []string{"raft", "guard", "hosts"} {
		s.must(os.MkdirAll(filepath.Join(s.DataDir, d), 0o700))
	}
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// found founds as the agent does: the key is to be made where its file is missing.
func (s *site) found() ([]byte, error) {
	s.t.Helper()
	s.KeyFile = filepath.Join(s.dir, "gossip.key")
	if _, err := os.Stat(s.KeyFile); err == nil {
		s.KeyFile = ""
	}
	return s.Found(s.t.Context())
}

// files are all files below the site with their modes and contents.
func (s *site) files() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	s.must(filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(s.dir, path) // both are absolute
		all[name] = info.Mode().String() + " " + string(b)
		return err
	}))
	return all
}

// complete fails unless the site has everything, of one authority, and nothing else.
func (s *site) complete() {
	s.t.Helper()
	a, err := identity.LoadAuthority(filepath.Join(s.DataDir, "ca"))
	s.must(err)
	id, err := identity.Load(filepath.Join(s.DataDir, "tls"))
	s.must(err)
	if id.Name() != s.Name || id.Fingerprint() != a.Fingerprint() {
		s.t.Errorf("the certificate is of %s, authority %.8s; the authority is %.8s", id.Name(), id.Fingerprint(), a.Fingerprint())
	}
	for path, want := range map[string]string{"data/ca": "drwx------", "data/tls": "drwx------", "data/ca/ca-key.pem": "-rw-------",
		"data/tls/node-key.pem": "-rw-------", "gossip.key": "-rw-------", "data/ca/ca.pem": "-rw-r--r--", "data/tls/ca.pem": "-rw-r--r--",
		"data/tls/node.pem": "-rw-r--r--"} {
		if info, err := os.Stat(filepath.Join(s.dir, path)); err != nil || info.Mode().String() != want {
			s.t.Errorf("%s: %v, %v; want %s", path, info, err, want)
		}
	}
	if n := len(s.files()); n != 6 {
		s.t.Errorf("%d files", n)
	}
}

// unused is an address on which nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestABareServerGetsKeyAuthorityAndCertificateOnce(t *testing.T) {
	s := newSite(t)
	key, err := s.found()
	s.must(err)
	s.complete()
	text, err := os.ReadFile(filepath.Join(s.dir, "gossip.key"))
	s.must(err)
	if got, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text))); err != nil || len(key) != 32 || !bytes.Equal(got, key) {
		t.Errorf("returned a key of %d bytes, the file holds %d, %v", len(key), len(got), err)
	}
	said := s.log.String()
	for _, want := range []string{filepath.Join(s.dir, "gossip.key"), filepath.Join(s.DataDir, "ca"), filepath.Join(s.DataDir, "tls"),
		"baton ca issue db2 --ca " + filepath.Join(s.DataDir, "ca") + " --node db2 --role server", "--node db3 --role server"} {
		if !strings.Contains(said, want) {
			t.Errorf("the log does not say %q:\n%s", want, said)
		}
	}
	for _, secret := range []string{strings.TrimSpace(string(text)), "PRIVATE KEY"} {
		if strings.Contains(said, secret) {
			t.Error("the log has a secret")
		}
	}
	before := s.files()
	s.log.Reset()
	if key, err := s.found(); err != nil || key != nil || s.log.Len() > 0 {
		t.Errorf("a second start: %v, %v, said %q", key, err, &s.log)
	}
	if diff := cmp.Diff(before, s.files()); diff != "" {
		t.Errorf("a second start changed\n%s", diff)
	}
}

// The states are all that a kill between any two steps can leave: what is written is prepared beside its place.
func TestAStartThatWasKilledIsFinishedByTheNextAndNothingIsMadeTwice(t *testing.T) {
	half := func(names ...string) func(*site) {
		return func(s *site) {
			for _, name := range names {
				path := filepath.Join(s.dir, name)
				s.must(os.MkdirAll(filepath.Dir(path), 0o700))
				s.must(os.WriteFile(path, []byte("half"), 0o600))
			}
		}
	}
	keep := func(names ...string) func(*site) {
		return func(s *site) {
			_, err := s.found()
			s.must(err)
			for name := range s.files() {
				if !slices.Contains(names, name) {
					s.must(os.Remove(filepath.Join(s.dir, name)))
				}
			}
			for _, d := range []string{"tls", "ca"} {
				_ = os.Remove(filepath.Join(s.DataDir, d)) // empty ones
			}
		}
	}
	authority := []string{"gossip.key", "data/ca/ca-key.pem", "data/ca/ca.pem"}
	for name, prepare := range map[string][]func(*site){
		"while the key was written":         {half("gossip.key.new")},
		"after the key":                     {keep("gossip.key")},
		"after the first file of two":       {keep("gossip.key"), half("data/ca.new/ca-key.pem")},
		"before the authority had its name": {keep("gossip.key"), half("data/ca.new/ca-key.pem", "data/ca.new/ca.pem")},
		"after the authority":               {keep(authority...)},
		"while the certificate was written": {keep(authority...), half("data/tls.new/ca.pem", "data/tls.new/node-key.pem")},
		"before it had its name":            {keep(authority...), half("data/tls.new/ca.pem", "data/tls.new/node-key.pem", "data/tls.new/node.pem")},
		"with the directories made by hand": {func(s *site) {
			s.must(errors.Join(os.Mkdir(filepath.Join(s.DataDir, "tls"), 0o700), os.Mkdir(filepath.Join(s.DataDir, "ca"), 0o700)))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			for _, p := range prepare {
				p(s)
			}
			before := s.files()
			_, err := s.found()
			s.must(err)
			s.complete()
			after := s.files()
			for name, content := range before {
				if !strings.Contains(name, ".new") && after[name] != content {
					t.Errorf("%s was replaced", name)
				}
			}
		})
	}
}

func TestWhereAClusterMayBeNothingIsMadeAndTheWayOutIsSaid(t *testing.T) {
	const mine = "baton ca issue db1 --ca"
	write := func(name string) func(*site) {
		return func(s *site) {
			path := filepath.Join(s.dir, name)
			s.must(errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)))
		}
	}
	for name, tt := range map[string]struct {
		prepare func(*site)
		want    []string
	}{
		"state of a voter":            {write("data/raft/birth"), []string{"data/raft holds the state", mine, "Put", "move"}},
		"a promise":                   {write("data/guard/promise-orders-db1"), []string{"data/guard holds the state", mine}},
		"a hosts file was kept":       {write("data/hosts/journal"), []string{"data/hosts holds the state", mine}},
		"half a copied certificate":   {write("data/tls/node-key.pem"), []string{"no node.pem in it", mine, "move it away"}},
		"half an authority":           {write("data/ca/ca-key.pem"), []string{"cannot be used", "move it away"}},
		"a directory that is another": {write("data/ca/notes"), []string{"cannot be used", "move it away"}},
		"certificates without a key": {func(s *site) { _, err := s.found(); s.must(err); s.must(os.Remove(filepath.Join(s.dir, "gossip.key"))) },
			[]string{"gossip_key_file", "Copy the file from another node"}},
		"an authority without a key": {func(s *site) {
			_, err := s.found()
			s.must(errors.Join(err, os.Remove(filepath.Join(s.dir, "gossip.key")), os.RemoveAll(filepath.Join(s.DataDir, "tls"))))
		}, []string{"gossip_key_file", "Copy the file from another node"}},
		"authority of another cluster": {func(s *site) { s.must(authority(s.t, "other").Save(filepath.Join(s.DataDir, "ca"))) }, []string{"cluster other", "prod"}},
		"a server answers": {func(s *site) { s.Servers["db2"] = serve(s.t, authority(s.t, "prod")) },
			[]string{"db2 at 127.0.0.1:", "baton://prod/server/db9", "the cluster is there already", mine}},
		"a server of another authority than ours": {func(s *site) {
			s.must(authority(s.t, "prod").Save(filepath.Join(s.DataDir, "ca")))
			write("gossip.key")(s)
			s.Servers["db2"] = serve(s.t, authority(s.t, "prod"))
		}, []string{"db2 at 127.0.0.1:", "holds authority", mine}},
		"a seed listens": {func(s *site) { s.Seeds = []string{listen(s.t).Addr().String()} }, []string{"one of join", "the cluster is there already", mine}},
		"two first servers at once": {func(s *site) { s.Servers["db2"] = silent(s.t) },
			[]string{"where db2 should be, is in use", "If bootstrap = true stands in the node file of db2 too"}},
		"no place for the key": {func(s *site) { s.dir += "/nowhere" }, []string{"gossip_key_file", "no such file or directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			root := s.dir
			tt.prepare(s)
			all := &site{t: t, dir: root}
			before := all.files()
			_, err := s.found()
			if err == nil {
				t.Fatalf("founded:\n%s", &s.log)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if diff := cmp.Diff(before, all.files()); diff != "" {
				t.Errorf("the refusal changed\n%s", diff)
			}
		})
	}
}

func TestAnAuthorityThatIsThereCertifiesItsServerAgain(t *testing.T) {
	s := newSite(t)
	_, err := s.found()
	s.must(err)
	a, err := identity.LoadAuthority(filepath.Join(s.DataDir, "ca"))
	s.must(err)
	s.must(errors.Join(os.RemoveAll(filepath.Join(s.DataDir, "tls")), os.WriteFile(filepath.Join(s.DataDir, "raft", "birth"), []byte("x"), 0o600)))
	s.Servers["db2"], s.Seeds = serve(t, a), []string{listen(t).Addr().String()} // the cluster runs meanwhile
	_, err = s.found()
	s.must(err)
	s.must(os.Remove(filepath.Join(s.DataDir, "raft", "birth")))
	s.complete()
	if again, err := identity.LoadAuthority(filepath.Join(s.DataDir, "ca")); err != nil || again.Fingerprint() != a.Fingerprint() {
		t.Errorf("the authority changed: %v", err)
	}
}

func authority(t *testing.T, cluster string) *identity.Authority {
	t.Helper()
	a, err := identity.NewAuthority(cluster, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// silent accepts no connection, and yet the kernel completes it: a node that is about to start.
func silent(t *testing.T) string { return listen(t).Addr().String() }

// serve answers as a server of a's cluster until the test ends.
func serve(t *testing.T, a *identity.Authority) string {
	t.Helper()
	cert, key, err := a.Issue(identity.RoleServer, "db9", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.New(a.CertPEM(), cert, key)
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	s := identity.NewSplitter(ln, id.ServerTLS(), slog.New(slog.DiscardHandler))
	s.Listener(identity.ALPNHTTP2, identity.ALPNRaft)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ctx) })
	t.Cleanup(func() { cancel(); serving.Wait() })
	return ln.Addr().String()
}

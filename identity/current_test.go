package identity_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/identity"
)

// held is a node's directories, its identity as the node holds it, and what was logged.
type held struct {
	*identity.Current
	a      *identity.Authority
	dir    string
	logged *strings.Builder
}

// hold issues db1 a certificate at now, and saves the authority beside it where it is to be at hand.
func hold(t *testing.T, now time.Time, authority string) *held {
	t.Helper()
	h := &held{a: newAuthority(t, "orders", now), dir: t.TempDir(), logged: &strings.Builder{}}
	h.issue(t, h.a, "db1", now)
	if err := h.a.Save(filepath.Join(h.dir, "ca")); err != nil {
		t.Fatal(err)
	}
	var err error
	log := slog.New(slog.NewTextHandler(h.logged, nil))
	if h.Current, err = identity.OpenCurrent(filepath.Join(h.dir, "tls"), filepath.Join(h.dir, authority), log); err != nil {
		t.Fatal(err)
	}
	return h
}

// issue replaces the certificate and the key on disk.
func (h *held) issue(t *testing.T, a *identity.Authority, node string, now time.Time) {
	t.Helper()
	cert, key, err := a.Issue(identity.RoleServer, node, now, "db1.example", "10.0.0.11")
	if err == nil {
		err = identity.Save(filepath.Join(h.dir, "tls"), a.CertPEM(), cert, key)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const day = 24 * time.Hour

func TestACertificateIsRenewedWhereTheAuthorityIsAtTwoThirdsOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hold(t, time.Now(), "ca")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = h.Keep(ctx) })
		first := h.Identity()
		time.Sleep(60*day - time.Minute)
		if h.Identity() != first {
			t.Error("renewed before two thirds of its life")
		}
		time.Sleep(2 * time.Hour)
		second := h.Identity()
		if want := time.Now().Add(identity.NodeLife - 2*time.Hour); second.NotAfter().Before(want) || second.Name() != first.Name() {
			t.Errorf("now %s until %v, want until %v at least", second.Name(), second.NotAfter(), want)
		}
		time.Sleep(31 * day)
		if err := h.Identity().Check(time.Now()); err != nil {
			t.Errorf("when the first one had ended: %v", err)
		}
		if strings.Contains(h.logged.String(), "WARN") {
			t.Errorf("said %s", h.logged)
		}
		cancel()
		running.Wait()
	})
}

func TestARenewalKeepsTheKeyAndTheHosts(t *testing.T) {
	now := time.Now()
	h := hold(t, now, "ca")
	before := h.Identity().ServerTLS().Certificates[0]
	h.Refresh(now.Add(61 * day))
	after := h.Identity().ServerTLS().Certificates[0]
	if string(after.Certificate[0]) == string(before.Certificate[0]) {
		t.Fatalf("not renewed: %s", h.logged)
	}
	if !after.Leaf.NotAfter.After(before.Leaf.NotAfter) || len(after.Leaf.DNSNames) != 1 || len(after.Leaf.IPAddresses) != 1 || after.Leaf.URIs[0].String() != before.Leaf.URIs[0].String() {
		t.Errorf("renewed for %v %v %v until %v", after.Leaf.URIs, after.Leaf.DNSNames, after.Leaf.IPAddresses, after.Leaf.NotAfter)
	}
	if again, err := identity.Load(filepath.Join(h.dir, "tls")); err != nil || !again.NotAfter().Equal(after.Leaf.NotAfter) {
		t.Errorf("on disk: %v", err)
	}
}

// A clock that was wrong for a while must not leave a certificate behind that is of no use afterwards.
func TestACertificateMadeInTheFutureIsMadeAgain(t *testing.T) {
	now := time.Now()
	h := hold(t, now, "ca")
	h.Refresh(now.Add(400 * day))
	if err := h.Identity().Check(now); !errors.Is(err, identity.ErrNotYetValid) {
		t.Fatalf("a certificate of next year: %v", err)
	}
	h.Refresh(now)
	if err := h.Identity().Check(now); err != nil {
		t.Errorf("after the clock was put right: %v\n%s", err, h.logged)
	}
}

func TestWithoutTheAuthorityTheCommandThatRenewsIsSaidDaily(t *testing.T) {
	now := time.Now()
	h := hold(t, now, "elsewhere")
	h.Refresh(now.Add(59 * day))
	if h.logged.Len() > 0 {
		t.Errorf("too early: %s", h.logged)
	}
	for hours := range 49 {
		h.Refresh(now.Add(60*day + time.Duration(hours+1)*time.Hour))
	}
	want := "baton ca issue db1 --ca " + filepath.Join(h.dir, "elsewhere") + " --node db1 --role server"
	if got := strings.Count(h.logged.String(), want); got != 3 {
		t.Errorf("said %d times in 49 hours, want 3:\n%s", got, h.logged)
	}
	h.issue(t, h.a, "db1", now.Add(62*day))
	h.Refresh(now.Add(62 * day))
	if got := h.Identity().NotAfter(); got.Before(now.Add(150 * day)) {
		t.Errorf("the new files were not taken over: until %v", got)
	}
}

func TestFilesOfAnotherNodeOrAuthorityAreNotTakenOver(t *testing.T) {
	now := time.Now()
	for name, replace := range map[string]func(*held){
		"another node":      func(h *held) { h.issue(t, h.a, "db2", now) },
		"another authority": func(h *held) { h.issue(t, newAuthority(t, "orders", now), "db1", now) },
	} {
		t.Run(name, func(t *testing.T) {
			h := hold(t, now, "ca")
			before := h.Identity()
			replace(h)
			onDisk := contents(t, filepath.Join(h.dir, "tls"))
			h.Refresh(now.Add(61 * day)) // due, but these are not its files
			if h.Identity() != before || !strings.Contains(h.logged.String(), name) {
				t.Errorf("now %s; said %s", h.Identity().Name(), h.logged)
			}
			if contents(t, filepath.Join(h.dir, "tls")) != onDisk {
				t.Error("the files were changed")
			}
		})
	}
}

func TestAServerShowsTheRenewedCertificateWithoutARestart(t *testing.T) {
	now := time.Now()
	h := hold(t, now, "ca")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := identity.NewSplitter(ln, h.ServerTLS(), slog.New(slog.DiscardHandler))
	s.Listener(identity.ALPNHTTP2)
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ctx) })
	defer serving.Wait()
	defer cancel()
	shown := func() time.Time {
		conn, err := tls.Dial("tcp", ln.Addr().String(), h.ClientTLS("db1", identity.ALPNHTTP2))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].NotAfter
	}
	if got, want := shown(), h.Identity().NotAfter(); !got.Equal(want) {
		t.Errorf("shown until %v, want %v", got, want)
	}
	h.issue(t, h.a, "db1", now.Add(time.Minute))
	h.Refresh(now.Add(time.Minute))
	if got, want := shown(), now.Add(time.Minute+identity.NodeLife).Truncate(time.Second).UTC(); !got.Equal(want) {
		t.Errorf("afterwards shown until %v, want %v", got, want)
	}
}

func TestAStrangerLearnsWhoseServerItIs(t *testing.T) {
	now := time.Now()
	a := newAuthority(t, "orders", now)
	p := openPort(t, issue(t, a, identity.RoleServer, "s1", now).ServerTLS())
	fingerprint, name, err := identity.AuthorityAt(t.Context(), p.addr)
	if err != nil || fingerprint != a.Fingerprint() || name.String() != "baton://orders/server/s1" {
		t.Errorf("%s of %s, %v", name, fingerprint, err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if _, _, err := identity.AuthorityAt(t.Context(), p.addr); !errors.Is(err, identity.ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := identity.AuthorityAt(ctx, ln.Addr().String()); err == nil || errors.Is(err, identity.ErrNobody) {
		t.Errorf("somebody silent: %v", err)
	}
}

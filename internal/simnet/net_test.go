package simnet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/memberlist"
	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/internal/simnet"
)

func transport(t *testing.T, h *simnet.Host) memberlist.Transport {
	t.Helper()
	tr, err := h.Transport(7451)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// received drains what has arrived.
func received(tr memberlist.Transport) (got []string) {
	for {
		select {
		case p := <-tr.PacketCh():
			got = append(got, string(p.Buf))
		default:
			return got
		}
	}
}

func TestPacketsMeetTheFaultsOfTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		a, b := transport(t, n.Host("a")), transport(t, n.Host("b"))
		to := n.Host("b").Addr(7451)
		send := func(s string) {
			if _, err := a.WriteTo([]byte(s), to); err != nil {
				t.Fatal(err)
			}
		}
		check := func(when string, want ...string) {
			t.Helper()
			if got := received(b); strings.Join(got, ",") != strings.Join(want, ",") {
				t.Errorf("%s: received %q, want %q", when, got, want)
			}
		}
		send("1")
		check("no fault", "1")
		n.Cut("a", "b")
		send("2")
		n.HealAll()
		check("after a cut")
		n.Isolate("b")
		send("3")
		n.Rejoin("b")
		check("after isolation")
		n.Pause("b")
		send("4")
		check("frozen receiver")
		n.Resume("b")
		check("thawed receiver", "4")
		n.Pause("a")
		send("5")
		check("frozen sender")
		n.Resume("a")
		check("thawed sender", "5")
		n.SetDelay(30*time.Millisecond, 0)
		send("6")
		time.Sleep(29 * time.Millisecond)
		synctest.Wait()
		check("before the delay is over")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		check("after the delay", "6")
		send("7")
		n.Cut("a", "b")
		time.Sleep(time.Second)
		synctest.Wait()
		check("cut on the way")
		if _, err := a.WriteTo([]byte("x"), "10.9.9.9:1"); err != nil {
			t.Errorf("a packet to nobody: %v", err)
		}
	})
}

func TestLossHasItsRateAndSeed(t *testing.T) {
	count := func(seed uint64) (got []string) {
		n := simnet.New()
		defer n.Close()
		a, b := transport(t, n.Host("a")), transport(t, n.Host("b"))
		n.SetLoss(0.05, seed)
		for i := range 10000 {
			if _, err := a.WriteTo([]byte(fmt.Sprint(i)), n.Host("b").Addr(7451)); err != nil {
				t.Fatal(err)
			}
			got = append(got, received(b)...)
		}
		return got
	}
	first := count(1)
	if len(first) < 9400 || len(first) > 9600 {
		t.Errorf("%d of 10000 packets arrived at 5 %% loss", len(first))
	}
	if strings.Join(first, ",") != strings.Join(count(1), ",") {
		t.Error("equal seeds lost different packets")
	}
	if strings.Join(first, ",") == strings.Join(count(2), ",") {
		t.Error("different seeds lost the same packets")
	}
}

func TestUnknownHostIsASlipOfThePen(t *testing.T) {
	n := simnet.New()
	n.Host("a")
	defer func() {
		if recover() == nil {
			t.Error("a cut between hosts that do not exist passed unnoticed")
		}
	}()
	n.Cut("a", "B")
}

func TestHTTPRunsOverIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		n.SetDelay(10*time.Millisecond, 0)
		ln, err := n.Host("s1").Listen(7450)
		if err != nil {
			t.Fatal(err)
		}
		big := strings.Repeat("x", 1<<20)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, big) })}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(ln) })
		defer wg.Wait()
		defer server.Close()
		tr := &http.Transport{DialContext: n.Host("db1").DialContext}
		defer tr.CloseIdleConnections()
		get := func(within time.Duration) (int, error) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", "http://s1:7450/", nil)
			if err != nil {
				return 0, err
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return len(body), err
		}
		if got, err := get(time.Minute); got != len(big) || err != nil {
			t.Errorf("got %d bytes, %v", got, err)
		}
		n.Cut("db1", "s1")
		if _, err := get(time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("over a cut: %v", err)
		}
		n.HealAll()
		if got, err := get(time.Minute); got != len(big) || err != nil {
			t.Errorf("after the heal: %d bytes, %v", got, err)
		}
	})
}

// raftLayer gives a StreamLayer Raft's type of address.
type raftLayer struct{ *simnet.StreamLayer }

func (l raftLayer) Dial(addr hraft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return l.StreamLayer.Dial(string(addr), timeout)
}

func TestRaftElectsAnewWhenItsLeaderIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		names := []string{"s1", "s2", "s3"}
		var servers []hraft.Server
		for _, name := range names {
			servers = append(servers, hraft.Server{ID: hraft.ServerID(name), Address: hraft.ServerAddress(n.Host(name).Addr(7450))})
		}
		nodes := make(map[string]*hraft.Raft)
		for _, name := range names {
			layer, err := n.Host(name).StreamLayer(7450)
			if err != nil {
				t.Fatal(err)
			}
			tr := hraft.NewNetworkTransport(raftLayer{layer}, 3, time.Second, io.Discard)
			cfg := hraft.DefaultConfig()
			cfg.LocalID, cfg.Logger = hraft.ServerID(name), hclog.NewNullLogger()
			store := hraft.NewInmemStore()
			r, err := hraft.NewRaft(cfg, new(hraft.MockFSM), store, store, hraft.NewInmemSnapshotStore(), tr)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.BootstrapCluster(hraft.Configuration{Servers: servers}).Error(); err != nil {
				t.Fatal(err)
			}
			nodes[name] = r
			defer func() {
				_ = r.Shutdown().Error()
				_ = tr.Close()
				n.Host(name).Crash() // closing the transport leaves its inbound connections open
			}()
		}
		leader := func(except string) string {
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				for name, r := range nodes {
					if name != except && r.State() == hraft.Leader {
						return name
					}
				}
			}
			t.Fatal("no leader within 10 simulated seconds")
			return ""
		}
		first := leader("")
		if err := nodes[first].Apply([]byte("x"), time.Second).Error(); err != nil {
			t.Fatal(err)
		}
		n.Isolate(first)
		second := leader(first)
		if err := nodes[second].Apply([]byte("y"), time.Second).Error(); err != nil {
			t.Fatal(err)
		}
		n.Rejoin(first)
		time.Sleep(5 * time.Second)
		if got := nodes[first].State(); got != hraft.Follower {
			t.Errorf("the old leader is %v", got)
		}
	})
}

func TestManyStreamsAtOnceUnderFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		n.SetDelay(time.Millisecond, 3*time.Millisecond)
		n.SetLoss(0.02, 3)
		n.Host("a")
		ln, err := n.Host("b").Listen(1)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("0123456789abcdef"), 40<<10) // more than two windows
		var wg sync.WaitGroup
		defer wg.Wait()
		defer ln.Close()
		wg.Go(func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				wg.Go(func() {
					defer conn.Close()
					_, _ = conn.Write(want)
				})
			}
		})
		wg.Go(func() {
			for range 20 {
				time.Sleep(7 * time.Millisecond)
				n.Cut("a", "b")
				time.Sleep(3 * time.Millisecond)
				n.HealAll()
			}
		})
		var readers sync.WaitGroup
		for range 20 {
			readers.Go(func() {
				conn, err := n.Host("a").Dial("b:1", time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
				}
			})
		}
		readers.Wait()
	})
}

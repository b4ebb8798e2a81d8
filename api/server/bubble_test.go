package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/internal/simnet"
	"github.com/baton-db/baton/registry"
)

// bubble is a group in simulated time on a network made of memory. Everybody is the client db2, or a server by forwarding.
type bubble struct {
	t     *testing.T
	net   *simnet.Net
	group *group
	host  *simnet.Host // of the client
	run   func(func(context.Context) error)
}

const port = 7450

// inBubble runs f with three servers whose frames and reports take simulated time only.
func inBubble(t *testing.T, f func(*bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, net: simnet.New(), group: newGroup("s1", "s2", "s3")}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer b.net.Close()
		defer cancel()
		for _, n := range b.group.nodes {
			l, err := b.net.Host(string(n.id)).Listen(port)
			if err != nil {
				t.Fatal(err)
			}
			s, err := server.New(server.Config{Node: n.id, Backend: n, Log: quiet(), Forward: b.transport(b.net.Host(string(n.id))),
				Identify: func(tls.ConnectionState) (api.Peer, error) {
					return api.Peer{Role: registry.RoleClient, Name: "db2"}, nil
				}})
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { _ = s.Serve(ctx, l) })
		}
		b.host = b.net.Host("db2")
		clients, stop := context.WithCancel(context.Background())
		var following sync.WaitGroup
		b.run = func(f func(context.Context) error) { following.Go(func() { _ = f(clients) }) }
		f(b)
		stop()
		b.net.Close() // what is cut off would wait for its time limits
		following.Wait()
	})
}

func (b *bubble) transport(h *simnet.Host) *api.Transport {
	tr := api.NewTransport(api.TransportConfig{Dial: h.DialContext})
	b.t.Cleanup(tr.Close)
	return tr
}

func (b *bubble) addrs(ids ...registry.NodeID) []string {
	var all []string
	for _, id := range ids {
		all = append(all, b.net.Host(string(id)).Addr(port))
	}
	return all
}

func (b *bubble) follow(ids ...registry.NodeID) *api.Follower {
	c, err := api.NewClient(api.ClientConfig{Addrs: api.Static(b.addrs(ids...)...), Transport: b.transport(b.host), Log: quiet()})
	if err != nil {
		b.t.Fatal(err)
	}
	f := api.NewFollower(c, clusterID)
	b.run(f.Run)
	return f
}

func (b *bubble) commit() registry.Index {
	i, err := b.group.commit(clientNode("web1"))
	if err != nil {
		b.t.Fatal(err)
	}
	return i
}

// within waits in a bubble for d and then for everything that happens at its end.
func within(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAChangeIsFollowedWithoutWaiting(t *testing.T) {
	inBubble(t, func(b *bubble) {
		f := b.follow("s1")
		within(time.Second)
		for range 5 {
			i := b.commit()
			synctest.Wait() // no time passes
			if got := f.State().Index(); got != i {
				t.Fatalf("at %d, want %d", got, i)
			}
		}
	})
}

func TestAgeIsTheTimeSinceTheLastFrame(t *testing.T) {
	inBubble(t, func(b *bubble) {
		f := b.follow("s1", "s2")
		within(10 * time.Second)
		if age := f.Age(); age > 250*time.Millisecond {
			t.Errorf("in touch: %s", age)
		}
		i := b.commit()
		synctest.Wait()
		for _, s := range []string{"s1", "s2", "s3"} {
			b.net.Cut("db2", s)
		}
		within(10 * time.Second)
		if age := f.Age(); age < 9*time.Second || age > 11*time.Second {
			t.Errorf("ten seconds later: %s", age)
		}
		if f.State().Index() != i {
			t.Error("the last state is gone") // G7
		}
	})
}

func TestASilentServerIsLeftWithinSeconds(t *testing.T) {
	inBubble(t, func(b *bubble) {
		f := b.follow("s1", "s2", "s3")
		within(time.Second)
		for _, s := range []string{"s1", "s2", "s3"} {
			b.net.Cut("db2", s)
			i := b.commit()
			within(6 * time.Second) // 2 s of silence, 1 s to dial, and the pauses
			if f.State().Index() != i {
				t.Errorf("%s is cut off: at %d, want %d", s, f.State().Index(), i)
			}
			b.net.Heal("db2", s)
		}
	})
}

// A server without its leader says so; a follower looks for one that has it, and its age tells the truth meanwhile.
func TestAServerWithoutItsLeaderIsLeft(t *testing.T) {
	inBubble(t, func(b *bubble) {
		f := b.follow("s1", "s2", "s3")
		within(time.Second)
		for _, n := range b.group.nodes[:2] {
			n.mu.Lock()
			n.behind, n.contact = true, 3*time.Second
			n.mu.Unlock()
		}
		i := b.commit()
		within(10 * time.Second)
		if f.State().Index() != i || f.Age() > time.Second {
			t.Errorf("at %d, want %d; age %s", f.State().Index(), i, f.Age())
		}
		b.group.nodes[2].cutOff(time.Hour)
		within(time.Second)
		if age := f.Age(); age < time.Hour {
			t.Errorf("the age is %s; the server heard its leader an hour ago", age)
		}
		if f.State().Index() != i {
			t.Errorf("gone back to %d", f.State().Index()) // G6
		}
	})
}

func TestReportsFlowToTheOthersWhileOneServerIsCutOff(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p, err := api.NewReporter(api.ReporterConfig{Addrs: api.Static(b.addrs("s1", "s2", "s3")...), Transport: b.transport(b.host), Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		b.run(p.Run)
		within(time.Second)
		b.net.Cut("db2", "s1")
		for n := range uint64(100) {
			p.Send(report("db2", n+1))
			synctest.Wait() // no time passes
			for _, s := range b.group.nodes[1:] {
				if got := s.View("orders")["db2"].Seq; got != n+1 {
					t.Fatalf("%s has report %d, want %d", s.id, got, n+1)
				}
			}
			within(100 * time.Millisecond)
		}
		b.net.Heal("db2", "s1")
		within(2 * time.Second) // 1 s to dial, and the pause
		if got := b.group.nodes[0].View("orders")["db2"].Seq; got != 100 {
			t.Errorf("back again, s1 has report %d, want the newest", got)
		}
	})
}

func TestHeadersThatDoNotComeEndTheConnection(t *testing.T) {
	inBubble(t, func(b *bubble) {
		conn, err := b.host.Dial(b.addrs("s1")[0], time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("GET /v1/livez HTTP/1.1\r\n")); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_, err = conn.Read(make([]byte, 1))
		if took := time.Since(begun); err == nil || took != 5*time.Second {
			t.Errorf("%v after %s, want the end after 5 s", err, took)
		}
	})
}

func TestAnAgentThatFallsSilentLosesItsStream(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p, err := api.NewReporter(api.ReporterConfig{Addrs: api.Static(b.addrs("s1")...), Transport: b.transport(b.host), Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		b.run(p.Run)
		within(10 * time.Minute) // the server ends the stream every minute, and it comes back
		p.Send(report("db2", 1))
		within(time.Second)
		if b.group.nodes[0].View("orders")["db2"].Seq != 1 {
			t.Error("the stream did not come back")
		}
	})
}

// A request that is stuck in the log does not keep the server from stopping.
func TestAServerStopsWithinItsRequestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		g := newGroup("s1")
		g.stuck = true
		l, err := n.Host("s1").Listen(port)
		if err != nil {
			t.Fatal(err)
		}
		tr := api.NewTransport(api.TransportConfig{Dial: n.Host("db2").DialContext})
		defer tr.Close()
		s, err := server.New(server.Config{Node: "s1", Backend: g.nodes[0], Log: quiet(), Forward: tr, RequestTime: 3 * time.Second,
			Identify: func(tls.ConnectionState) (api.Peer, error) {
				return api.Peer{Role: registry.RoleServer, Name: "s2"}, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := api.NewClient(api.ClientConfig{Addrs: api.Static(net.JoinHostPort(n.Host("s1").IP(), "7450")), Transport: tr, Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Status(context.Background(), api.Current) })
		begun := time.Now()
		wg.Go(func() {
			synctest.Wait()
			cancel()
		})
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		n.Close()
		wg.Wait()
	})
}

func TestAFollowerThatStandsStillIsCutOff(t *testing.T) {
	inBubble(t, func(b *bubble) {
		tr := b.transport(b.host)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, tr.URL(b.addrs("s1")[0], "/v1/state/stream", ""), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		big := clientNode("web1")
		big.Node.Version = strings.Repeat("v", 1<<19)
		for range 100 { // until every buffer on the way is full
			if _, err := b.group.commit(big); err != nil {
				t.Fatal(err)
			}
			within(100 * time.Millisecond)
		}
		within(11 * time.Second)
		for err == nil {
			_, err = api.ReadFrame(resp.Body)
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("ended by %v, want it cut", err)
		}
		_ = resp.Body.Close()
	})
}

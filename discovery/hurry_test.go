package discovery_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/discovery"
	"github.com/baton-db/baton/internal/simnet"
)

// What wakes a node that has nothing to say: the ticks at which it probes, the answers, and the probes of others. An
// idle node may use 1 % of a core for everything, and each of these costs about a ten thousandth of a second.
func TestIdleNodeWakesFortyTimesASecondAtMost(t *testing.T) {
	for _, size := range []int{2, 3, 5} {
		synctest.Test(t, func(t *testing.T) {
			c := &cluster{t: t, net: simnet.New()}
			t.Cleanup(c.close)
			var sent atomic.Int64
			for i := range size {
				name := fmt.Sprintf("n%d", i)
				tr, err := c.net.Host(name).Transport(discovery.DefaultPort)
				if err != nil {
					t.Fatal(err)
				}
				g, err := discovery.Open(config(name), counted{tr, &sent})
				if err != nil {
					t.Fatal(err)
				}
				c.nodes = append(c.nodes, g)
				t.Cleanup(run(g))
				if i > 0 {
					c.join(i, 0)
				}
			}
			time.Sleep(5 * time.Second)
			before := sent.Load()
			const span = 20
			time.Sleep(span * time.Second)
			packets := float64(sent.Load()-before) / float64(size) / span
			wakeups := packets/2 + packets // half are probes of its own; as many as it sends it receives
			timing := discovery.LAN()
			if timing.GossipInterval%timing.ProbeInterval != 0 {
				wakeups += 1 / timing.GossipInterval.Seconds() // ticks that do not fall together with probes
			}
			if wakeups > 40 || wakeups < 10 {
				t.Errorf("each of %d nodes wakes %.1f times a second", size, wakeups)
			}
		})
	}
}

// counted is a transport that counts the packets it sends.
type counted struct {
	discovery.Transport
	sent *atomic.Int64
}

func (c counted) WriteTo(b []byte, addr string) (time.Time, error) {
	c.sent.Add(1)
	return c.Transport.WriteTo(b, addr)
}

// lazy is a configuration under which memberlist sends nothing of itself for seconds.
func lazy(name string) discovery.Config {
	cfg := config(name)
	cfg.Timing.ProbeInterval, cfg.Timing.GossipInterval = 4*time.Second, time.Hour
	return cfg
}

func TestUrgentNewsWaitsForNoTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, net: simnet.New()}
		t.Cleanup(c.close)
		for i := range 8 {
			c.nodes = append(c.nodes, c.open(lazy(fmt.Sprintf("n%d", i))))
			t.Cleanup(run(c.nodes[i]))
			if i > 0 {
				c.join(i, 0)
			}
		}
		c.await(500*time.Millisecond, "everyone knows everyone", func() bool {
			for _, g := range c.nodes {
				if count(g, discovery.Alive) != len(c.nodes) {
					return false
				}
			}
			return true
		})
	})
}

// A node leaves after its Run has returned.
func TestLeavingWaitsForNoTickEither(t *testing.T) {
	for _, size := range []int{2, 3, 8} {
		synctest.Test(t, func(t *testing.T) {
			c := &cluster{t: t, net: simnet.New()}
			t.Cleanup(c.close)
			for i := range size {
				c.nodes = append(c.nodes, c.open(lazy(fmt.Sprintf("n%d", i))))
				if i > 0 {
					c.join(i, 0)
				}
			}
			time.Sleep(time.Second)
			start := time.Now()
			if err := c.nodes[0].Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 500*time.Millisecond {
				t.Errorf("one of %d members took %v to leave", size, took)
			}
		})
	}
}

// memberlist says in its log only that it suspects somebody or objects to it: this holds the words.
func TestSuspicionAndObjectionAreUrgentNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, net: simnet.New()}
		t.Cleanup(c.close)
		c.nodes = []*discovery.Gossip{c.open(config("n0")), c.open(config("n1"))}
		c.join(1, 0)
		time.Sleep(time.Second)
		urgent := func() (n int) {
			for _, g := range c.nodes {
				if g.TakeUrgent() {
					n++
				}
			}
			return n
		}
		urgent() // that they joined
		time.Sleep(time.Second)
		if n := urgent(); n > 0 {
			t.Fatalf("%d nodes have urgent news of nothing", n)
		}
		interval := discovery.LAN().ProbeInterval
		c.net.Isolate("n1")
		time.Sleep(3*interval + time.Millisecond) // of two members each probes the other in one of two intervals; one more to fail
		if n := urgent(); n != 2 {
			t.Errorf("%d nodes, not both, have news of a suspicion", n)
		}
		c.net.HealAll()
		time.Sleep(interval)
		if n := urgent(); n != 2 {
			t.Errorf("%d nodes, not both, have news of an objection", n)
		}
		if count(c.nodes[0], discovery.Alive)+count(c.nodes[1], discovery.Alive) != 4 {
			t.Error("a node failed, which is news of another kind")
		}
	})
}

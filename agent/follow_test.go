package agent_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/lab"
)

const primaryName = "primary.orders.db.baton.internal"

// asked is what a node's DNS answers for the primary: its addresses, and whether it says that it is stale.
func asked(ctx context.Context, n *demo.Node) (addrs []string, stale bool, err error) {
	m := new(dns.Msg)
	m.SetQuestion(primaryName+".", dns.TypeA)
	m.SetEdns0(1232, false)
	client := dns.Client{}
	r, _, err := client.ExchangeContext(ctx, m, net.JoinHostPort(n.Addr.String(), "7453"))
	if err != nil {
		return nil, false, err
	}
	for _, rr := range r.Answer {
		if a, ok := rr.(*dns.A); ok {
			addrs = append(addrs, a.A.String())
		}
	}
	if o := r.IsEdns0(); o != nil {
		for _, option := range o.Option {
			if ede, ok := option.(*dns.EDNS0_EDE); ok && ede.InfoCode == dns.ExtendedErrorCodeStaleAnswer {
				stale = true
			}
		}
	}
	return addrs, stale, nil
}

// names says why n does not yet name want, in DNS and in its hosts file.
func names(ctx context.Context, n *demo.Node, want string) error {
	addrs, _, err := asked(ctx, n)
	if err != nil || !slices.Equal(addrs, []string{want}) {
		return fmt.Errorf("DNS of %s answers %v %v, want %s", n.Name, addrs, err, want)
	}
	b, err := os.ReadFile(n.Hosts)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); slices.Contains(fields, primaryName) && !strings.HasPrefix(line, "#") {
			if fields[0] != want {
				return fmt.Errorf("the hosts file of %s names %s, want %s", n.Name, fields[0], want)
			}
			return nil
		}
	}
	return fmt.Errorf("the hosts file of %s does not name the primary", n.Name)
}

func (c *cluster) everybodyNames(t *testing.T, nodes ...*demo.Node) {
	t.Helper()
	want := c.server(t, c.view(t).Database.Primary).Addr().Addr().String()
	for _, n := range nodes {
		eventually(t, "named", func(ctx context.Context) error { return names(ctx, n, want) })
	}
}

func TestAClientNodeFollowsAndGoesOnAnswering(t *testing.T) {
	c := startCluster(t, lab.MariaDB, func(o *demo.Options) { o.Clients = 1 })
	app := c.Node("app1")
	c.everybodyNames(t, c.Nodes...)
	d := c.whole(t)
	t.Run("through a failover", func(t *testing.T) {
		c.crash(t, d.Primary)
		c.acknowledged(t, d.Epoch)
		c.everybodyNames(t, c.Nodes...)
	})
	c.whole(t)
	c.everybodyNames(t, c.Nodes...)
	last := c.server(t, c.view(t).Database.Primary).Addr().Addr().String()
	t.Run("while no server runs", func(t *testing.T) {
		for _, n := range c.Nodes[:3] {
			if err := n.Stop(); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "marked stale", func(ctx context.Context) error {
			addrs, stale, err := asked(ctx, app)
			if err != nil || !stale {
				return fmt.Errorf("DNS answers %v, stale %t, %v", addrs, stale, err)
			}
			return nil
		})
		if err := names(t.Context(), app, last); err != nil {
			t.Error(err)
		}
	})
	t.Run("when it is started again meanwhile", func(t *testing.T) {
		if err := app.Stop(); err != nil {
			t.Fatal(err)
		}
		c.start(t, app)
		for _, n := range c.Nodes[:3] {
			c.start(t, n)
		}
		c.whole(t)
		c.everybodyNames(t, c.Nodes...)
		eventually(t, "fresh", func(ctx context.Context) error {
			if _, stale, err := asked(ctx, app); err != nil || stale {
				return fmt.Errorf("stale %t, %v", stale, err)
			}
			return nil
		})
	})
	c.nothingLost(t)
}

func TestALeaderHandsOverBeforeItStops(t *testing.T) {
	c := startCluster(t, lab.MariaDB, nil)
	before := c.whole(t)
	for range 3 {
		n := c.leader(t)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		// Its process is gone just now. Without a hand-over nobody could have won an election yet.
		var leaders []string
		for _, other := range c.Nodes {
			if other == n {
				continue
			}
			s := c.statusOf(t, other)
			leaders = append(leaders, string(s.Raft.Leader))
		}
		if slices.Contains(leaders, n.Name) || !slices.ContainsFunc(leaders, func(l string) bool { return l != "" }) {
			t.Errorf("after %s, the leader, has stopped the others hold %q for the leader", n.Name, leaders)
		}
		c.unchanged(t, before)
	}
	c.nothingLost(t)
}

// statusOf asks one node for what it knows itself.
func (c *cluster) statusOf(t *testing.T, n *demo.Node) api.Status {
	t.Helper()
	s, err := c.client(t, net.JoinHostPort(n.Addr.String(), "7450")).Status(t.Context(), api.Stale)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

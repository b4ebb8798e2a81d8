package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/registry"
)

// TestAServerThatLostItsVotesDoesNotVoteUntilItIsAddedAnew: its own directory says so, and when that is gone as well the
// others do.
func TestAServerThatLostItsVotesDoesNotVoteUntilItIsAddedAnew(t *testing.T) {
	c := startCluster(t, lab.MariaDB, nil)
	before := c.whole(t)
	lost := c.Nodes[0]
	if leader := c.leader(t); leader == lost {
		lost = c.Nodes[1]
	}
	var others []string
	for _, n := range c.Nodes {
		if n != lost {
			others = append(others, apiOf(n))
		}
	}
	client := c.client(t, others...)
	c.kill(t, lost)
	state := filepath.Join(lost.Data(), "raft")
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	c.refuses(t, lost, "is empty, but "+filepath.Join(lost.Data(), "voter"))
	if err := errors.Join(os.RemoveAll(state), os.Remove(filepath.Join(lost.Data(), "voter"))); err != nil {
		t.Fatal(err)
	}
	c.refuses(t, lost, "baton server remove "+lost.Name)

	id := registry.NodeID(lost.Name)
	eventually(t, "removed", func(ctx context.Context) error {
		_, err := client.Servers(ctx, api.ServersRequest{Remove: id}, 0)
		return err
	})
	c.start(t, lost)
	eventually(t, "waiting", func(ctx context.Context) error {
		_, err := c.client(t, apiOf(lost)).StatusAt(ctx, apiOf(lost))
		return err
	})
	if s, err := client.Status(t.Context(), api.Current); err != nil || api.Voters(s.Raft.Peers) != 2 {
		t.Errorf("before it is added: %v %+v", err, s.Raft.Peers)
	}
	var r api.ServersResult
	eventually(t, "added", func(ctx context.Context) (err error) {
		r, err = client.Servers(ctx, api.ServersRequest{Add: id, Address: apiOf(lost)}, 0)
		return err
	})
	if api.Voters(r.Servers) != 3 {
		t.Errorf("it votes not: %+v", r.Servers)
	}
	eventually(t, "known again", func(ctx context.Context) error {
		s, err := client.Status(ctx, api.Current)
		for _, p := range s.Raft.Peers {
			if p.Node == id && !p.Registered {
				return fmt.Errorf("it has not registered: %+v", p)
			}
		}
		return err
	})
	c.unchanged(t, before)
	c.nothingLost(t)
}

// refuses starts n and waits for its end and for what it says.
func (c *cluster) refuses(t *testing.T, n *demo.Node, want string) {
	t.Helper()
	c.start(t, n)
	eventually(t, "refused", func(context.Context) error {
		b, err := os.ReadFile(n.Log())
		if err != nil {
			return err
		}
		if !strings.Contains(string(b), want) {
			return fmt.Errorf("it says %s", lastLines(string(b), 5))
		}
		return nil
	})
	eventually(t, "ended", func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", apiOf(n))
		if err != nil {
			return nil // nobody listens
		}
		return errors.Join(errors.New("it listens"), conn.Close())
	})
	c.kill(t, n)
}

func apiOf(n *demo.Node) string { return net.JoinHostPort(n.Addr.String(), "7450") }

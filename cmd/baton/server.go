package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

func serverCommand(o *options) *cobra.Command {
	c := group(&cobra.Command{Use: "server", Short: "See and change which nodes vote", Example: "  baton server list"})
	c.AddCommand(serverListCommand(o), serverAddCommand(o), serverRemoveCommand(o))
	return c
}

func serverListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the servers as the leader sees them",
		Example: "  baton server list",
		Args:    exact(0),
		RunE: shown(o, func(ctx context.Context, client *api.Client) (api.ServersResult, error) {
			s, err := client.Status(ctx, api.Current)
			return api.ServersResult{Servers: s.Raft.Peers}, err
		}, drawServers),
	}
}

// serversChange is one call of a command that changes who votes.
type serversChange struct {
	request api.ServersRequest
	wait    time.Duration
	yes     bool
}

func (s *serversChange) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.request.Reason, "reason", "", "why, for the leader's log")
	f.BoolVarP(&s.yes, "yes", "y", false, "do not ask")
}

func serverAddCommand(o *options) *cobra.Command {
	s := serversChange{}
	c := &cobra.Command{
		Use:   "add NODE HOST:PORT",
		Short: "Let a server vote that is running and waits for it",
		Long: `Let a server vote that is running and waits for it.

It catches up first, without a vote. While another server is missing nobody is added.`,
		Example: "  baton server add n4 10.0.0.14:7450",
		Args:    exact(2),
		RunE: func(c *cobra.Command, args []string) error {
			if registry.ValidName(args[0]) != nil {
				return usage("A name is 1 to 63 of a-z, 0-9 and inner hyphens.", "%.80q is not the name of a node", args[0])
			}
			if host, port, err := net.SplitHostPort(args[1]); err != nil || host == "" || port == "" {
				return usage("Want HOST:PORT of the node's API, as api in its node file.", "%.80q is no address", args[1])
			}
			s.request.Add, s.request.Address = registry.NodeID(args[0]), args[1]
			return s.run(c, o)
		},
	}
	s.flags(c)
	c.Flags().DurationVar(&s.wait, "wait", 30*time.Second, "how long it may take to catch up, at most 1m")
	return c
}

func serverRemoveCommand(o *options) *cobra.Command {
	s := serversChange{}
	c := &cobra.Command{
		Use:   "remove NODE",
		Short: "Take the vote from a server that is gone",
		Long: `Take the vote from a server that is gone: its machine is lost, or its disk.

Stop baton on it first. It may come back under its name, with an empty data directory, and is added then.`,
		Example: `  baton server remove n3 --reason "its disk died"`,
		Args:    exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			if registry.ValidName(args[0]) != nil {
				return usage("baton server list shows them.", "%.80q is not the name of a node", args[0])
			}
			s.request.Remove = registry.NodeID(args[0])
			return s.run(c, o)
		},
	}
	s.flags(c)
	return c
}

// run shows the plan, asks, and does it.
func (s *serversChange) run(c *cobra.Command, o *options) error {
	if s.wait < 0 || s.wait > maxWait {
		return usage("Want 0 to 1m.", "--wait %s", s.wait)
	}
	if !s.yes && !terminal(c.InOrStdin()) {
		return usage("Look at the plan in a terminal, or give --yes.", "nobody can be asked whether to go on: standard input is no terminal")
	}
	if err := o.ask(c, func(ctx context.Context, client *api.Client) error { return s.plan(ctx, c, client) }); err != nil {
		return err
	}
	if !s.yes {
		if err := confirm(c); err != nil {
			return err
		}
	}
	own := *o
	own.timeout = max(o.timeout, s.wait+5*time.Second)
	return own.ask(c, func(ctx context.Context, client *api.Client) error {
		r, err := client.Servers(ctx, s.request, s.wait)
		if errors.Is(err, api.ErrInDoubt) {
			return helpful{err, "It may have been done. See: baton server list"}
		}
		if err != nil {
			return err
		}
		return o.print(c.OutOrStdout(), r, func(p *page) { drawServers(p, r) })
	})
}

// plan says on stderr what would change. The leader decides when it is asked.
func (s *serversChange) plan(ctx context.Context, c *cobra.Command, client *api.Client) error {
	v, err := client.Status(ctx, api.Current) // a server that waits to be added knows of nobody
	if err != nil {
		return err
	}
	now := api.Voters(v.Raft.Peers)
	p, next := newPage(), now
	votes := slices.ContainsFunc(v.Raft.Peers, func(m api.RaftPeer) bool { return m.Voter && (m.Node == s.request.Add || m.Node == s.request.Remove) })
	if s.request.Add != "" {
		if !votes {
			next++
		}
		p.line("PLAN  %s at %s catches up, and votes then", s.request.Add, s.request.Address)
	} else {
		if votes {
			next--
		}
		p.line("PLAN  %s votes no more, and its names are taken back", s.request.Remove)
		p.line("  undo        start it with an empty data directory, and baton server add %s HOST:PORT", s.request.Remove)
	}
	p.line("  %s now, %d then: %s", plural(now, "server"), next, survives(next))
	return p.flush(c.ErrOrStderr())
}

// survives says what n voters outlive.
func survives(n int) string {
	if lost := (n - 1) / 2; lost > 0 {
		return fmt.Sprintf("%d of them may be lost at a time", lost)
	}
	return "none of them may be lost"
}

func drawServers(p *page, r api.ServersResult) {
	p.row("NAME", "ADDRESS", "VOTES", "ANSWERED")
	for _, s := range r.Servers {
		votes, answered := "yes", "-"
		if !s.Voter {
			votes = "not yet"
		}
		if s.ContactMillis >= 0 {
			answered = fmt.Sprintf("%s ago", time.Duration(s.ContactMillis)*time.Millisecond)
		}
		p.row(s.Node, s.Address, votes, answered)
	}
	p.line("%s", survives(api.Voters(r.Servers)))
}

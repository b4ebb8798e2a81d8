package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the cluster on one screen: verdict, consensus, databases",
		Example: `  baton status
  baton status --addr 10.0.0.12 -o json`,
		Long: `Show the cluster on one screen: verdict, consensus, databases.

It is what the server that answers knows. Where that knows no leader it is shown all the same, and the exit status is 3.`,
		Args: exact(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.ask(c, func(ctx context.Context, client *api.Client) error {
				s, err := client.Status(ctx, api.Stale)
				if err != nil {
					return err
				}
				if err := o.print(c.OutOrStdout(), s, func(p *page) { drawStatus(p, s) }); err != nil {
					return err
				}
				if s.Raft.Leader == "" {
					return helpful{fmt.Errorf("%s knows no leader: %w", s.Node, api.ErrNoQuorum), "A majority of the servers must be up, and reach each other."}
				}
				return nil
			})
		},
	}
}

func drawStatus(p *page, s api.Status) {
	p.line("%s  cluster %s", strings.ToUpper(string(s.Verdict)), s.Cluster)
	for _, r := range s.Reasons {
		p.text("  - ", r)
	}
	leader := "nobody leads"
	if s.Raft.Leader != "" {
		leader = fmt.Sprintf("%s leads term %d", s.Raft.Leader, s.Raft.Term)
	}
	p.line("consensus  %s, %s, applied %d", plural(len(s.Raft.Peers), "server"), leader, s.Raft.Applied)
	p.line("seen from  %s, baton %s%s", s.Node, clean(s.Version), contact(s.Meta))
	p.line("")
	if s.Raft.Leader == "" && len(s.Databases) == 0 {
		p.line("no databases are known here; without a leader none can be made known")
		return
	}
	drawDatabases(p, s.Databases)
}

// contact says how old an answer may be that does not come from the leader.
func contact(m api.Meta) string {
	if !m.Stale || m.LastContact == 0 {
		return ""
	}
	return fmt.Sprintf(", which heard the leader %s ago", ago(m.LastContact))
}

func drawDatabases(p *page, all []api.DatabaseSummary) {
	if len(all) == 0 {
		p.line("no databases: none of the nodes has a mysql block in its configuration")
		return
	}
	p.row("DATABASE", "PRIMARY", "PHASE", "EPOCH", "DURABILITY", "HEARD")
	for _, d := range all {
		phase := string(d.Phase)
		if d.Paused {
			phase += ",PAUSED" // one word, for those who cut columns
		}
		p.row(d.Name, d.Primary, phase, d.Epoch, worth(d.Durability), fmt.Sprintf("%d/%d", d.Heard, d.Members))
	}
}

// worth is loud where acknowledged writes can be lost.
func worth(d registry.Durability) string {
	if d == registry.Degraded || d == registry.Async {
		return strings.ToUpper(string(d))
	}
	return string(d)
}

func membersCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "members",
		Short:   "List the nodes as gossip sees them",
		Example: "  baton members",
		Args:    exact(0),
		RunE:    shown(o, func(ctx context.Context, client *api.Client) (api.MemberList, error) { return client.Members(ctx) }, drawMembers),
	}
}

func drawMembers(p *page, m api.MemberList) {
	p.row("NAME", "STATE", "ROLE", "ADDRESS", "ZONE", "VERSION")
	for _, n := range m.Members {
		p.row(n.Name, n.State, n.Role, n.Address, n.Zone, n.Version)
	}
}

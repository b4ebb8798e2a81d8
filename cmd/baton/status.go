package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the cluster on one screen: verdict, consensus, databases",
		Args:  exact(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.ask(c, func(ctx context.Context, client *api.Client) error {
				s, err := client.Status(ctx, api.Stale)
				if err != nil {
					return err
				}
				return o.print(c.OutOrStdout(), s, func(t *tabwriter.Writer) { drawStatus(t, s) })
			})
		},
	}
}

func drawStatus(t *tabwriter.Writer, s api.Status) {
	fmt.Fprintf(t, "%s  %s  (asked %s, baton %s)\n", s.Cluster, s.Verdict, s.Node, s.Version)
	for _, r := range s.Reasons {
		fmt.Fprintf(t, "  %s\n", r)
	}
	leader := string(s.Raft.Leader)
	if leader == "" {
		leader = "nobody"
	}
	fmt.Fprintf(t, "consensus  %d servers, %s leads term %d, applied %d\n\n", len(s.Raft.Peers), leader, s.Raft.Term, s.Raft.Applied)
	drawDatabases(t, s.Databases)
}

func drawDatabases(t *tabwriter.Writer, all []api.DatabaseSummary) {
	row(t, "DATABASE", "PRIMARY", "PHASE", "EPOCH", "DURABILITY", "HEARD", "WHY")
	for _, d := range all {
		row(t, d.Name, d.Primary, d.Phase, d.Epoch, d.Durability, fmt.Sprintf("%d/%d", d.Heard, d.Members), d.Why)
	}
}

func membersCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "members",
		Short: "List the nodes as gossip sees them",
		Args:  exact(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.ask(c, func(ctx context.Context, client *api.Client) error {
				m, err := client.Members(ctx)
				if err != nil {
					return err
				}
				return o.print(c.OutOrStdout(), m, func(t *tabwriter.Writer) {
					row(t, "NAME", "ADDRESS", "ROLE", "STATE", "ZONE", "VERSION")
					for _, n := range m.Members {
						row(t, n.Name, n.Address, n.Role, n.State, n.Zone, n.Version)
					}
				})
			})
		},
	}
}

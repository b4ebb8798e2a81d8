package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

func dbCommand(o *options) *cobra.Command {
	parent := group(&cobra.Command{Use: "db", Short: "Look at databases, hand them over, and change who acknowledges", Example: "  baton db show orders"})
	parent.AddCommand(dbListCommand(o), dbShowCommand(o), dbTopologyCommand(o), dbSwitchoverCommand(o), dbRemoveMemberCommand(o), dbAcksCommand(o), dbPolicyCommand(o), dbPauseCommand(o), dbResumeCommand(o), dbPromoteCommand(o),
		dbRejoinCommand(o), dbArchivedCommand(o))
	return parent
}

func dbListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the databases",
		Example: "  baton db list -o json",
		Args:    exact(0),
		RunE: shown(o, func(ctx context.Context, client *api.Client) (api.DatabaseList, error) {
			return client.Databases(ctx, api.Stale)
		},
			func(p *page, l api.DatabaseList) { drawDatabases(p, l.Databases) }),
	}
}

func dbTopologyCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "topology DATABASE",
		Short:   "Show who follows whom",
		Example: "  baton db topology orders",
		Args:    exact(1),
		RunE: shownOf(o, func(ctx context.Context, client *api.Client, db registry.DatabaseName) (api.Topology, error) {
			return client.Topology(ctx, db, api.Stale)
		}, drawTopology),
	}
}

func drawTopology(p *page, t api.Topology) {
	p.line("%s  %s in epoch %d", t.Name, t.Phase, t.Epoch)
	for _, n := range t.Nodes {
		if n.Instance == t.Primary {
			p.row(n.Instance, n.Part, n.Address)
		}
	}
	for _, n := range t.Nodes {
		if n.Instance == t.Primary {
			continue
		}
		branch := "  ?? "
		if n.Follows != "" && n.Follows == t.Primary {
			branch = "  +- "
		}
		p.row(branch+string(n.Instance), n.Part, n.Address, edge(n, t))
	}
}

// edge says how n follows its source.
func edge(n api.TopologyNode, t api.Topology) string {
	switch {
	case n.AgeMillis == nil:
		return "never heard"
	case n.Source == "":
		return "follows nobody"
	}
	whom := ""
	if n.Follows != t.Primary {
		whom = " of " + n.Source
		if n.Follows != "" {
			whom = " of " + string(n.Follows)
		}
	}
	behind := "lag not known"
	if n.LagSeconds != nil {
		behind = fmt.Sprintf("%d s behind", *n.LagSeconds)
	}
	return fmt.Sprintf("receiver%s %s, %s", whom, n.Receiver, behind)
}

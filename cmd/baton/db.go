package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

func dbCommand(o *options) *cobra.Command {
	parent := &cobra.Command{Use: "db", Short: "Look at databases and hand them over"}
	parent.AddCommand(dbListCommand(o), dbShowCommand(o), dbTopologyCommand(o), dbSwitchoverCommand(o))
	return parent
}

func dbListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the databases",
		Args:  exact(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.ask(c, func(ctx context.Context, client *api.Client) error {
				l, err := client.Databases(ctx, api.Stale)
				if err != nil {
					return err
				}
				return o.print(c.OutOrStdout(), l, func(t *tabwriter.Writer) { drawDatabases(t, l.Databases) })
			})
		},
	}
}

func dbShowCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "show DATABASE",
		Short: "Show what is decided and seen of one database, and its history",
		Args:  exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.ask(c, func(ctx context.Context, client *api.Client) error {
				v, err := client.Database(ctx, registry.DatabaseName(args[0]), api.Stale)
				if err != nil {
					return err
				}
				return o.print(c.OutOrStdout(), v, func(t *tabwriter.Writer) { drawDatabase(t, v) })
			})
		},
	}
}

func drawDatabase(t *tabwriter.Writer, v api.DatabaseView) {
	d := v.Database
	fmt.Fprintf(t, "%s  %s\n", d.Name, v.Why)
	fmt.Fprintf(t, "%s, %d of %v acknowledge each write\n\n", d.Durability, d.K, d.Ackers)
	row(t, "INSTANCE", "PART", "ADDRESS", "PROCESS", "PROMISE", "HEARD", "DOING", "PROBLEM")
	for _, i := range v.Instances {
		m, _ := d.Member(i.Instance)
		if i.Report == nil {
			row(t, i.Instance, i.Part, m.Address, "", "", "never", "", "")
			continue
		}
		g := i.Report.Guard
		row(t, i.Instance, i.Part, m.Address, i.Report.Process, g.Promise, fmt.Sprintf("%d ms ago", *i.AgeMillis), g.Doing, g.Problem)
	}
	fmt.Fprintln(t)
	row(t, "WHEN", "EPOCH", "PHASE", "INSTANCE", "WHAT")
	for _, e := range d.History {
		row(t, time.UnixMilli(e.AtMillis).Format(time.StampMilli), e.Epoch, e.Phase, e.Instance, e.Cause)
	}
}

func dbTopologyCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "topology DATABASE",
		Short: "Show who follows whom",
		Args:  exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.ask(c, func(ctx context.Context, client *api.Client) error {
				p, err := client.Topology(ctx, registry.DatabaseName(args[0]), api.Stale)
				if err != nil {
					return err
				}
				return o.print(c.OutOrStdout(), p, func(t *tabwriter.Writer) { drawTopology(t, p) })
			})
		},
	}
}

func drawTopology(t *tabwriter.Writer, p api.Topology) {
	fmt.Fprintf(t, "%s  %s in epoch %d\n", p.Name, p.Phase, p.Epoch)
	draw := func(n api.TopologyNode, branch string) {
		lag := "lag not known"
		if n.LagSeconds != nil {
			lag = fmt.Sprintf("lag %d s", *n.LagSeconds)
		}
		if n.Instance == p.Primary {
			lag = ""
		}
		row(t, branch+string(n.Instance), n.Part, n.Address, n.Receiver, lag)
	}
	for _, n := range p.Nodes {
		if n.Instance == p.Primary {
			draw(n, "")
		}
	}
	for _, n := range p.Nodes {
		switch {
		case n.Instance == p.Primary:
		case n.Follows == p.Primary && p.Primary != "":
			draw(n, "  +- ")
		default:
			draw(n, "  ?? ")
		}
	}
}

func dbSwitchoverCommand(o *options) *cobra.Command {
	var req api.SwitchoverRequest
	var to string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "switchover DATABASE",
		Short: "Hand the database over to another primary, without losing a write",
		Args:  exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			req.To = registry.InstanceID(to)
			o.timeout = max(o.timeout, wait+5*time.Second)
			return o.ask(c, func(ctx context.Context, client *api.Client) error {
				r, err := client.Switchover(ctx, registry.DatabaseName(args[0]), req, wait)
				if err != nil {
					return err
				}
				if err := o.print(c.OutOrStdout(), r, func(t *tabwriter.Writer) { drawSwitchover(t, r) }); err != nil {
					return err
				}
				switch r.Outcome {
				case api.OutcomeDone:
					return nil
				case api.OutcomeRunning:
					return fmt.Errorf("%w: baton db show %s", errStillRunning, r.Database)
				}
				return fmt.Errorf("%s is primary: %s", r.Primary, r.Detail)
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "the replica to become primary (default: the best one)")
	c.Flags().StringVar(&req.Reason, "reason", "", "why, for the history")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the end; 0: return at once with exit status 5")
	return c
}

func drawSwitchover(t *tabwriter.Writer, r api.SwitchoverResult) {
	fmt.Fprintf(t, "%s: %s -> %s, epoch %d: %s\n", r.Database, r.From, r.To, r.Epoch, r.Outcome)
	if r.Timings.Serving > 0 {
		fmt.Fprintf(t, "name withdrawn after %.0f ms, published again after %.0f ms\n", r.Timings.Revoked, r.Timings.Serving)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// archivedList is what the nodes of a database keep, as programs read it.
type archivedList struct {
	Database registry.DatabaseName `json:"database"`
	Servers  []archivedOf          `json:"servers"`
}

// archivedOf is what one server's node keeps.
type archivedOf struct {
	Instance registry.InstanceID `json:"instance"`
	Node     registry.NodeID     `json:"node"`
	Heard    bool                `json:"heard"` // false: it may keep more
	Archived []health.Archived   `json:"archived"`
}

func dbArchivedCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "archived DATABASE",
		Short: "List the transactions that were kept before they were taken out of a server",
		Long: `List the transactions that were kept before they were taken out of a server.

Each archive is a directory on the node of its server: the transactions as SQL with their GTIDs, rows decoded in comments,
and a manifest. baton never removes one. The 20 newest of each server are listed.`,
		Example: "  baton db archived orders",
		Args:    exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			db, err := database(args[0])
			if err != nil {
				return err
			}
			return o.ask(c, func(ctx context.Context, client *api.Client) error {
				v, err := client.Database(ctx, db, api.Stale)
				if err != nil {
					return err
				}
				all := []archivedOf{}
				for _, i := range v.Instances {
					a := archivedOf{Instance: i.Instance, Archived: []health.Archived{}}
					if m, ok := v.Database.Member(i.Instance); ok {
						a.Node = m.Node
					}
					if i.Report != nil && i.AgeMillis != nil {
						a.Heard, a.Archived = millis(*i.AgeMillis) <= silent, append(a.Archived, i.Report.Archived...)
					}
					all = append(all, a)
				}
				return o.print(c.OutOrStdout(), archivedList{db, all}, func(p *page) { drawArchived(p, all) })
			})
		},
	}
}

func drawArchived(p *page, all []archivedOf) {
	n := 0
	for _, a := range all {
		for _, x := range a.Archived {
			if n++; n == 1 {
				p.row("SERVER", "EPOCH", "TRANSACTIONS", "WRITTEN", "GTIDS", "FILE")
			}
			p.row(a.Instance, x.Epoch, x.Count, x.First.Local().Format("2006-01-02 15:04:05"), short(x.GTIDs, 60), string(a.Node)+":"+x.File)
		}
	}
	if n == 0 {
		p.line("Nothing is archived on the nodes that are heard.")
	}
	for _, a := range all {
		if !a.Heard {
			p.line("baton on the node of %s is not heard: what it keeps is not known", a.Instance)
		}
	}
}

// comeback is one call of the command rejoin.
type comeback struct {
	database registry.DatabaseName
	request  api.RejoinRequest
	yes      bool
}

func dbRejoinCommand(o *options) *cobra.Command {
	var b comeback
	c := &cobra.Command{
		Use:   "rejoin DATABASE SERVER",
		Short: "Bring a server back that holds transactions which the primary lacks",
		Long: `Bring a server back that holds transactions which the primary lacks.

They are archived first, always. Then the server takes them back (rewind: a former primary that crashed and was not started
since), becomes a copy of another (clone: MySQL), or is left as it is (wait). This is for one time: what happens by itself is
on_divergence in the file of the server's node. The plan is shown first, and carried out after a yes.`,
		Example: `  baton db rejoin orders db1 --how clone
  baton db archived orders     what was kept of it`,
		Args: exact(2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if b.database, err = database(args[0]); err != nil {
				return err
			}
			if registry.ValidName(args[1]) != nil {
				return usage("baton db show "+args[0]+" lists its servers.", "%.80q is not the name of a server", args[1])
			}
			switch b.request.How {
			case "rewind", "clone", "wait":
			default:
				return usage("Want rewind, clone or wait.", "--how %.80q", b.request.How)
			}
			if !b.yes && !terminal(c.InOrStdin()) {
				return usage("Look at the plan in a terminal, or give --yes.", "nobody can be asked whether to go on: standard input is no terminal")
			}
			b.request.Instance = registry.InstanceID(args[1])
			return b.run(c, o)
		},
	}
	f := c.Flags()
	f.StringVar(&b.request.How, "how", "rewind", "rewind, clone or wait")
	f.StringVar(&b.request.Reason, "reason", "", "why, for the history")
	f.BoolVarP(&b.yes, "yes", "y", false, "do not ask")
	return c
}

func (b *comeback) run(c *cobra.Command, o *options) error {
	if err := o.ask(c, func(ctx context.Context, client *api.Client) error { return b.plan(ctx, c, client) }); err != nil {
		return err
	}
	if !b.yes {
		if err := confirm(c); err != nil {
			return err
		}
	}
	return o.ask(c, func(ctx context.Context, client *api.Client) error {
		r, err := client.Rejoin(ctx, b.database, b.request)
		if errors.Is(err, api.ErrInDoubt) {
			return helpful{err, fmt.Sprintf("It may have been accepted, and then it goes on. See: baton db show %s", b.database)}
		}
		if err != nil {
			return err
		}
		return o.print(c.OutOrStdout(), r, func(p *page) {
			p.line("%s: %s is to come back by %s, in epoch %d. See: baton db show %s", r.Database, r.Instance, r.How, r.Epoch, r.Database)
		})
	})
}

// plan says on stderr what would happen. The server decides when it is asked; this is what it would find now.
func (b *comeback) plan(ctx context.Context, c *cobra.Command, client *api.Client) error {
	v, err := client.Database(ctx, b.database, api.Stale)
	if err != nil {
		return err
	}
	extra, kept := "what the primary lacks", ""
	for _, i := range v.Instances {
		if i.Instance == b.request.Instance && i.Report != nil {
			if i.Report.Guard.Diverged != "" {
				extra = short(i.Report.Guard.Diverged, 200)
			}
			if r := i.Report.Returning; r != nil {
				extra, kept = short(orNothing(r.Extra), 200), r.Archive
			}
		}
	}
	p := newPage()
	id := b.request.Instance
	p.line("PLAN  %s: bring %s back by %s", b.database, id, b.request.How)
	if kept != "" {
		p.line("  1 archive   done: %s in %s", extra, kept)
	} else {
		p.line("  1 archive   %s, as SQL on the disk of its node; without that nothing is changed", extra)
	}
	switch b.request.How {
	case "rewind":
		p.line("  2 rewind    %s is dead and takes back what waited in it; baton starts it", id)
	case "clone":
		p.line("  2 clone     everything on %s is replaced by a copy of a replica, or of %s; it restarts", id, orNobody(v.Database.Primary))
	default:
		p.line("  2 wait      nothing is changed")
		return p.flush(c.ErrOrStderr())
	}
	p.line("  3 follow    it follows %s, and acknowledges when it holds what %s had", orNobody(v.Database.Primary), orNobody(v.Database.Primary))
	return p.flush(c.ErrOrStderr())
}

// drawReturning says how a server comes back that diverged.
func drawReturning(p *page, label string, r *health.Returning) {
	if r == nil {
		return
	}
	text := r.Doing + ": " + r.Why
	if r.Doing == "wait" {
		text = r.Why
	}
	if r.Progress != "" {
		text += " (" + r.Progress + ")"
	}
	if r.Archive != "" {
		text += "; archived in " + r.Archive
	}
	p.text(label+"comes back: ", text)
	if r.Problem != "" {
		p.text(label+"comes back: ", "failed, tried again: "+r.Problem)
	}
}

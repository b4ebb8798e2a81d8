package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// ackersChange is one call of a command that changes whose acknowledgements count, or how many.
type ackersChange struct {
	database registry.DatabaseName
	request  api.AckersRequest
	wait     time.Duration
	yes      bool
}

func (a *ackersChange) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&a.request.Reason, "reason", "", "why, for the history")
	f.DurationVar(&a.wait, "wait", 30*time.Second, "how long to wait for the end, at most 1m; 0: return at once with exit status 5")
	f.BoolVarP(&a.yes, "yes", "y", false, "do not ask")
}

func dbRemoveMemberCommand(o *options) *cobra.Command {
	var a ackersChange
	c := &cobra.Command{
		Use:   "remove-member DATABASE SERVER",
		Short: "Take a replica out of a database, without losing a write",
		Long: `Take a replica out of a database, without losing a write.

It stops acknowledging first, and everything that it has acknowledged is proved to be on others before it counts no more.
Its agent cannot register it again until --undo. A server that cannot be asked, because it and its disk are gone for good,
is removed with --lost: if it comes back nonetheless and the primary hears it, a write can be lost.`,
		Example: `  baton db remove-member orders db3 --reason "it is replaced by db4"
  baton db remove-member orders db3 --lost --yes     its disk is gone for good
  baton db remove-member orders db3 --undo           it stays, or may come back`,
		Args: exact(2),
		RunE: func(c *cobra.Command, args []string) error {
			if registry.ValidName(args[1]) != nil {
				return usage("baton db show "+args[0]+" lists its servers.", "%.80q is not the name of a server", args[1])
			}
			if a.request.Lost && a.request.Undo {
				return usage("Give one of them.", "--lost and --undo")
			}
			a.request.Remove = registry.InstanceID(args[1])
			return a.run(c, o, args[0])
		},
	}
	a.flags(c)
	c.Flags().BoolVar(&a.request.Lost, "lost", false, "the server and its disk are gone for good")
	c.Flags().BoolVar(&a.request.Undo, "undo", false, "let it stay, or come back")
	return c
}

func dbAcksCommand(o *options) *cobra.Command {
	var a ackersChange
	c := &cobra.Command{
		Use:   "acks DATABASE K",
		Short: "Change how many replicas must acknowledge a write before it is answered",
		Long: `Change how many replicas must acknowledge a write before it is answered.

More of them survive more failures at once, and wait for more. MariaDB can wait for one only.`,
		Example: "  baton db acks orders 2",
		Args:    exact(2),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := strconv.Atoi(args[1])
			if err != nil || k < 1 {
				return usage("Want 1 or more.", "%.80q is no number of acknowledgements", args[1])
			}
			a.request.K = k
			return a.run(c, o, args[0])
		},
	}
	a.flags(c)
	return c
}

// run shows the plan, asks, and does it.
func (a *ackersChange) run(c *cobra.Command, o *options, name string) (err error) {
	if a.database, err = database(name); err != nil {
		return err
	}
	if a.wait < 0 || a.wait > maxWait {
		return usage("Want 0 to 1m.", "--wait %s", a.wait)
	}
	if !a.yes && !terminal(c.InOrStdin()) {
		return usage("Look at the plan in a terminal, or give --yes.", "nobody can be asked whether to go on: standard input is no terminal")
	}
	if err := o.ask(c, func(ctx context.Context, client *api.Client) error { return a.plan(ctx, c, client) }); err != nil {
		return err
	}
	if !a.yes {
		if err := confirm(c); err != nil {
			return err
		}
	}
	own := *o
	own.timeout = max(o.timeout, a.wait+5*time.Second)
	return own.ask(c, func(ctx context.Context, client *api.Client) error {
		r, err := client.Ackers(ctx, a.database, a.request, a.wait)
		if errors.Is(err, api.ErrInDoubt) {
			return helpful{err, fmt.Sprintf("It may have been accepted, and then it goes on. See: baton db show %s", a.database)}
		}
		if err != nil {
			return err
		}
		if err := o.print(c.OutOrStdout(), r, func(p *page) { a.draw(p, r) }); err != nil {
			return err
		}
		if r.Outcome == api.OutcomeRunning {
			return helpful{errStillRunning, fmt.Sprintf("See: baton db show %s", a.database)}
		}
		return nil
	})
}

// plan says on stderr what would happen. The server decides when it is asked; this is what it would find now.
func (a *ackersChange) plan(ctx context.Context, c *cobra.Command, client *api.Client) error {
	v, err := client.Database(ctx, a.database, api.Stale)
	if err != nil {
		return err
	}
	d, id := v.Database, a.request.Remove
	p := newPage()
	switch {
	case a.request.Undo:
		p.line("PLAN  %s: %s stays, or may come back", a.database, id)
	case a.request.K > 0:
		p.line("PLAN  %s: a write waits for %d of %s, now for %d", a.database, a.request.K, join(d.Ackers), d.K)
	default:
		p.line("PLAN  %s: remove %s", a.database, id)
		if a.request.Lost {
			p.line("  1 believe   %s and its disk are gone for good; if they are not, a write can be lost", id)
		} else {
			p.line("  1 silence   %s goes on following and acknowledges no more", id)
		}
		others := slices.DeleteFunc(slices.Clone(d.Ackers), func(other registry.InstanceID) bool { return other == id })
		p.line("  2 prove     a write on %s is acknowledged by %d of %s, and so is all before it", orNobody(d.Primary), d.K, join(others))
		p.line("  3 forget    %s counts no more, its names are taken back", id)
		p.line("  undo        baton db remove-member %s %s --undo", a.database, id)
	}
	return p.flush(c.ErrOrStderr())
}

func (a *ackersChange) draw(p *page, r api.AckersResult) {
	p.line("%s: a write waits for %d of %s: %s", r.Database, r.K, join(r.Ackers), r.Outcome)
	if r.Outcome == api.OutcomeRunning && r.Detail != "" {
		p.text("  waits for  ", r.Detail)
	}
}

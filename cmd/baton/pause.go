package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// pausing is one call of pause or resume.
type pausing struct {
	database registry.DatabaseName
	request  api.PauseRequest
	yes      bool
}

func dbPauseCommand(o *options) *cobra.Command {
	return (&pausing{request: api.PauseRequest{Paused: true}}).command(o, &cobra.Command{
		Use:   "pause DATABASE",
		Short: "Leave a database alone: no failover and no hand-over",
		Long: `Leave a database alone: no failover and no hand-over, whatever happens to its primary, until it is resumed.

Roles and names stay as they are, and what is under way is brought to its end. A primary that dies meanwhile is not replaced:
writes stop until it is back, or until the database is resumed. baton status is DEGRADED for as long, and says who paused it.`,
		Example: `  baton db pause orders --reason "the network is being rebuilt"
  baton db resume orders`,
	})
}

func dbResumeCommand(o *options) *cobra.Command {
	return (&pausing{}).command(o, &cobra.Command{
		Use:   "resume DATABASE",
		Short: "Let baton act on a database again that is paused",
		Long: `Let baton act on a database again that is paused.

Where its primary has failed meanwhile a failover begins at once.`,
		Example: "  baton db resume orders --yes",
	})
}

func (b *pausing) command(o *options, c *cobra.Command) *cobra.Command {
	c.Args = exact(1)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if b.database, err = database(args[0]); err != nil {
			return err
		}
		if !b.yes && !terminal(c.InOrStdin()) {
			return usage("Look at the plan in a terminal, or give --yes.", "nobody can be asked whether to go on: standard input is no terminal")
		}
		if u, err := user.Current(); err == nil {
			b.request.By = u.Username
		}
		return b.run(c, o)
	}
	c.Flags().StringVar(&b.request.Reason, "reason", "", "why, for the history and the status")
	c.Flags().BoolVarP(&b.yes, "yes", "y", false, "do not ask")
	return c
}

func (b *pausing) run(c *cobra.Command, o *options) error {
	if err := o.ask(c, func(ctx context.Context, client *api.Client) error { return b.plan(ctx, c, client) }); err != nil {
		return err
	}
	if !b.yes {
		if err := confirm(c); err != nil {
			return err
		}
	}
	return o.ask(c, func(ctx context.Context, client *api.Client) error {
		r, err := client.Pause(ctx, b.database, b.request)
		if errors.Is(err, api.ErrInDoubt) {
			return helpful{err, fmt.Sprintf("It may have been accepted. See: baton db show %s", b.database)}
		}
		if err != nil {
			return err
		}
		return o.print(c.OutOrStdout(), r, func(p *page) {
			switch {
			case r.Paused:
				p.line("%s: PAUSED. Nobody replaces its primary until: baton db resume %s", r.Database, r.Database)
			case r.Index == 0:
				p.line("%s: it was not paused", r.Database)
			default:
				p.line("%s: resumed", r.Database)
			}
		})
	})
}

// plan says on stderr what would happen.
func (b *pausing) plan(ctx context.Context, c *cobra.Command, client *api.Client) error {
	v, err := client.Database(ctx, b.database, api.Stale)
	if err != nil {
		return err
	}
	d, p := v.Database, newPage()
	verb := "resume"
	if b.request.Paused {
		verb = "pause"
	}
	p.line("PLAN  %s: %s it", b.database, verb)
	if d.Policy.Paused {
		p.text("  NOW        ", d.Pause.String())
	} else {
		p.text("  NOW        ", headline(d))
	}
	if b.request.Paused {
		p.text("  THEN       ", fmt.Sprintf("no failover and no hand-over: when %s fails, writes stop until it is back or the database is resumed", orNobody(d.Primary)))
		p.line("  undo       baton db resume %s", b.database)
	} else {
		p.text("  THEN       ", "a primary that has failed is replaced, at once where one has")
		p.line("  undo       baton db pause %s; a failover that has begun goes on", b.database)
	}
	return p.flush(c.ErrOrStderr())
}

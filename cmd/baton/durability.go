package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

func dbPolicyCommand(o *options) *cobra.Command {
	var durability, alone string
	var wait time.Duration
	var yes bool
	c := &cobra.Command{
		Use:   "policy DATABASE",
		Short: "Change what an acknowledged write is worth",
		Long: `Change what an acknowledged write is worth.

lossless: a write is acknowledged when replicas have it, and survives the loss of its primary. With --when-alone degrade
the primary goes on alone when nobody is left to acknowledge: what is acknowledged meanwhile CAN BE LOST, and nobody is
promoted by itself before the primary is back. With block, the default, writes wait.
async: writes wait for nobody. What was acknowledged last CAN BE LOST in every failover, and a failover waits until the
lease of the former primary is over. docs/durability.md says what that rests on.

Where writes can be lost afterwards the plan is shown first, and carried out after a yes.`,
		Example: `  baton db policy orders --when-alone degrade
  baton db policy orders --durability async
  baton db policy orders --durability lossless --when-alone block`,
		Args: exact(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := database(args[0])
			if err != nil {
				return err
			}
			req := api.DurabilityRequest{Durability: registry.Durability(durability), WhenAlone: registry.WhenAlone(alone)}
			switch {
			case req == api.DurabilityRequest{}:
				return usage("Give --durability or --when-alone.", "nothing to change")
			case durability != "" && durability != string(registry.Lossless) && durability != string(registry.Async):
				return usage("Want lossless or async.", "--durability %.80q", durability)
			case alone != "" && alone != string(registry.Block) && alone != string(registry.Yield):
				return usage("Want block or degrade.", "--when-alone %.80q", alone)
			case wait < 0 || wait > maxWait:
				return usage("Want 0 to 1m.", "--wait %s", wait)
			}
			if err := mayLose(c, o, name, weaker{req, yes}); err != nil {
				return err
			}
			own := *o
			own.timeout = max(o.timeout, wait+5*time.Second)
			return own.ask(c, func(ctx context.Context, client *api.Client) error {
				r, err := client.Durability(ctx, name, req, wait)
				if err != nil {
					return err
				}
				if err := o.print(c.OutOrStdout(), r, func(p *page) { drawDurability(p, r) }); err != nil {
					return err
				}
				if r.Outcome == api.OutcomeRunning {
					return helpful{errStillRunning, fmt.Sprintf("See: baton db show %s", name)}
				}
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&durability, "durability", "", "lossless or async")
	f.StringVar(&alone, "when-alone", "", "what a lossless primary does that nobody acknowledges: block or degrade")
	f.DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the end, at most 1m; 0: return at once with exit status 5")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// weaker is a change of policy, and whether it is agreed to already.
type weaker struct {
	request api.DurabilityRequest
	yes     bool
}

// mayLose shows what w gives up, and asks; nothing where it gives up nothing.
func mayLose(c *cobra.Command, o *options, name registry.DatabaseName, w weaker) error {
	if w.request.Durability != registry.Async && w.request.WhenAlone != registry.Yield {
		return nil
	}
	if !w.yes && !terminal(c.InOrStdin()) {
		return usage("Look at the plan in a terminal, or give --yes.", "nobody can be asked whether to go on: standard input is no terminal")
	}
	err := o.ask(c, func(ctx context.Context, client *api.Client) error {
		v, err := client.Database(ctx, name, api.Stale)
		if err != nil {
			return err
		}
		p := newPage()
		p.line("PLAN  %s: give up that no acknowledged write is lost", name)
		p.text("  NOW        ", durability(v.Database))
		if w.request.Durability == registry.Async {
			p.text("  THEN       ", "commits wait for nobody. What was acknowledged last CAN BE LOST in every failover, and one waits for the lease of the former primary")
		} else {
			p.text("  THEN       ", "left alone, the primary goes on. What is acknowledged meanwhile CAN BE LOST with it, and nobody is promoted by itself until it is back")
		}
		p.line("  undo       baton db policy %s --durability lossless --when-alone block; what was lost stays lost", name)
		return p.flush(c.ErrOrStderr())
	})
	if err != nil || w.yes {
		return err
	}
	return confirm(c)
}

func drawDurability(p *page, r api.DurabilityResult) {
	p.line("%s: wanted %s, when alone %s; now %s: %s", r.Database, r.Wanted, r.WhenAlone, strings.ToUpper(string(r.Durability)), r.Outcome)
	if r.Wanted == registry.Async || r.Durability != registry.Lossless {
		p.line("Acknowledged writes can be lost in a failover.")
	}
	if r.Detail != "" {
		p.text("  waits for  ", r.Detail)
	}
}

// promotion is one call of the command that accepts a loss.
type promotion struct {
	database registry.DatabaseName
	request  api.PromoteRequest
	wait     time.Duration
	yes      bool
}

func dbPromoteCommand(o *options) *cobra.Command {
	var p promotion
	var accepted, to string
	c := &cobra.Command{
		Use:   "promote DATABASE --accept-data-loss DATABASE:EPOCH --reason WHY",
		Short: "Promote a replica although acknowledged writes MAY BE LOST",
		Long: `Promote a replica although acknowledged writes MAY BE LOST.

For a database that nothing else brings back: more servers are lost than it was made for, its primary went on alone and is
lost, or its replicas contradict each other. The plan says what is known to be lost; there may be more that nobody was heard
of. Servers that are not heard must be stopped: if they run, they may go on acknowledging.
The loss, who accepted it and why are recorded in the history.`,
		Example: `  baton db show orders                 says the epoch, and what stands in the way
  baton db promote orders --accept-data-loss orders:7 --reason "db1 and db3 burned down"
  baton db promote orders --accept-data-loss orders:7 --to db2 --reason "db2 has the newer half" --yes`,
		Args: exact(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if p.database, err = database(args[0]); err != nil {
				return err
			}
			name, epoch, ok := strings.Cut(accepted, ":")
			n, err := strconv.ParseUint(epoch, 10, 64)
			switch {
			case !ok || err != nil || name != string(p.database):
				return usage("Name the database and its present epoch, as in "+args[0]+":7. baton db show "+args[0]+" says it.", "--accept-data-loss %.80q", accepted)
			case strings.TrimSpace(p.request.Reason) == "":
				return usage("It stands in the history for ever.", "--reason is missing")
			case to != "" && registry.ValidName(to) != nil:
				return usage("baton db show "+args[0]+" lists its servers.", "--to %.80q is not the name of a server", to)
			case p.wait < 0 || p.wait > maxWait:
				return usage("Want 0 to 1m.", "--wait %s", p.wait)
			case !p.yes && !terminal(c.InOrStdin()):
				return usage("Look at the plan in a terminal, or give --yes.", "nobody can be asked whether to go on: standard input is no terminal")
			}
			p.request.Epoch, p.request.To = registry.Epoch(n), registry.InstanceID(to)
			if u, err := user.Current(); err == nil {
				p.request.By = u.Username
			}
			return p.run(c, o)
		},
	}
	f := c.Flags()
	f.StringVar(&accepted, "accept-data-loss", "", "`DATABASE:EPOCH` whose acknowledged writes may be lost; refused unless it is the present epoch")
	f.StringVar(&to, "to", "", "the replica to become primary (default: who has most)")
	f.StringVar(&p.request.Reason, "reason", "", "why, for the history (required)")
	f.DurationVar(&p.wait, "wait", 30*time.Second, "how long to wait for the end, at most 1m; 0: return at once with exit status 5")
	f.BoolVarP(&p.yes, "yes", "y", false, "do not ask")
	return c
}

// run shows what would be lost, asks, and does it.
func (p *promotion) run(c *cobra.Command, o *options) error {
	plan := p.request
	plan.Plan = true
	err := o.ask(c, func(ctx context.Context, client *api.Client) error {
		r, err := client.Promote(ctx, p.database, plan, 0)
		if err != nil {
			return err
		}
		return p.plan(c, r)
	})
	if err != nil {
		return err
	}
	if !p.yes {
		if err := confirm(c); err != nil {
			return err
		}
	}
	own := *o
	own.timeout = max(o.timeout, p.wait+5*time.Second)
	return own.ask(c, func(ctx context.Context, client *api.Client) error {
		r, err := client.Promote(ctx, p.database, p.request, p.wait)
		if errors.Is(err, api.ErrInDoubt) {
			return helpful{err, fmt.Sprintf("It may have been accepted, and then it goes on. See: baton db show %s", p.database)}
		}
		if err != nil {
			return err
		}
		if err := o.print(c.OutOrStdout(), r, func(p *page) { drawPromotion(p, r) }); err != nil {
			return err
		}
		if r.Outcome == api.OutcomeRunning {
			return helpful{errStillRunning, fmt.Sprintf("See: baton db show %s", p.database)}
		}
		return nil
	})
}

// plan says on stderr what would be lost.
func (p *promotion) plan(c *cobra.Command, r api.PromoteResult) error {
	out := newPage()
	out.line("PLAN  %s: replace %s, ACCEPTING THE LOSS of acknowledged writes, epoch %d", r.Database, orNobody(r.From), r.Epoch)
	out.text("  NOW        ", r.Detail)
	for _, l := range r.Losses {
		lacks := "nothing that was heard of"
		if l.Lacks != "" {
			lacks = "at least " + l.Lacks
		}
		out.text(fmt.Sprintf("  if %s wins  ", l.Instance), "lost: "+lacks)
	}
	if len(r.Unheard) > 0 {
		out.text("  not heard  ", join(r.Unheard)+": they may have more, and must be stopped if they run")
	}
	out.line("  undo       none: what is lost here is kept only on servers that are kept out afterwards")
	return out.flush(c.ErrOrStderr())
}

func drawPromotion(p *page, r api.PromoteResult) {
	p.line("%s: %s -> %s, a loss was accepted in epoch %d: %s", r.Database, orNobody(r.From), orNobody(r.Primary), r.Epoch, r.Outcome)
	switch {
	case r.Lost != "":
		p.text("known to be lost: ", r.Lost)
	case r.Outcome == api.OutcomeDone:
		p.line("Nothing is known to be lost; there may be writes that nobody was heard of.")
	}
	if r.Outcome == api.OutcomeRunning {
		p.text("  waits for  ", r.Detail)
	}
}

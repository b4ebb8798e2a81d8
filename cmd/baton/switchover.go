package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// maxWait is the longest that a server waits for the end of a switchover.
const maxWait = time.Minute

// switchover is one call of the command.
type switchover struct {
	database registry.DatabaseName
	request  api.SwitchoverRequest
	wait     time.Duration
	yes      bool
}

func dbSwitchoverCommand(o *options) *cobra.Command {
	var s switchover
	var to string
	c := &cobra.Command{
		Use:   "switchover DATABASE",
		Short: "Hand the database over to another primary, without losing a write",
		Long: `Hand the database over to another primary, without losing a write.

The plan is shown first, and carried out after a yes. Whatever interrupts this command: once accepted, the servers
finish the hand-over or undo it.`,
		Example: `  baton db switchover orders
  baton db switchover orders --to db2 --reason "kernel update of db1" --yes`,
		Args: exact(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if s.database, err = database(args[0]); err != nil {
				return err
			}
			if to != "" && registry.ValidName(to) != nil {
				return usage("baton db show "+args[0]+" lists its servers.", "--to %.80q is not the name of a server", to)
			}
			if s.wait < 0 || s.wait > maxWait {
				return usage("Want 0 to 1m.", "--wait %s", s.wait)
			}
			if !s.yes && !terminal(c.InOrStdin()) {
				return usage("Look at the plan in a terminal, or give --yes.", "nobody can be asked whether to go on: standard input is no terminal")
			}
			s.request.To = registry.InstanceID(to)
			return s.run(c, o)
		},
	}
	f := c.Flags()
	f.StringVar(&to, "to", "", "the replica to become primary (default: the best one)")
	f.StringVar(&s.request.Reason, "reason", "", "why, for the history")
	f.DurationVar(&s.wait, "wait", 30*time.Second, "how long to wait for the end, at most 1m; 0: return at once with exit status 5")
	f.BoolVarP(&s.yes, "yes", "y", false, "do not ask")
	return c
}

// run shows the plan, asks, and does it.
func (s *switchover) run(c *cobra.Command, o *options) error {
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
		r, err := client.Switchover(ctx, s.database, s.request, s.wait)
		if errors.Is(err, api.ErrInDoubt) {
			return helpful{err, fmt.Sprintf("It may have been accepted, and then it goes on. See: baton db show %s", s.database)}
		}
		if err != nil {
			return err
		}
		if err := o.print(c.OutOrStdout(), r, func(p *page) { drawSwitchover(p, r) }); err != nil {
			return err
		}
		return outcome(r)
	})
}

// plan says on stderr what would happen. The server decides when it is asked; this is what it would find now.
func (s *switchover) plan(ctx context.Context, c *cobra.Command, client *api.Client) error {
	v, err := client.Database(ctx, s.database, api.Stale)
	if err != nil {
		return err
	}
	if s.refused(v.Database) != nil { // unless this server knows less than the others
		if v, err = client.Database(ctx, s.database, api.Current); err != nil {
			return err
		}
		if err := s.refused(v.Database); err != nil {
			return err
		}
	}
	d := v.Database
	to, choice := string(s.request.To), ""
	if to == "" {
		others := slices.DeleteFunc(slices.Clone(d.Ackers), func(id registry.InstanceID) bool { return id == d.Primary })
		to, choice = "the winner", ", the best of "+join(others)
	}
	p := newPage()
	p.line("PLAN  %s: from %s to %s%s, epoch %d -> %d", s.database, orNobody(d.Primary), to, choice, d.Epoch, d.Epoch+1)
	if d.Phase != registry.Serving {
		p.text("  NOW       ", v.Why)
	}
	p.line("  1 check     %s is heard, caught up and has safe settings; if not, nothing happens", to)
	p.line("  2 prepare   replicas that %s can do without follow %s already", orNobody(d.Primary), to)
	p.line("  3 withdraw  primary.%s.db is taken back, questions for it are held", s.database)
	p.line("  4 close     %s refuses writes and cuts its clients", orNobody(d.Primary))
	p.line("  5 promote   %s reaches its last transaction and has a write acknowledged", to)
	p.line("  6 publish   primary.%s.db names the new primary, all others follow it", s.database)
	p.line("  undo        by itself, when step 4 or 5 takes longer than %d s", d.Policy.SwitchoverSeconds)
	return p.flush(c.ErrOrStderr())
}

// refused is what a server would answer without having looked at anything: there is no plan to agree to.
func (s *switchover) refused(d *registry.Database) error {
	to := s.request.To
	switch _, known := d.Member(to); {
	case to == "":
		return nil
	case !known:
		return api.NewProblem(api.CodeNoInstance, fmt.Sprintf("baton db show %s lists its servers", d.Name), "%s has no replica %s", d.Name, to)
	case to == d.Primary:
		return api.NewProblem(api.CodeIsPrimary, "nothing is to be done", "%s is the primary of %s already, in epoch %d", to, d.Name, d.Epoch)
	}
	return nil
}

func orNobody(id registry.InstanceID) string {
	if id == "" {
		return "nobody"
	}
	return string(id)
}

// confirm asks, and returns nil for a yes.
func confirm(c *cobra.Command) error {
	fmt.Fprint(c.ErrOrStderr(), "Proceed? [y/N] ")
	// A read from a terminal cannot be cancelled; nothing has begun, so the process may end in it.
	stop := context.AfterFunc(c.Context(), func() {
		fmt.Fprintln(c.ErrOrStderr(), "\nError: interrupted: nothing was changed")
		os.Exit(exitFailed)
	})
	defer stop()
	answer, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed: nothing was changed")
}

// terminal reports whether a person can answer.
func terminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && nullErr == nil && info.Mode()&os.ModeCharDevice != 0 && !os.SameFile(info, null)
}

// outcome is the error of a switchover that did not do what was asked for.
func outcome(r api.SwitchoverResult) error {
	switch r.Outcome {
	case api.OutcomeDone:
		return nil
	case api.OutcomeRunning:
		return helpful{errStillRunning, fmt.Sprintf("See: baton db show %s", r.Database)}
	}
	return helpful{fmt.Errorf("%s is primary, not %s: %s", orNobody(r.Primary), r.To, clean(r.Detail)), fmt.Sprintf("See: baton db show %s", r.Database)}
}

func drawSwitchover(p *page, r api.SwitchoverResult) {
	p.line("%s: %s -> %s, epoch %d: %s", r.Database, r.From, r.To, r.Epoch, r.Outcome)
	if r.Timings.Serving > 0 {
		p.line("name withdrawn after %.0f ms, published again after %.0f ms", r.Timings.Revoked, r.Timings.Serving)
	}
}

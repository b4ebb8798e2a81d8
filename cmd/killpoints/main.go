// Command killpoints kills baton before and after everything it does in a failover, on real servers, and checks that nothing
// that was acknowledged is lost. Its exit status is 1 when something was.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/killpoint"
	"github.com/baton-db/baton/internal/lab"
)

// errBroken is returned when a promise was not kept.
var errBroken = errors.New("a promise was broken")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "killpoints: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("killpoints", flag.ContinueOnError)
	family := flags.String("family", "", "mysql or mariadb (default: both, one after the other)")
	only := flags.String("only", ".", "kill at the points that match this `pattern`, like \"winner.*Mark\"")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	families := lab.Families()
	if *family != "" {
		families = []lab.Family{lab.Family(*family)}
	}
	dir, err := os.MkdirTemp("", "killpoints-")
	if err != nil {
		return fmt.Errorf("make a place to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program, err := killpoint.Build(ctx, ".", dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range families {
		errs = append(errs, one(ctx, killpoint.Options{Family: f, Baton: program, Out: out, Pick: matching(pattern)}))
	}
	return errors.Join(errs...)
}

func matching(pattern *regexp.Regexp) func([]killpoint.Case) []killpoint.Case {
	return func(all []killpoint.Case) (some []killpoint.Case) {
		for _, c := range all {
			if pattern.MatchString(c.String()) {
				some = append(some, c)
			}
		}
		return some
	}
}

func one(ctx context.Context, opts killpoint.Options) error {
	r, err := killpoint.Run(ctx, opts)
	if r == nil {
		return err
	}
	for _, f := range r.Failed {
		fmt.Fprintln(opts.Out, "FAILED", f)
	}
	v := r.Verdict
	fmt.Fprintf(opts.Out, "outage p50 %.2f s, longest %.2f s; %d servers emptied\n", demo.Quantile(r.Outages, 0.5).Seconds(), demo.Quantile(r.Outages, 1).Seconds(), r.Wiped)
	fmt.Fprintf(opts.Out, "killpoints: %s, points %d, cases %d, killed %d, failed %d, acknowledged %d, lost %d, double_acknowledged %d\n",
		opts.Family, r.Points, r.Cases, r.Killed, len(r.Failed), v.Acknowledged, len(v.Lost), len(v.Double))
	if err == nil && (len(r.Failed) > 0 || len(v.Lost) > 0 || len(v.Double) > 0 || v.Acknowledged == 0) {
		err = fmt.Errorf("%s: %w", opts.Family, errBroken)
	}
	return err
}

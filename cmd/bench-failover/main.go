// Command bench-failover measures how long writers go without an acknowledgement when the primary fails, on real
// servers of both families, and prints the measured values beside the targets.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/lab"
)

// target is what a fault may cost.
type target struct {
	fault    demo.Fault
	runs     int
	p50, p99 map[lab.Family]float64 // seconds
}

func targets() []target {
	both := func(s float64) map[lab.Family]float64 { return map[lab.Family]float64{lab.MySQL: s, lab.MariaDB: s} }
	return []target{
		{demo.Crash, 30, both(0.25), both(0.5)},
		{demo.Freeze, 10, nil, map[lab.Family]float64{lab.MySQL: 1.5, lab.MariaDB: 2.5}},
		{demo.Switchover, 20, both(0.05), both(0.1)},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench-failover", flag.ContinueOnError)
	family := flags.String("family", "", "mysql or mariadb (default: both)")
	runs := flags.Int("runs", 0, "runs of each fault (default: as the targets say)")
	only := flags.String("only", "", "the one fault to measure: crash, freeze or switchover (default: all)")
	baton := flags.String("baton", "bin/baton", "the baton to run")
	load := flags.Int("load", 200, "rows a second")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var summary []string
	lost, double := 0, 0
	for _, f := range []lab.Family{lab.MySQL, lab.MariaDB} {
		if *family != "" && *family != string(f) {
			continue
		}
		opts := demo.Options{Families: []lab.Family{f}, Nodes: 3, PerSecond: *load, Baton: []string{*baton}, Restart: 300 * time.Millisecond,
			Out: out, Log: slog.New(slog.DiscardHandler)}
		b, err := demo.Measure(ctx, opts, plan(*only, *runs), func(line string) { fmt.Fprintln(out, line) })
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		table(out, b)
		summary = append(summary, figures(b)...)
		lost, double = lost+len(b.Verdict.Lost), double+len(b.Verdict.Double)
	}
	fmt.Fprintf(out, "bench-failover: %s, lost %d, double_acknowledged %d\n", strings.Join(summary, ", "), lost, double)
	if lost+double > 0 {
		return errors.New("a promise was broken")
	}
	return nil
}

func plan(only string, runs int) demo.Plan {
	var p demo.Plan
	for _, t := range targets() {
		if only != "" && only != string(t.fault) {
			continue
		}
		n := t.runs
		if runs > 0 {
			n = runs
		}
		p = append(p, struct {
			Fault demo.Fault
			Runs  int
		}{t.fault, n})
	}
	return p
}

// table prints measured beside target, and the distribution.
func table(out io.Writer, b demo.Bench) {
	fmt.Fprintf(out, "\n%s %s\n%-12s %5s %9s %9s %9s %9s %9s\n", b.Family, b.Version, "fault", "runs", "p50", "target", "p99", "target", "worst")
	for _, t := range targets() {
		all := b.Outages[t.fault]
		fmt.Fprintf(out, "%-12s %5d %9.3f %9s %9.3f %9s %9.3f\n", t.fault, len(all), demo.Quantile(all, 0.5).Seconds(), show(t.p50, b.Family),
			demo.Quantile(all, 0.99).Seconds(), show(t.p99, b.Family), demo.Quantile(all, 1).Seconds())
	}
	for _, t := range targets() {
		fmt.Fprintf(out, "%s deciles:", t.fault)
		for q := 1; q <= 10; q++ {
			fmt.Fprintf(out, " %.3f", demo.Quantile(b.Outages[t.fault], float64(q)/10).Seconds())
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "idle node: %.2f %% of a core (target 1 %%), %d MB resident (target 60 MB)\n", 100*b.Idle.CPU, b.Idle.RSS>>20)
	fmt.Fprintf(out, "acknowledged %d, unknown %d, lost %d, double-acknowledged %d\n\n", b.Verdict.Acknowledged, b.Verdict.Unknown, len(b.Verdict.Lost), len(b.Verdict.Double))
}

func show(m map[lab.Family]float64, f lab.Family) string {
	if m == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", m[f])
}

func figures(b demo.Bench) []string {
	var all []string
	for _, t := range targets() {
		if t.p50 != nil {
			all = append(all, fmt.Sprintf("%s_%s_p50_s %.3f", b.Family, t.fault, demo.Quantile(b.Outages[t.fault], 0.5).Seconds()))
		}
		all = append(all, fmt.Sprintf("%s_%s_p99_s %.3f", b.Family, t.fault, demo.Quantile(b.Outages[t.fault], 0.99).Seconds()))
	}
	return all
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/baton-db/baton/internal/lab"
)

// Bench is what many failures of one family of servers showed.
type Bench struct {
	Family  lab.Family
	Version string
	Outages map[Fault][]time.Duration // in the order of the runs
	Idle    Idle
	Verdict Verdict
}

// Idle is what a node costs while nothing happens, the worst of all nodes.
type Idle struct {
	CPU float64 // share of one core
	RSS int64   // bytes
}

// Plan says how many times each fault is injected.
type Plan []struct {
	Fault Fault
	Runs  int
}

// Measure runs plan on a fresh rig. Between two failures it waits until everybody follows again, giving a server that
// was kept out as diverged a fresh start, and progress hears a line about each.
func Measure(ctx context.Context, opts Options, plan Plan, progress func(string)) (b Bench, err error) {
	rig, err := NewRig(opts)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	b = Bench{Family: rig.Binaries.Family, Version: rig.Binaries.Version, Outages: map[Fault][]time.Duration{}}
	if err := rig.Start(ctx); err != nil {
		return b, err
	}
	followers := len(rig.Databases) - 1
	if _, err := rig.Serving(ctx, followers); err != nil {
		return b, err
	}
	if b.Idle, err = rig.idle(ctx, 10*time.Second); err != nil {
		return b, err
	}
	load, stop, err := rig.StartLoad(ctx, opts.PerSecond)
	if err != nil {
		return b, err
	}
	defer stop()
	for _, part := range plan {
		for run := range part.Runs {
			if _, err := rig.Heal(ctx, followers); err != nil {
				return b, fmt.Errorf("before %s %d: %w", part.Fault, run+1, err)
			}
			rest(ctx, time.Second)
			f, err := rig.Inject(ctx, part.Fault, load.Ledger)
			if err != nil {
				return b, fmt.Errorf("%s %d: %w", part.Fault, run+1, err)
			}
			b.Outages[part.Fault] = append(b.Outages[part.Fault], f.Outage())
			progress(fmt.Sprintf("%s %s %d/%d: %s -> %s %.3f s", b.Family, part.Fault, run+1, part.Runs, f.From, f.To, f.Outage().Seconds()))
		}
	}
	rest(ctx, time.Second)
	stop()
	b.Verdict, err = rig.Check(ctx, load.Ledger)
	return b, err
}

// idle measures the nodes over a span of time in which nothing is asked of them.
func (r *Rig) idle(ctx context.Context, span time.Duration) (Idle, error) {
	before := make([]time.Duration, len(r.Nodes))
	var err error
	for i, n := range r.Nodes {
		if before[i], err = cpuTime(n.Pid()); err != nil {
			return Idle{}, err
		}
	}
	rest(ctx, span)
	var worst Idle
	for i, n := range r.Nodes {
		after, err := cpuTime(n.Pid())
		if err != nil {
			return worst, err
		}
		worst.CPU = max(worst.CPU, (after-before[i]).Seconds()/span.Seconds())
		rss, err := residentMemory(n.Pid())
		if err != nil {
			return worst, err
		}
		worst.RSS = max(worst.RSS, rss)
	}
	return worst, nil
}

// cpuTime is user and system time of a process; the kernel counts in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest) // from field 3 on
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d: %d fields", pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

func residentMemory(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d: no VmRSS", pid)
}

// Quantile is the nearest-rank quantile of durations, q from 0 to 1; 0 for none.
func Quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

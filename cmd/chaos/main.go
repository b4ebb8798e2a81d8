// Command chaos injects random faults into a cluster of real servers in network namespaces and checks that nothing that was
// acknowledged is lost. It prints what it did and found; its exit status is 1 when a promise was broken, 2 when it could
// not be run, and 3 when this machine cannot run it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/baton-db/baton/internal/chaos"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/netlab"
)

// The exit statuses.
const (
	statusBroken = 1
	statusFailed = 2
	statusCannot = 3
)

// errBroken is returned when a promise was not kept.
var errBroken = errors.New("a promise was broken")

func main() {
	os.Exit(status(os.Args[1:]))
}

func status(args []string) int {
	err := outer(args)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !netlab.Inside() && errors.As(err, &exit): // the one inside has said why
		return max(exit.ExitCode(), statusBroken)
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	switch {
	case errors.Is(err, errBroken):
		return statusBroken
	case errors.Is(err, netlab.ErrCannot), errors.Is(err, lab.ErrNoServer):
		return statusCannot
	}
	return statusFailed
}

// outer runs the same command inside of namespaces, where inner does the work.
func outer(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.list {
		list(os.Stdout)
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if netlab.Inside() {
		return inner(ctx, o)
	}
	if err := netlab.Check(); err != nil {
		return err
	}
	// The kernel tells the child of the end of the thread that started it, so this goroutine keeps its thread.
	runtime.LockOSThread()
	cmd := netlab.Command(args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: start in namespaces: %w", netlab.ErrCannot, err)
	}
	forward := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) }) // it may be gone
	defer forward()
	return cmd.Wait()
}

type options struct {
	families []lab.Family
	seed     uint64
	length   time.Duration
	calm     bool
	list     bool
	keep     bool
	baton    string
	only     string
	most     int
	rate     int
	within   time.Duration
}

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	family := flags.String("family", "", "mysql or mariadb (default: both, one after the other)")
	minutes := flags.Float64("minutes", 10, "how long faults are injected, for each family")
	o := options{families: []lab.Family{lab.MariaDB, lab.MySQL}}
	flags.Uint64Var(&o.seed, "seed", 0, "the same seed draws the same faults (default: from the clock)")
	flags.BoolVar(&o.calm, "calm", false, "only faults that must not cause a failover; one fails the run")
	flags.StringVar(&o.only, "only", "", "comma separated kinds of faults to draw from")
	flags.IntVar(&o.most, "most", 3, "how many faults strike at a time")
	flags.IntVar(&o.rate, "load", 100, "rows a second")
	flags.DurationVar(&o.within, "within", 30*time.Second, "how long after healing a write must have been acknowledged")
	flags.StringVar(&o.baton, "baton", "bin/baton", "the baton to run")
	flags.BoolVar(&o.keep, "keep", false, "keep the history and the logs also when all promises were kept")
	flags.BoolVar(&o.list, "list", false, "list the kinds of faults and what each may cause")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *family != "" {
		o.families = []lab.Family{lab.Family(*family)}
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	o.length = time.Duration(*minutes * float64(time.Minute))
	if o.length <= 0 || o.most < 1 || o.rate < 1 || flags.NArg() > 0 {
		return o, errors.New("-minutes, -most and -load must be above 0, and there are no arguments")
	}
	path, err := filepath.Abs(o.baton)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil && !o.list {
		return o, fmt.Errorf("find baton: %w", err)
	}
	o.baton = path
	return o, nil
}

func (o options) kinds() ([]chaos.Kind, error) {
	all := chaos.Kinds()
	if o.calm {
		all = chaos.CalmKinds()
	}
	if o.only == "" {
		return all, nil
	}
	var some []chaos.Kind
	for name := range strings.SplitSeq(o.only, ",") {
		i := slices.IndexFunc(all, func(k chaos.Kind) bool { return k.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no kind of fault %q; -list shows all", name)
		}
		some = append(some, all[i])
	}
	return some, nil
}

func list(out io.Writer) {
	for _, k := range chaos.Kinds() {
		fmt.Fprintf(out, "%-24s %-9s %s\n", k.Name, k.Role, k.Effect)
	}
}

// inner runs all families, also after one has failed.
func inner(ctx context.Context, o options) error {
	kinds, err := o.kinds()
	if err != nil {
		return err
	}
	var errs []error
	for _, family := range o.families {
		if ctx.Err() != nil {
			break
		}
		if err := one(ctx, o, family, kinds); err != nil {
			errs = append(errs, fmt.Errorf("%s, seed %d: %w", family, o.seed, err))
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

func one(ctx context.Context, o options, family lab.Family, kinds []chaos.Kind) (err error) {
	dir, release, err := netlab.Claim(parent())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	fmt.Printf("chaos: %s, seed %d, %s, %d kinds of faults\n", family, o.seed, o.length, len(kinds))
	report, err := chaos.Run(ctx, chaos.Options{Family: family, Seed: o.seed, Length: o.length, Kinds: kinds, Most: o.most, Calm: o.calm, PerSecond: o.rate, Within: o.within,
		Baton: []string{o.baton}, Dir: dir, Out: os.Stdout})
	if report != nil {
		report.Print(os.Stdout)
		if err == nil && len(report.Broken()) > 0 {
			err = errBroken
		}
	}
	if err == nil && !o.keep || errors.Is(err, lab.ErrNoServer) || errors.Is(err, context.Canceled) {
		return err
	}
	kept, failed := keep(dir, o, family, report)
	fmt.Printf("chaos: seed %d, history and logs are in %s\n", o.seed, kept)
	return errors.Join(err, failed)
}

// parent is where runs have their directories: on tmpfs when there is one.
func parent() string {
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = os.TempDir()
	}
	return filepath.Join(base, fmt.Sprintf("baton-chaos-%d", os.Getuid()))
}

// keep copies what explains a failure to a place that stays.
func keep(dir string, o options, family lab.Family, report *chaos.Report) (string, error) {
	kept, err := os.MkdirTemp("", fmt.Sprintf("baton-chaos-%s-%d-", family, o.seed))
	if err != nil {
		return "", fmt.Errorf("keep the logs: %w", err)
	}
	history, err := json.MarshalIndent(report, "", " ")
	errs := []error{err, os.WriteFile(filepath.Join(kept, "history.json"), history, 0o600)}
	for _, pattern := range []string{"*.log", "nodes/*/baton.log", "nodes/*/hosts"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is ours
		for _, path := range files {
			b, err := os.ReadFile(path)
			name, _ := filepath.Rel(dir, path) // below it
			errs = append(errs, err, os.WriteFile(filepath.Join(kept, strings.ReplaceAll(name, "/", "-")), b, 0o600))
		}
	}
	return kept, errors.Join(errs...)
}

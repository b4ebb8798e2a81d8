// Command mutants breaks the source on purpose, in many ways one after another, and says who noticed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/baton-db/baton/internal/mutant"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	caught, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
	}
	if err != nil || !caught {
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	hunter mutant.Hunter
	only   *regexp.Regexp
	resume string
	within time.Duration
}

func read(args []string) (options, error) {
	var o options
	h := &o.hunter
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.Uint64Var(&h.Schedules, "n", 1_000_000, "how many schedules are played before the simulation gives up")
	flags.Uint64Var(&h.First, "seed", 1, "seed of the first schedule")
	flags.IntVar(&h.Workers, "workers", 0, "how many schedules are played at the same time; 0: as many as there are processors")
	flags.StringVar(&h.Keep, "keep", "", "write the short case of every mutant that the simulation catches into this `directory`")
	only := flags.String("only", ".", "try the mutants whose name matches this `pattern`")
	flags.StringVar(&o.resume, "resume", "", "remember verdicts in this `file`, and try only what it does not know of this source")
	flags.DurationVar(&o.within, "within", 0, "begin no mutant after so long; with -resume the next run goes on. 0: never stop")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("pattern: %w", err)
	}
	if h.Keep != "" {
		if h.Keep, err = filepath.Abs(h.Keep); err != nil {
			return o, fmt.Errorf("keep cases: %w", err)
		}
	}
	return o, nil
}

// run reports whether all of them were caught.
func run(ctx context.Context, args []string, out io.Writer) (bool, error) {
	began := time.Now()
	o, err := read(args)
	if err != nil {
		return false, err
	}
	h := o.hunter
	all, err := mutant.Table()
	if err != nil {
		return false, err
	}
	all = slices.DeleteFunc(all, func(m mutant.Mutant) bool { return !o.only.MatchString(m.Name) })
	if h.Root, err = root(); err != nil {
		return false, err
	}
	if h.Dir, err = os.MkdirTemp("", "mutants-"); err != nil {
		return false, fmt.Errorf("make a place to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(h.Dir) }()
	try := h.Try
	if o.resume != "" {
		l, err := mutant.OpenLedger(o.resume, h.Root)
		if err != nil {
			return false, err
		}
		defer func() { _ = l.Close() }() // each line was written when it was made
		try = remembered(h, l)
	}
	caught := 0
	var problems []error
	fmt.Fprintf(out, "%-26s %-44s %s\n", "mutant", "caught by", "after schedules")
	for i, m := range all {
		if o.within > 0 && time.Since(began) > o.within {
			return false, fmt.Errorf("%d of %d were not tried within %s", len(all)-i, len(all), o.within)
		}
		v, err := try(ctx, m)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err != nil: // the others are tried all the same
			problems = append(problems, err)
			continue
		}
		if v.By != "" {
			caught++
		}
		tell(out, m, v)
	}
	fmt.Fprintf(out, "mutants: %d of %d caught\n", caught, len(all))
	return caught == len(all), errors.Join(problems...)
}

// remembered tries only what l does not know.
func remembered(h mutant.Hunter, l *mutant.Ledger) func(context.Context, mutant.Mutant) (mutant.Verdict, error) {
	return func(ctx context.Context, m mutant.Mutant) (mutant.Verdict, error) {
		if v, ok := l.Find(h, m); ok {
			return v, nil
		}
		v, err := h.Try(ctx, m)
		if err == nil {
			err = l.Add(h, m, v)
		}
		return v, err
	}
}

func tell(out io.Writer, m mutant.Mutant, v mutant.Verdict) {
	by, after := v.By, "-"
	if by == "" {
		by = "NOBODY: " + m.What
	}
	if v.After > 0 {
		after = fmt.Sprint(v.After)
	}
	fmt.Fprintf(out, "%-26s %-44s %s\n", m.Name, by, after)
}

// root is the directory of the module that the working directory is in.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the module: no go.mod here or above; run it in the repository")
		}
	}
}

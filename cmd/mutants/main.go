// Command mutants breaks the source on purpose, in many ways one after another, and says who noticed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"

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

// run reports whether all of them were caught.
func run(ctx context.Context, args []string, out io.Writer) (bool, error) {
	h := mutant.Hunter{}
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.Uint64Var(&h.Schedules, "n", 1_000_000, "how many schedules are played before the simulation gives up")
	flags.Uint64Var(&h.First, "seed", 1, "seed of the first schedule")
	flags.StringVar(&h.Keep, "keep", "", "write the short case of every mutant that the simulation catches into this `directory`")
	only := flags.String("only", ".", "try the mutants whose name matches this `pattern`")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return false, fmt.Errorf("pattern: %w", err)
	}
	all, err := mutant.Table()
	if err != nil {
		return false, err
	}
	if h.Root, err = root(); err != nil {
		return false, err
	}
	if h.Keep != "" {
		if h.Keep, err = filepath.Abs(h.Keep); err != nil {
			return false, fmt.Errorf("keep cases: %w", err)
		}
	}
	if h.Dir, err = os.MkdirTemp("", "mutants-"); err != nil {
		return false, fmt.Errorf("make a place to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(h.Dir) }()
	tried, caught := 0, 0
	fmt.Fprintf(out, "%-26s %-44s %s\n", "mutant", "caught by", "after schedules")
	for _, m := range all {
		if !pattern.MatchString(m.Name) {
			continue
		}
		v, err := h.Try(ctx, m)
		if err != nil {
			return false, err
		}
		tried++
		after := "-"
		if v.After > 0 {
			after = fmt.Sprint(v.After)
		}
		if v.By == "" {
			v.By = "NOBODY: " + m.What
		} else {
			caught++
		}
		fmt.Fprintf(out, "%-26s %-44s %s\n", m.Name, v.By, after)
	}
	fmt.Fprintf(out, "mutants: %d of %d caught\n", caught, tried)
	return caught == tried, nil
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

// Command sim plays random schedules against the real decisions and the real guard, and says what was met and what broke.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/baton-db/baton/internal/sim"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// options are what the command line says.
type options struct {
	walk   sim.Walk
	story  string
	replay string
	keep   string
	brief  bool
}

// run returns the exit code: 1 when a guarantee was broken, 2 when it could not be tried.
func run(args []string, out, problems io.Writer) int {
	o := options{walk: sim.Walk{Workers: runtime.GOMAXPROCS(0)}}
	flags := flag.NewFlagSet("sim", flag.ContinueOnError)
	flags.SetOutput(problems)
	flags.Usage = func() {
		fmt.Fprintln(problems, "sim plays random schedules of crashes, pauses, cuts, losses and stale leaders against the real decisions and the real\n"+
			"guard, with servers that have the measured quirks of MySQL and MariaDB. G1 to G6 are checked after every event, and when\n"+
			"faults have stopped the database must take writes again.")
		flags.PrintDefaults()
	}
	flags.Uint64Var(&o.walk.Schedules, "n", 10_000, "how many schedules")
	flags.Uint64Var(&o.walk.First, "seed", 1, "seed of the first one; the next one has the next number")
	flags.IntVar(&o.walk.Workers, "workers", o.walk.Workers, "how many are played at the same time")
	flags.IntVar(&o.walk.Enough, "enough", 20, "end after this many violations; 0: never")
	flags.StringVar(&o.story, "story", "", "tell the whole story of the schedule of this `seed`")
	flags.StringVar(&o.replay, "replay", "", "play the case in this `file` and tell its story")
	flags.StringVar(&o.keep, "keep", "", "write the short case of the first failure into this `directory`")
	flags.BoolVar(&o.brief, "brief", false, "print no counts and no story")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || o.walk.Workers < 1 {
		fmt.Fprintf(problems, "sim: what is %q? see sim -help\n", flags.Args())
		return 2
	}
	broken, err := o.do(out)
	switch {
	case err != nil:
		fmt.Fprintf(problems, "sim: %v\n", err)
		return 2
	case broken:
		return 1
	}
	return 0
}

func (o options) do(out io.Writer) (broken bool, err error) {
	switch {
	case o.story != "":
		var seed uint64
		if _, err := fmt.Sscan(o.story, &seed); err != nil {
			return false, fmt.Errorf("seed %q: %w", o.story, err)
		}
		lines, v := sim.Tell(seed)
		return tell(out, lines, v), nil
	case o.replay != "":
		f, err := os.Open(o.replay)
		if err != nil {
			return false, fmt.Errorf("open case: %w", err)
		}
		defer f.Close()
		c, err := sim.ReadCase(f)
		if err != nil {
			return false, fmt.Errorf("%s: %w", o.replay, err)
		}
		v, lines := c.Play()
		return tell(out, lines, v), nil
	}
	return o.play(out)
}

func tell(out io.Writer, lines []string, v *sim.Violation) bool {
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	if v == nil {
		fmt.Fprintln(out, "sim: nothing is broken")
	}
	return v != nil
}

// play plays the schedules. The heap is small and short-lived: collecting it seldom is what makes a million affordable.
func (o options) play(out io.Writer) (bool, error) {
	debug.SetGCPercent(1600)
	began := time.Now()
	tally, failed := o.walk.Go()
	seconds := time.Since(began).Seconds()
	if !o.brief {
		fmt.Fprintf(out, "seeds %d to %d\n%s", o.walk.First, o.walk.First+o.walk.Schedules-1, tally)
	}
	for _, f := range failed {
		fmt.Fprintf(out, "broken: seed %d, schedule %d: %s\n", f.Seed, f.Seed-o.walk.First+1, firstLine(f.Error()))
	}
	if len(failed) > 0 && !o.brief {
		if err := o.explain(out, failed[0].Seed); err != nil {
			return true, err
		}
	}
	fmt.Fprintf(out, "sim: schedules %d, violations %d, seconds %.0f\n", tally.Schedules, len(failed), seconds)
	return len(failed) > 0, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// explain makes the first failure short, tells it, and keeps it.
func (o options) explain(out io.Writer, seed uint64) error {
	c, v, lines := sim.Short(seed)
	if v == nil {
		return fmt.Errorf("seed %d fails only sometimes: the simulation is not deterministic", seed)
	}
	fmt.Fprintf(out, "the same in %d events:\n", len(c.Events))
	tell(out, lines, v)
	if o.keep == "" {
		return nil
	}
	c.Comment = slices.Concat([]string{fmt.Sprintf("seed %d broke %s", seed, firstLine(v.Error())), ""}, lines)
	name := filepath.Join(o.keep, fmt.Sprintf("%s-%d.case", strings.ToLower(v.Guarantee), seed))
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("keep case: %w", err)
	}
	if err := c.Write(f); err != nil {
		f.Close()
		return err
	}
	fmt.Fprintf(out, "kept in %s\n", name)
	return f.Close()
}

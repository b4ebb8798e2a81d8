package mutant

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
)

// Verdict is what became of a mutant.
type Verdict struct {
	// By is the guarantee that was seen broken, or the test that failed; empty: nobody noticed.
	By string
	// After is how many schedules were played, the last one included; 0 for a test.
	After uint64
}

// Hunter tries mutants.
type Hunter struct {
	Root string // of the module
	Dir  string // for what is built; it is the caller's to remove
	// Schedules is how many are played, from seed First on, before the simulation gives up.
	Schedules, First uint64
	// Workers is how many schedules are played at the same time; it changes no verdict. 0: as many as there are processors.
	Workers int
	// Keep is where the short case of each mutant that the simulation catches is written, under the mutant's name; empty:
	// nowhere.
	Keep string
}

// Try builds m and sees whether it is caught. An error means that it could not be tried, a mutant that does not compile
// among them.
func (h Hunter) Try(ctx context.Context, m Mutant) (Verdict, error) {
	overlay, err := h.overlay(m)
	if err != nil {
		return Verdict{}, err
	}
	if m.Test != "" {
		return h.test(ctx, m, overlay)
	}
	program := filepath.Join(h.Dir, "sim")
	if out, err := h.run(ctx, "go", "build", "-overlay", overlay, "-o", program, "./cmd/sim"); err != nil {
		return Verdict{}, fmt.Errorf("build mutant %s: %w\n%s", m.Name, err, out)
	}
	out, err := h.run(ctx, program, "-brief", "-enough", "1", "-n", strconv.FormatUint(h.Schedules, 10), "-seed", strconv.FormatUint(h.First, 10),
		"-workers", strconv.Itoa(cmp.Or(h.Workers, runtime.GOMAXPROCS(0))))
	var exit *exec.ExitError
	switch {
	case err == nil:
		return Verdict{}, nil
	case !errors.As(err, &exit):
		return Verdict{}, fmt.Errorf("run mutant %s: %w", m.Name, err)
	}
	if found := broken.FindSubmatch(out); found != nil {
		after, err := strconv.ParseUint(string(found[1]), 10, 64)
		if err != nil {
			return Verdict{}, fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		return Verdict{By: string(found[2]), After: after}, h.keep(ctx, m, program, h.First+after-1)
	}
	return Verdict{}, fmt.Errorf("mutant %s: %w\n%s", m.Name, err, out)
}

// keep lets the mutated program write down the schedule of the seed by which it was caught.
func (h Hunter) keep(ctx context.Context, m Mutant, program string, seed uint64) error {
	if h.Keep == "" {
		return nil
	}
	dir, err := os.MkdirTemp(h.Dir, "case-")
	if err != nil {
		return fmt.Errorf("keep case of %s: %w", m.Name, err)
	}
	out, _ := h.run(ctx, program, "-n", "1", "-seed", strconv.FormatUint(seed, 10), "-keep", dir) // it fails: it is broken
	names, err := filepath.Glob(filepath.Join(dir, "*.case"))
	if err != nil || len(names) != 1 {
		return fmt.Errorf("keep case of %s: %w\n%s", m.Name, err, out)
	}
	b, err := os.ReadFile(names[0])
	if err == nil {
		b = append([]byte("# mutant "+m.Name+": "+m.What+"\n"), b...)
		err = os.WriteFile(filepath.Join(h.Keep, m.Name+".case"), b, 0o644)
	}
	if err != nil {
		return fmt.Errorf("keep case of %s: %w", m.Name, err)
	}
	return nil
}

// broken is the first line that cmd/sim prints for a violation.
var broken = regexp.MustCompile(`(?m)^broken: seed \d+, schedule (\d+): ([A-Za-z0-9]+):`)

// failed is what a test that fails prints, and a panicking or hanging one does not.
var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: `)

func (h Hunter) test(ctx context.Context, m Mutant, overlay string) (Verdict, error) {
	out, err := h.run(ctx, "go", "test", "-count=1", "-overlay", overlay, "-run", "^"+m.Test+"$", "./"+m.Dir)
	switch {
	case err == nil:
		return Verdict{}, nil
	case failed.Match(out):
		return Verdict{By: m.Dir + "." + m.Test}, nil
	}
	return Verdict{}, fmt.Errorf("mutant %s: %w\n%s", m.Name, err, out)
}

// overlay writes the mutated files and the list of them that the go command reads.
func (h Hunter) overlay(m Mutant) (string, error) {
	sources, err := m.Sources(h.Root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range sources {
		to := filepath.Join(h.Dir, "mutated-"+strconv.Itoa(len(replace))+".go")
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write mutant %s: %w", m.Name, err)
		}
		replace[filepath.Join(h.Root, filepath.FromSlash(name))] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("list mutant %s: %w", m.Name, err)
	}
	list := filepath.Join(h.Dir, "overlay.json")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		return "", fmt.Errorf("list mutant %s: %w", m.Name, err)
	}
	return list, nil
}

func (h Hunter) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = h.Root
	return c.CombinedOutput()
}

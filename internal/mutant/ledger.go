package mutant

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Ledger remembers verdicts in a file, so that a hunt that was ended goes on where it stood. A verdict holds for one source,
// one mutant and one walk: with any other it is not found. One goroutine uses it.
type Ledger struct {
	file    *os.File
	product string // what the simulation is built of
	all     string // and the tests
	known   map[string]Verdict
}

// OpenLedger opens the ledger in the file name for the source under root, and makes it where there is none.
func OpenLedger(name, root string) (*Ledger, error) {
	l := &Ledger{known: map[string]Verdict{}}
	var err error
	if l.product, l.all, err = sums(root); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	if l.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	lines := bufio.NewScanner(l.file)
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t") // key, name for people, schedules, by
		if len(f) != 4 {
			continue // the end of a line that was never finished
		}
		if after, err := strconv.ParseUint(f[2], 10, 64); err == nil {
			l.known[f[0]] = Verdict{By: f[3], After: after}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("read ledger: %w", err), l.file.Close())
	}
	return l, nil
}

// Close closes the file.
func (l *Ledger) Close() error { return l.file.Close() }

// key names what a verdict of h on m depends on.
func (l *Ledger) key(h Hunter, m Mutant) string {
	m.What = ""
	source, walk := l.all, ""
	if m.Test == "" {
		source, walk = l.product, fmt.Sprint(h.First, h.Schedules)
	}
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s %s %+v", source, walk, m)))
}

// Find returns what became of m, where that is known.
func (l *Ledger) Find(h Hunter, m Mutant) (Verdict, bool) {
	v, ok := l.known[l.key(h, m)]
	return v, ok
}

// Add writes down what became of m.
func (l *Ledger) Add(h Hunter, m Mutant, v Verdict) error {
	if _, err := fmt.Fprintf(l.file, "%s\t%s\t%d\t%s\n", l.key(h, m), m.Name, v.After, v.By); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// sums are the sums of the Go files under root, without the tests, and with them and what they read.
func sums(root string) (product, all string, err error) {
	p, a := sha256.New(), sha256.New()
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		read := strings.Contains(path, "testdata")
		if err != nil || e.IsDir() || filepath.Ext(path) != ".go" && !read {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := io.Writer(a)
		if !read && !strings.HasSuffix(path, "_test.go") {
			to = io.MultiWriter(p, a)
		}
		_, err = fmt.Fprintf(to, "%s %d\n%s", e.Name(), len(b), b)
		return err
	})
	return fmt.Sprintf("%x", p.Sum(nil)), fmt.Sprintf("%x", a.Sum(nil)), err
}

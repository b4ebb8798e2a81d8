package mutant

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed mutants.txt
var table string

// Mutant is a broken version of the source.
type Mutant struct {
	Name  string
	What  string // what is wrong in it
	Dir   string // the package whose Test must fail; both are empty for the simulation
	Test  string
	Edits []Edit
}

// Edit replaces Old, which must stand in File exactly once.
type Edit struct {
	File     string // relative to the root of the module
	Old, New string
}

// Table returns all mutants.
func Table() ([]Mutant, error) { return parse(table) }

func parse(text string) ([]Mutant, error) {
	var all []Mutant
	for n, line := range strings.Split(text, "\n") {
		bad := func(what string) error { return fmt.Errorf("mutants.txt:%d: %s: %q", n+1, what, line) }
		kind, rest, _ := strings.Cut(line, " ")
		var m *Mutant
		var e *Edit
		if len(all) > 0 {
			m = &all[len(all)-1]
			if len(m.Edits) > 0 {
				e = &m.Edits[len(m.Edits)-1]
			}
		}
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case kind == "mutant":
			name, what, ok := strings.Cut(rest, ": ")
			if !ok {
				return nil, bad("want mutant NAME: WHAT")
			}
			all = append(all, Mutant{Name: name, What: what})
		case m == nil:
			return nil, bad("before the first mutant")
		case kind == "by":
			var ok bool
			if m.Dir, m.Test, ok = strings.Cut(rest, " "); !ok {
				return nil, bad("want by DIRECTORY TEST")
			}
		case kind == "in":
			m.Edits = append(m.Edits, Edit{File: rest})
		case e == nil:
			return nil, bad("before the first file")
		case line[0] == '-':
			e.Old += line[1:] + "\n"
		case line[0] == '+':
			e.New += line[1:] + "\n"
		default:
			return nil, bad("not understood")
		}
	}
	return all, nil
}

// Sources returns the mutated text of every file that m changes, by its path relative to root. An old text that does not
// stand in its file exactly once is an error: the source has moved on, and the table must follow.
func (m Mutant) Sources(root string) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range m.Edits {
		text, ok := out[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); e.Old == "" || n != 1 {
			return nil, fmt.Errorf("mutant %s: %s holds this %d times, want once:\n%s", m.Name, e.File, n, e.Old)
		}
		out[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return out, nil
}

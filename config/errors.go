package config

import (
	"fmt"
	"slices"
	"strings"
)

// Codes of what can be wrong with a configuration. They are stable: docs/cli.md lists them.
const (
	codeUnreadable = "BT-1001" // a file of the configuration cannot be read
	codeUnknown    = "BT-1002" // a setting or block that there is not
	codeSyntax     = "BT-1003" // not the form of a node file
	codeMissing    = "BT-1004" // a required setting or block is not there
	codeType       = "BT-1005" // a value of the wrong type
	codeValue      = "BT-1006" // a value that cannot be used
	codeTwice      = "BT-1007" // given twice
	codeSecret     = "BT-1008" // the file of a secret
)

// maxShown is how many findings a person gets at once.
const maxShown = 20

// Finding is one thing that is wrong with a configuration, and the way out.
type Finding struct {
	Code    string `json:"code"`
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
	File    string `json:"file"`
	// Line counts from 1; 0 when it is about a whole file or directory.
	Line int `json:"line,omitempty"`
	// Block is where in the file, such as `hosts "system"`; empty outside every block.
	Block  string `json:"block,omitempty"`
	Source string `json:"source,omitempty"` // the text of the line

	name string // of the setting or block that it is about, or was probably meant; empty: none
}

// Error is everything that is wrong with a configuration, each with file, line and a way out.
type Error struct {
	// Path is what Load was given.
	Path string
	// Findings are in the order of the files and of their lines.
	Findings []Finding

	files int
}

// Error is the report as a person reads it, several lines long. Each finding begins with "Error" and its code.
func (e *Error) Error() string {
	var b strings.Builder
	for _, f := range e.Findings[:min(len(e.Findings), maxShown)] {
		f.write(&b)
	}
	if more := len(e.Findings) - maxShown; more > 0 {
		fmt.Fprintf(&b, "%d more are not shown.\n\n", more)
	}
	fmt.Fprintf(&b, "%s in %s, nothing was changed", count(len(e.Findings), "error"), e.Path)
	if e.files > 1 {
		fmt.Fprintf(&b, " (%s)", count(e.files, "file"))
	}
	return b.String()
}

func (f Finding) write(b *strings.Builder) {
	fmt.Fprintf(b, "Error %s: %s\n", f.Code, f.Problem)
	fmt.Fprintf(b, "  on %s", f.File)
	if f.Line > 0 {
		fmt.Fprintf(b, " line %d", f.Line)
	}
	if f.Block != "" {
		fmt.Fprintf(b, ", in %s", f.Block)
	}
	if f.Source != "" {
		fmt.Fprintf(b, ":\n  %d: %.200s", f.Line, f.Source)
	}
	fmt.Fprintf(b, "\n  %s\n\n", strings.ReplaceAll(f.Fix, "\n", "\n  "))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// error makes the error of everything found.
func (l *loader) error() *Error {
	order := func(path string) int {
		return slices.IndexFunc(l.sources, func(s source) bool { return s.path == path })
	}
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		if byFile := order(a.File) - order(b.File); byFile != 0 {
			return byFile
		}
		return a.Line - b.Line
	})
	return &Error{Path: l.path, Findings: l.found, files: len(l.sources)}
}

func (l *loader) add(f Finding) { l.found = append(l.found, f) }

// fail says what is wrong with a setting, at the line where it is written. Without a fix the example of the setting
// stands in.
func (l *loader) fail(field, code, problem, fix string) {
	l.failed[field] = true
	name := unindexed(field)
	if fix == "" {
		fix = "For example: " + lastPart(name) + " = " + example(name)
	}
	l.add(l.at(l.where(field), Finding{Code: code, Problem: problem, Fix: fix}))
}

// refix replaces the way out of what was said last.
func (l *loader) refix(fix string) { l.found[len(l.found)-1].Fix = fix }

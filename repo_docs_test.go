package baton_test

import (
	"fmt"
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/chaos"
)

// A test as documents write it, `registry.TestAnything`, and a kind of fault, `chaos:any-kind`.
var (
	testName = regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	kindName = regexp.MustCompile("`chaos:([a-z0-9-]+)`")
)

// lineTests are what one line of a document is held by.
type lineTests struct {
	cells []string // of a table, trimmed; the first is what a row is about
	names int      // of tests and kinds of faults
}

// heldBy reads a document whose lines name tests and kinds of faults, and complains of those that do not exist.
func heldBy(t *testing.T, document string) []lineTests {
	t.Helper()
	repo := readTree(t, ".")
	have := map[string]bool{}
	repo.eachFunc(repo.files, func(f *goFile, d *ast.FuncDecl) {
		if f.test {
			have[f.dir+"."+d.Name.Name] = true
		}
	})
	for _, k := range chaos.Kinds() {
		have["chaos:"+k.Name] = true
	}
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var out []lineTests
	for i, line := range strings.Split(string(b), "\n") {
		tests, kinds := testName.FindAllStringSubmatch(line, -1), kindName.FindAllStringSubmatch(line, -1)
		for _, m := range tests {
			if !have[m[1]+"."+m[2]] {
				t.Errorf("%s:%d: there is no test %s in %s", document, i+1, m[2], m[1])
			}
		}
		for _, m := range kinds {
			if !have["chaos:"+m[1]] {
				t.Errorf("%s:%d: chaos has no kind of fault %q", document, i+1, m[1])
			}
		}
		l := lineTests{names: len(tests) + len(kinds)}
		if strings.HasPrefix(line, "|") {
			for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
				l.cells = append(l.cells, strings.TrimSpace(c))
			}
		}
		out = append(out, l)
	}
	return out
}

func TestEachGuaranteeNamesTestsThatExist(t *testing.T) {
	held := map[string]int{}
	for _, l := range heldBy(t, "docs/guarantees.md") {
		if len(l.cells) > 0 {
			name, _, _ := strings.Cut(l.cells[0], " ")
			held[name] += l.names
		}
	}
	for i := range 10 {
		if name := fmt.Sprintf("G%d", i+1); held[name] == 0 {
			t.Errorf("docs/guarantees.md names no test that holds %s", name)
		}
	}
}

func TestEachScenarioNamesTestsThatExistOrSaysThatNoneDoes(t *testing.T) {
	const document, scenarios, columns = "docs/scenarios.md", 70, 5
	next := 1
	for _, l := range heldBy(t, document) {
		if len(l.cells) == 0 || l.cells[0] != fmt.Sprint(next) {
			continue
		}
		if len(l.cells) != columns {
			t.Errorf("%s: scenario %d has %d columns, want %d", document, next, len(l.cells), columns)
			continue
		}
		if open := l.cells[columns-1] == "**nothing yet**"; open != (l.names == 0) {
			t.Errorf("%s: scenario %d is held by %q: name tests that hold it, or else **nothing yet** alone", document, next, l.cells[columns-1])
		}
		next++
	}
	if next != scenarios+1 {
		t.Errorf("%s: scenario %d is missing", document, next)
	}
}

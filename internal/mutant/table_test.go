package mutant

import (
	"strings"
	"testing"
)

func TestEveryMutantStillApplies(t *testing.T) {
	all, err := Table()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range all {
		if _, err := m.Sources("../.."); err != nil {
			t.Error(err)
		}
		if names[m.Name] || m.What == "" || len(m.Edits) == 0 {
			t.Errorf("mutant %s is there twice, says nothing or changes nothing", m.Name)
		}
		names[m.Name] = true
		for _, e := range m.Edits {
			if e.Old == e.New {
				t.Errorf("mutant %s: nothing is changed in %s", m.Name, e.File)
			}
		}
	}
	if len(all) < 24 {
		t.Errorf("%d mutants, want at least 24", len(all))
	}
}

func TestATableThatCannotBeReadNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"mutant a":                   "mutants.txt:1",
		"in a.go":                    "mutants.txt:1",
		"mutant a: b\n-x":            "mutants.txt:2",
		"mutant a: b\nin c\nd":       "mutants.txt:3",
		"mutant a: b\nby registry":   "mutants.txt:2",
		"# text\n\nmutant a b\nin c": "mutants.txt:3",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestAnOldTextThatIsGoneIsAnError(t *testing.T) {
	m := Mutant{Name: "a", Edits: []Edit{{File: "table_test.go", Old: "this text " + "is nowhere", New: ""}}}
	if _, err := m.Sources("."); err == nil {
		t.Error("it was applied")
	}
}

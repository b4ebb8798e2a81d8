package mutant

import (
	"os"
	"path/filepath"
	"testing"
)

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func ledger(t *testing.T, name, root string) *Ledger {
	t.Helper()
	l, err := OpenLedger(name, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestAVerdictIsRememberedForOneSourceOneMutantAndOneWalk(t *testing.T) {
	root, name := t.TempDir(), filepath.Join(t.TempDir(), "ledger")
	put(t, filepath.Join(root, "a.go"), "package a")
	put(t, filepath.Join(root, "a_test.go"), "package a")
	walk := Hunter{Schedules: 10, First: 1}
	played := Mutant{Name: "a", What: "something", Edits: []Edit{{File: "a.go", Old: "x", New: "y"}}}
	tested := Mutant{Name: "b", Dir: "a", Test: "TestA", Edits: played.Edits}
	l := ledger(t, name, root)
	for m, v := range map[string]Verdict{"a": {By: "G2", After: 7}, "b": {}} {
		if err := l.Add(walk, map[string]Mutant{"a": played, "b": tested}[m], v); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half a li"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	l = ledger(t, name, root)
	if v, ok := l.Find(walk, played); !ok || v.By != "G2" || v.After != 7 {
		t.Errorf("found %+v %t", v, ok)
	}
	if v, ok := l.Find(walk, tested); !ok || v.By != "" {
		t.Errorf("found %+v %t", v, ok)
	}
	if _, ok := l.Find(Hunter{Schedules: 11, First: 1}, played); ok {
		t.Error("it is found for another walk")
	}
	if _, ok := l.Find(Hunter{Schedules: 11, First: 1}, tested); !ok {
		t.Error("no walk decides what a test says")
	}
	other := played
	other.Edits = []Edit{{File: "a.go", Old: "x", New: "z"}}
	if _, ok := l.Find(walk, other); ok {
		t.Error("it is found for another mutant of the same name")
	}

	put(t, filepath.Join(root, "a_test.go"), "package a // anew")
	l = ledger(t, name, root)
	if _, ok := l.Find(walk, played); !ok {
		t.Error("no test has a part in the simulation")
	}
	if _, ok := l.Find(walk, tested); ok {
		t.Error("the test has changed")
	}
	put(t, filepath.Join(root, "a.go"), "package a // anew")
	if _, ok := ledger(t, name, root).Find(walk, played); ok {
		t.Error("the source has changed")
	}
}

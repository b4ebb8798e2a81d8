package witness

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/hostsgen"
	"github.com/baton-db/baton/registry"
)

func TestListsThatLostMovedOrRepeatAnElementAreFound(t *testing.T) {
	done := []Append{{Key: 1, Element: 5, Read: []int64{4, 5}}, {Key: 1, Element: 7, Read: []int64{4, 5, 7}}}
	for _, c := range []struct {
		name  string
		final []int64
		want  int
	}{
		{"whole", []int64{4, 5, 7}, 0},
		{"more was appended, acknowledged or not", []int64{4, 5, 7, 8}, 0},
		{"the last one is lost", []int64{4, 5}, 1},
		{"everything is lost", nil, 2},
		{"moved", []int64{4, 7, 5}, 2},
		{"something else was between", []int64{4, 5, 6, 7}, 1},
		{"repeated", []int64{4, 5, 7, 5}, 1},
	} {
		if wrong := CheckLists(done, map[int64][]int64{1: c.final}); len(wrong) != c.want {
			t.Errorf("%s: %d findings, want %d: %v", c.name, len(wrong), c.want, wrong)
		}
	}
	if wrong := CheckLists([]Append{{Key: 1, Element: 5, Read: []int64{4}}}, map[int64][]int64{1: {4, 5}}); len(wrong) != 1 {
		t.Errorf("an append that did not see itself: %v", wrong)
	}
}

func TestNamesThatGoBackAreFound(t *testing.T) {
	order := []string{"a", "b", "a", "c"}
	for _, c := range []struct {
		sights string
		back   bool
	}{
		{"abac", false}, {"ac", false}, {"bc", false}, {"", false}, {"aba", false},
		{"ca", true}, {"abab", true}, {"acb", true}, {"x", true},
	} {
		var sights []Sight
		for _, s := range strings.Split(c.sights, "") {
			sights = append(sights, Sight{Addr: s})
		}
		if _, back := OutOfOrder(sights, order); back != c.back {
			t.Errorf("%s against %v: back %t", c.sights, order, back)
		}
	}
}

func TestAnEpochThatGoesBackAndTwoAddressesAreFound(t *testing.T) {
	n := NewNames()
	n.epoch("DNS of db1", 3)
	n.epoch("DNS of db2", 2)
	n.epoch("DNS of db1", 0) // nothing was said
	n.see(n.dns, &n.answers, "DNS of db1", []string{"a"})
	if wrong := n.Check([]string{"a"}); len(wrong) > 0 {
		t.Errorf("nothing is wrong, but %v", wrong)
	}
	n.epoch("DNS of db1", 2)
	n.see(n.dns, &n.answers, "DNS of db1", []string{"a", "b"})
	if wrong := n.Check([]string{"a"}); len(wrong) != 2 {
		t.Errorf("%d findings, want 2: %v", len(wrong), wrong)
	}
}

func TestAHostsFileThatIsNotWholeIsFound(t *testing.T) {
	file := hostsgen.Block{Cluster: "demo", Epoch: 4, Index: 9, Lines: []string{"10.0.0.1 " + demo.PrimaryName + " orders-db"}}
	b, err := hostsgen.Merge([]byte(foreignLines), file)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(b)
	addrs, epoch, err := parseHosts(whole)
	if err != nil || len(addrs) != 1 || addrs[0] != "10.0.0.1" || epoch != 4 {
		t.Errorf("a whole file: %v, epoch %d, %v", addrs, epoch, err)
	}
	if _, _, err := parseHosts(foreignLines); err != nil {
		t.Errorf("a file from before: %v", err)
	}
	for name, text := range map[string]string{
		"empty":         "",
		"cut off":       whole[:len(whole)-20],
		"edited inside": strings.Replace(whole, "10.0.0.1", "10.0.0.2", 1),
		"line lost":     strings.Replace(whole, "127.0.0.1 localhost\n", "", 1),
	} {
		if _, _, err := parseHosts(text); err == nil {
			t.Errorf("%s: nothing is found wrong with\n%s", name, text)
		}
	}
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(whole[:40]), 0o600); err != nil {
		t.Fatal(err)
	}
	n := NewNames()
	n.read("db1", path)
	if len(n.Check(nil)) != 1 {
		t.Errorf("a torn file: %v", n.Check(nil))
	}
}

func TestEpochsAreReadOutOfTheReason(t *testing.T) {
	for text, want := range map[string]registry.Epoch{
		"db1 is primary, epoch 12, since x: y":               12,
		"db1 is being replaced, epoch 3, fencing since x: y": 3,
		"no primary yet: 2 of 3 expected members registered": 0,
		"": 0,
	} {
		if got := epochIn(text); got != want {
			t.Errorf("%q: epoch %d, want %d", text, got, want)
		}
	}
}

func TestAHistoryThatIsNotLinearizableIsFound(t *testing.T) {
	write := func(value int, call, end int64) porcupine.Operation {
		return porcupine.Operation{Input: access{value: value}, Output: value, Call: call, Return: end}
	}
	read := func(value int, call, end int64) porcupine.Operation {
		return porcupine.Operation{ClientId: 1, Input: access{}, Output: value, Call: call, Return: end}
	}
	for _, c := range []struct {
		name    string
		history []porcupine.Operation
		wrong   bool
	}{
		{"read after write", []porcupine.Operation{write(1, 0, 1), read(1, 2, 3)}, false},
		{"stale read", []porcupine.Operation{write(1, 0, 1), read(0, 2, 3)}, true},
		{"a write in doubt that happened", []porcupine.Operation{write(1, 0, math.MaxInt64), read(0, 1, 2), read(1, 3, 4)}, false},
		{"a write in doubt that was seen and went away", []porcupine.Operation{write(1, 0, math.MaxInt64), read(1, 1, 2), read(0, 3, 4)}, true},
		{"a write that happened twice", []porcupine.Operation{write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)}, true},
	} {
		if problem := Linearizable(c.history, time.Minute); (problem != "") != c.wrong {
			t.Errorf("%s: %q", c.name, problem)
		}
	}
}

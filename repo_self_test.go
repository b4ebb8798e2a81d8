package baton_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// source is a small repository: text by path.
type source map[string]string

// broken has, for each rule, sources that it must flag at exactly these places.
var broken = []struct {
	rule  string
	files source
	want  []string // where
}{
	{"imports", source{"registry/a.go": "package registry\n\nimport _ \"" + module + "/mysqld\"\n"}, []string{"registry/a.go:3"}},
	{"imports", source{"promote/a.go": "package promote\nimport _ \"" + module + "/raft\"\n"}, []string{"promote/a.go:2"}},
	{"imports", source{"raft/sub/a.go": "package sub\n"}, []string{"raft/sub/a.go:1"}},
	{"imports", source{"agent/a.go": "package agent\nimport _ \"" + module + "/demo\"\n"}, []string{"agent/a.go:2"}},
	{"imports", source{"cmd/baton/a.go": "package main\nimport _ \"" + module + "/promote\"\n"}, []string{"cmd/baton/a.go:2"}},
	{"vendors", source{"api/a.go": "package api\nimport hraft \"github.com/hashicorp/raft\"\n"}, []string{"api/a.go:2"}},
	{"vendors", source{"raft/a.go": "package raft\nimport \"github.com/hashicorp/raft\"\n"}, []string{"raft/a.go:2"}},
	{"vendors", source{"agent/a_test.go": "package agent\nimport \"github.com/hashicorp/memberlist\"\n"}, []string{"agent/a_test.go:2"}},
	{"vendors", source{"api/a.go": "package api\nimport \"example.com/new\"\n"}, []string{"api/a.go:2"}},
	{"vendors", source{"api/a.go": "package api\nimport \"pgregory.net/rapid\"\n"}, []string{"api/a.go:2"}},
	{"purity", source{"registry/a.go": "package registry\nimport \"time\"\nvar _ = time.Now()\n"}, []string{"registry/a.go:3"}},
	{"purity", source{"registry/a.go": "package registry\nimport clock \"time\"\nvar now = clock.Now\n"}, []string{"registry/a.go:3"}},
	{"purity", source{"promote/decide/decide_x.go": "package promote\nimport (\n\"net\"\n\"log/slog\"\n)\n"}, []string{"promote/decide/decide_x.go:3", "promote/decide/decide_x.go:4"}},
	{"purity", source{"mysqld/gtid/set.go": "package gtid\nfunc f() {\n\tgo f()\n}\n"}, []string{"mysqld/gtid/set.go:3"}},
	{"package doc", source{"api/a.go": "package api\n"}, []string{"api/a.go:1"}},
	{"package doc", source{"api/a.go": "// The door.\npackage api\n"}, []string{"api/a.go:1"}},
	{"package doc", source{"cmd/baton/a.go": "// Package main is.\npackage main\n"}, []string{"cmd/baton/a.go:1"}},
	{"package doc", source{"api/a.go": "// Package api is.\npackage api\n", "api/b.go": "// Package api is.\npackage api\n"}, []string{"api/b.go:1"}},
	{"exported doc", source{"api/a.go": "package api\nfunc F() {}\ntype T int\nfunc (T) M() {}\nvar V = 1\n"},
		[]string{"api/a.go:2", "api/a.go:3", "api/a.go:4", "api/a.go:5"}},
	{"exported doc", source{"api/a.go": "package api\n\n// Some.\ntype (\n\tT int\n)\n"}, []string{"api/a.go:5"}},
	{"file size", source{"api/a.go": "package api\n" + strings.Repeat("\n", 500)}, []string{"api/a.go:501"}},
	{"function size", source{"api/a.go": "package api\nfunc f() {" + strings.Repeat("\n", 80) + "}\n"}, []string{"api/a.go:2"}},
	{"package size", source{
		"raft/a.go": "package raft\n" + strings.Repeat("\n", 499), "raft/b.go": "package raft\n" + strings.Repeat("\n", 499),
		"raft/c.go": "package raft\n" + strings.Repeat("\n", 499), "raft/d.go": "package raft\n",
	}, []string{"raft/a.go:1"}},
	{"parameters", source{"api/a.go": "package api\nfunc f(a, b, c, d, e, f int) {}\n"}, []string{"api/a.go:2"}},
	{"parameters", source{"api/a.go": "package api\ntype T int\nfunc (T) Set(on ...bool) {}\n"}, []string{"api/a.go:3"}},
	{"parameters", source{"api/a.go": "package api\ntype I interface {\n\tSet(on bool)\n}\n"}, []string{"api/a.go:3"}},
	{"bare go", source{"api/a.go": "package api\nfunc f() {\n\tgo func() {}()\n}\n"}, []string{"api/a.go:3"}},
	{"init", source{"api/a.go": "package api\nfunc init() {}\n"}, []string{"api/a.go:2"}},
	{"package variables", source{"api/a.go": "package api\nimport \"sync\"\nvar mu sync.Mutex\nvar m = make(map[int]int)\nvar p = &struct{}{}\n"},
		[]string{"api/a.go:3", "api/a.go:4", "api/a.go:5"}},
	{"package variables", source{
		"api/a.go": "package api\nvar n = 1\nvar table = map[string]int{}\nvar list = []int{2, 1}\n",
		"api/b.go": "package api\nimport \"slices\"\nfunc f() *int {\n\tn++\n\ttable[\"a\"] = 1\n\tdelete(table, \"a\")\n\tslices.Sort(list)\n\treturn &n\n}\n",
	}, []string{"api/b.go:4", "api/b.go:5", "api/b.go:6", "api/b.go:7", "api/b.go:8"}},
	{"package variables", source{"api/a.go": "package api\nimport \"sync/atomic\"\nvar last = atomic.Pointer[int]{}\n"}, []string{"api/a.go:3"}},
	{"sleep", source{"api/a_test.go": "package api\nimport \"time\"\nfunc f() {\n\ttime.Sleep(1)\n\t<-time.After(1)\n}\n"},
		[]string{"api/a_test.go:4", "api/a_test.go:5"}},
	{"sleep", source{"internal/lab/labtest/a.go": "package labtest\nimport \"time\"\nfunc f() {\n\ttime.Sleep(1)\n}\n"},
		[]string{"internal/lab/labtest/a.go:4"}},
	{"type names", source{"api/a.go": "package api\ntype ClusterManager int\nfunc f() {\n\ttype hostInfo int\n}\n"}, []string{"api/a.go:2", "api/a.go:4"}},
	{"package names", source{"api/util/a.go": "package util\n"}, []string{"api/util/a.go:1"}},
	{"field words", source{"mysqld/a.go": "package mysqld\nfunc stopSlave() {}\n"}, []string{"mysqld/a.go:2"}},
	{"field words", source{"promote/a.go": "package promote\n\n// f stops the slave.\nfunc f() string { return \"CHANGE MASTER\" }\n"},
		[]string{"promote/a.go:4", "promote/a.go:3"}},
	{"machine text", source{"README.md": "see\n" + machineWords[0] + "x\n", "Makefile": machineWords[2] + "\n"}, []string{"README.md:2", "Makefile:1"}},
}

// sound has, for each rule, sources that look like a violation and are none.
var sound = []struct {
	rule  string
	files source
}{
	{"imports", source{
		"promote/a.go": "package promote\nimport _ \"" + module + "/registry\"\n", "promote/a_test.go": "package promote\nimport _ \"" + module + "/raft\"\n",
		"internal/lab/labtest/a.go": "package labtest\nimport _ \"" + module + "/internal/lab\"\n",
		"cmd/baton/a.go":            "package main\nimport _ \"" + module + "/agent\"\n",
	}},
	{"vendors", source{
		"raft/a.go": "package raft\nimport hraft \"github.com/hashicorp/raft\"\n", "api/a_test.go": "package api\nimport \"github.com/miekg/dns\"\n",
		"api/a.go": "package api\nimport \"golang.org/x/sync/errgroup\"\n",
	}},
	{"purity", source{
		"registry/a.go":   "package registry\nimport (\n\"net/netip\"\n\"time\"\n)\nconst d = time.Second\ntype T struct{ Now int }\nvar _ = T{}.Now\n",
		"promote/loop.go": "package promote\nimport \"time\"\nvar _ = time.Now()\n", "registry/a_test.go": "package registry\nimport _ \"os\"\n",
	}},
	{"package doc", source{
		"api/a.go": "// Package api is the door.\npackage api\n", "api/b.go": "package api\n", "cmd/baton/main.go": "// Command baton runs.\npackage main\n",
		"x_test.go": "package x_test\n",
	}},
	{"exported doc", source{"api/a.go": "package api\n\n// The names.\nconst (\n\tA = 1\n)\n\nfunc (t) M() {}\n\ntype t int\n\n// E is.\ntype E int\n\nfunc (E) Error() string { return \"\" }\n"}},
	{"file size", source{"api/a.go": "package api\n" + strings.Repeat("\n", 499)}},
	{"function size", source{"api/a.go": "package api\nfunc f() {" + strings.Repeat("\n", 79) + "}\n"}},
	{"package size", source{"api/a.go": "package api\n" + strings.Repeat("\n", 499), "api/a_test.go": strings.Repeat("\n", 1499) + "package api\n"}},
	{"parameters", source{"api/a.go": "package api\nfunc F(a, b, c, d, e int, ) {}\nfunc g(on bool) {}\nfunc H(f func(bool)) bool { return true }\n"}},
	{"bare go", source{"api/a_test.go": "package api\nfunc f() {\n\tgo f()\n}\n"}},
	{"init", source{"api/a.go": "package api\ntype t int\nfunc (t) init() {}\n"}},
	{"package variables", source{"api/a.go": "package api\nimport (\n\t_ \"embed\"\n\t\"errors\"\n)\n\n//go:embed page.html\nvar page string\n\n" +
		"var ErrX = errors.New(\"x\")\nvar table = map[string]int{\"a\": 1}\nvar _ interface{} = (*int)(nil)\n" +
		"func f() int {\n\ttable := map[string]int{}\n\ttable[\"b\"] = 1\n\treturn len(table)\n}\n"}},
	{"sleep", source{"api/a_test.go": "package api\nimport (\n\t\"testing/synctest\"\n\t\"time\"\n)\n" +
		"func TestA(t *testing.T) {\n\tsynctest.Test(t, func(t *testing.T) {\n\t\ttime.Sleep(1)\n\t})\n\tbubble(t, func() { time.Sleep(1) })\n}\n" +
		"func bubble(t *testing.T, f func()) {\n\tsynctest.Test(t, func(*testing.T) { f() })\n}\n" +
		"// wait waits in a bubble.\nfunc wait() { time.Sleep(1) }\n" +
		"func poll() {\n\tselect {\n\tcase <-time.After(1):\n\tcase <-done:\n\t}\n}\n", "api/a.go": "package api\nimport \"time\"\nfunc f() { time.Sleep(1) }\n"}},
	{"type names", source{"api/a.go": "package api\ntype Datagram int\nvar data = 1\n"}},
	{"package names", source{"api/utility/a.go": "package utility\n"}},
	{"field words", source{"mysqld/a.go": "package mysqld\n\n// f is STOP SLAVE.\nfunc f() string { return \"STOP SLAVE\" }\n",
		"dnsserver/a.go": "package dnsserver\nconst mailbox = \"hostmaster.\"\n"}},
	{"machine text", source{"README.md": "the network/working set\n"}},
}

func TestEachHouseRuleCanFail(t *testing.T) {
	shown := map[string]bool{}
	for i, c := range broken {
		t.Run(fmt.Sprintf("%s/%d", c.rule, i), func(t *testing.T) {
			var got []string
			for _, v := range ruleNamed(t, c.rule).check(parseTree(t, c.files)) {
				got = append(got, v.where)
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(c.want)); !slices.Equal(got, want) {
				t.Errorf("flagged %v, want %v", got, want)
			}
		})
		shown[c.rule] = true
	}
	for _, r := range rules {
		if !shown[r.name] {
			t.Errorf("rule %q has no source that it flags", r.name)
		}
	}
}

func TestHouseRulesLetSoundCodePass(t *testing.T) {
	shown := map[string]bool{}
	for _, c := range sound {
		t.Run(c.rule, func(t *testing.T) {
			for _, v := range ruleNamed(t, c.rule).check(parseTree(t, c.files)) {
				t.Errorf("%s: %s", v.where, v.what)
			}
		})
		shown[c.rule] = true
	}
	if len(shown) != len(rules) {
		t.Errorf("%d rules are shown to let something pass, there are %d: %v", len(shown), len(rules), slices.Sorted(maps.Keys(shown)))
	}
}

// ruleNamed finds a rule.
func ruleNamed(t *testing.T, name string) rule {
	t.Helper()
	i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
	if i < 0 {
		t.Fatalf("no rule %q", name)
	}
	return rules[i]
}

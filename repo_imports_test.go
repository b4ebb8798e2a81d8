package baton_test

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"strings"
)

const module = "github.com/baton-db/baton"

// rooms are all rooms that one node is made of.
var rooms = []string{
	"registry", "raft", "discovery", "health", "mysqld", "mysqld/gtid", "mysqld/process", "mysqld/binlog", "mysqld/archive", "mysqld/offline", "promote", "dnsserver", "hostsgen", "identity", "identity/founder", "api", "api/server",
	"registry/codec", "promote/decide", "promote/rejoin", "promote/upstream", "promote/power", "api/operate", "api/strict", "agent/standing",
}

// picture says which of our own packages the code of each package may import: doc.go, as a table. Tests, and packages
// named *test, may import what they like. "cmd/*" stands for every command.
var picture = map[string][]string{
	".":                {},
	"registry":         {},
	"registry/codec":   {"registry"},
	"mysqld":           {"mysqld/process", "mysqld/gtid"},
	"mysqld/gtid":      {},
	"mysqld/process":   {"internal/beat"},
	"mysqld/binlog":    {},
	"mysqld/archive":   {"mysqld", "mysqld/binlog", "internal/durable"},
	"mysqld/offline":   {"mysqld", "mysqld/binlog"},
	"identity":         {"internal/durable"},
	"identity/founder": {"identity", "internal/durable"},
	"discovery":        {},
	"internal/simnet":  {},
	"internal/bubble":  {},
	"internal/lab":     {},
	"raft":             {"registry", "registry/codec", "raft/raftlog", "raft/vendorlog", "internal/beat"},
	"raft/raftlog":     {"internal/durable"},
	"raft/vendorlog":   {},
	"internal/portuse": {},
	"internal/beat":    {},
	"internal/durable": {},
	"dnsserver":        {"registry", "internal/portuse"},
	"hostsgen":         {"registry", "internal/durable"},
	"health":           {"registry", "mysqld", "mysqld/process", "internal/beat"},
	"promote":          {"registry", "health", "mysqld", "promote/promise", "promote/recall", "promote/lease", "internal/beat"},
	"promote/decide":   {"registry", "health", "mysqld", "internal/beat", "promote/lease"},
	"promote/lease":    {},
	"promote/promise":  {"registry", "internal/durable"},
	"promote/recall":   {"health", "mysqld"},
	"promote/rejoin":   {"registry", "health", "mysqld", "mysqld/process", "mysqld/archive", "mysqld/offline", "internal/durable"},
	"promote/upstream": {"health", "mysqld", "internal/beat"},
	"promote/power":    {"registry", "health", "mysqld", "mysqld/process", "internal/beat", "internal/durable"},
	"api":              {"registry", "registry/codec", "health", "internal/beat"},
	"api/strict":       {},
	"api/operate":      {"registry", "health", "mysqld", "api"},
	"api/server":       {"registry", "registry/codec", "health", "api", "api/operate", "api/strict"},
	"agent":            append(slices.Clone(rooms), "promote/lease", "internal/portuse", "internal/beat"),
	"agent/standing":   {"registry", "api"},
	"config":           {"registry", "mysqld", "promote/rejoin", "agent"},
	"demo":             {"registry", "identity", "api", "internal/lab"}, // it drives processes from outside, as a person would

	"internal/netlab":        {},
	"internal/chaos/witness": {"registry", "hostsgen", "identity", "api", "demo"},
	"internal/chaos":         {"registry", "promote/decide", "api", "demo", "internal/lab", "internal/netlab", "internal/chaos/witness"},
	// Whose certificate, which servers.
	"cmd/*":                    {"agent", "api", "health", "registry", "config", "demo", "identity", "internal/lab", "internal/netlab", "internal/chaos", "internal/sim", "internal/mutant", "internal/killpoint"},
	"internal/sim":             {"registry", "health", "mysqld", "promote", "promote/decide", "promote/lease", "promote/promise", "promote/recall", "internal/mysqldtest"},
	"internal/mutant":          {},
	"internal/killpoint":       {"registry", "api", "demo", "internal/lab", "internal/killpoint/point"},
	"internal/killpoint/point": {},
}

func checkImports(t *tree) []violation {
	var out []violation
	for _, f := range t.code() {
		if strings.HasSuffix(path.Base(f.dir), "test") {
			continue
		}
		room := f.dir
		if path.Dir(room) == "cmd" {
			room = "cmd/*"
		}
		allowed, known := picture[room]
		if !known {
			out = append(out, t.at(f.syntax.Name, "package %s is not in the picture; give it a place in doc.go and in this table", f.dir))
			continue
		}
		for spec, imp := range f.imports() {
			own, ok := strings.CutPrefix(imp[0], module+"/")
			if ok && !slices.Contains(allowed, own) {
				out = append(out, t.at(spec, "%s may not import %s; it may import %v", f.dir, own, allowed))
			}
		}
	}
	return out
}

// vendor is a third-party module and who may know it.
type vendor struct {
	path  string   // import path prefix, whole elements
	rooms []string // directories; a trailing /* stands for any one element
	tests bool     // any _test.go may import it too
	alias string   // the name it must be imported as; empty: any
}

// vendors are all third parties. golang.org/x extends the standard library and may be imported anywhere that the purity
// rule does not forbid.
var vendors = []vendor{
	{path: "github.com/hashicorp/raft", rooms: []string{"raft", "raft/raftlog", "internal/simnet"}, alias: "hraft"},
	{path: "github.com/hashicorp/go-hclog", rooms: []string{"raft", "raft/vendorlog", "internal/simnet"}},
	{path: "go.etcd.io/bbolt", rooms: []string{"raft/raftlog"}},
	{path: "github.com/hashicorp/memberlist", rooms: []string{"discovery", "internal/simnet"}},
	{path: "github.com/hashicorp/go-immutable-radix/v2", rooms: []string{"registry"}},
	{path: "github.com/miekg/dns", rooms: []string{"dnsserver", "internal/chaos/witness"}, tests: true},
	{path: "github.com/go-sql-driver/mysql", rooms: []string{"mysqld", "demo", "internal/chaos/witness"}, tests: true},
	{path: "github.com/anishathalye/porcupine", rooms: []string{"internal/chaos/witness"}},
	{path: "github.com/spf13/cobra", rooms: []string{"cmd/*"}},
	{path: "github.com/spf13/pflag", rooms: []string{"cmd/*"}},
	{path: "github.com/hashicorp/hcl/v2", rooms: []string{"config"}},
	{path: "github.com/google/renameio/v2", rooms: []string{"identity"}},
	{path: "github.com/cenkalti/backoff/v5", rooms: []string{"api", "discovery"}},
	{path: "github.com/google/go-cmp", tests: true},
	{path: "github.com/rogpeppe/go-internal", tests: true},
	{path: "go.uber.org/goleak", tests: true},
	{path: "pgregory.net/rapid", tests: true},
}

func checkVendors(t *tree) []violation {
	var out []violation
	for _, f := range t.files {
		for spec, imp := range f.imports() {
			first, _, _ := strings.Cut(imp[0], "/")
			if !strings.Contains(first, ".") || within(imp[0], module) || within(imp[0], "golang.org/x") {
				continue
			}
			i := slices.IndexFunc(vendors, func(v vendor) bool { return within(imp[0], v.path) })
			if i < 0 {
				out = append(out, t.at(spec, "%s belongs to no room; give it one in this table, or do without", imp[0]))
				continue
			}
			v := vendors[i]
			if !slices.ContainsFunc(v.rooms, func(r string) bool { ok, _ := path.Match(r, f.dir); return ok }) && !(v.tests && f.test) {
				out = append(out, t.at(spec, "%s may not import %s, only %v may", f.dir, imp[0], v.rooms))
			}
			if v.alias != "" && imp[1] != v.alias {
				out = append(out, t.at(spec, "import %s as %s", imp[0], v.alias))
			}
		}
	}
	return out
}

// within reports whether p is prefix or below it.
func within(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

// pureFiles are the files, by path pattern, that hold nothing but functions of their arguments.
var pureFiles = []string{
	"registry/*.go",
	"registry/codec/*.go",
	"promote/decide/decide*.go",
	"promote/step*.go",
	"promote/lease/lease.go",
	"promote/recall/*.go",
	"promote/rejoin/step*.go",
	"api/operate/*.go",
	"mysqld/gtid/*.go",
	"dnsserver/answer*.go",
	"hostsgen/merge*.go",
	"hostsgen/render*.go",
}

// impureImports read or change the world; net/netip is a value package and allowed.
var impureImports = map[string]string{
	"net": "network", "net/http": "network", "os": "files and environment", "os/exec": "processes", "syscall": "the system",
	"log": "a log", "log/slog": "a log", "math/rand": "chance", "math/rand/v2": "chance", "crypto/rand": "chance",
}

// impureTime are the functions of package time that read the clock or wait for it.
var impureTime = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func checkPurity(t *tree) []violation {
	var out []violation
	for _, f := range t.code() {
		if !slices.ContainsFunc(pureFiles, func(p string) bool { ok, _ := path.Match(p, f.path); return ok }) {
			continue
		}
		for spec, imp := range f.imports() {
			if what, bad := impureImports[imp[0]]; bad {
				out = append(out, t.at(spec, "pure code imports %s (%s)", imp[0], what))
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				out = append(out, t.at(n, "pure code starts a goroutine"))
			}
			for _, name := range impureTime {
				if f.names(n, "time", name) {
					out = append(out, t.at(n, "pure code uses time.%s; take a now or a duration", name))
				}
			}
			return true
		})
	}
	return out
}

// sortedDirs returns the directories of a package map in order.
func sortedDirs(m map[string][]*goFile) []string { return slices.Sorted(maps.Keys(m)) }

package baton_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// oldWords are what the field called replication before it said primary and replica. A hostmaster is none of them: it is
// the mailbox of an SOA record.
var oldWords = regexp.MustCompile(`(?i)(host)?master|slave`)

// oldWord returns the first old word in s, or "".
func oldWord(s string) string {
	for _, w := range oldWords.FindAllString(s, -1) {
		if !strings.EqualFold(w, "hostmaster") {
			return w
		}
	}
	return ""
}

// oldWordRooms may use the old words in string literals and comments: SQL and settings of MariaDB and the kernel's bridges
// need them, and a configuration file may be written by someone who knows no others.
var oldWordRooms = []string{"mysqld", "internal/lab", "internal/netlab", "config"}

func checkFieldWords(t *tree) []violation {
	var out []violation
	for _, f := range t.files {
		allowed := f.dir == "." || slices.ContainsFunc(oldWordRooms, func(r string) bool { return within(f.dir, r) })
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if oldWord(n.Name) != "" {
					out = append(out, t.at(n, "identifier %s; say primary, replica or source", n.Name))
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING && !allowed && oldWord(n.Value) != "" {
					out = append(out, t.at(n, "%s: SQL and its words belong to mysqld", n.Value))
				}
			}
			return true
		})
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if w := oldWord(c.Text); w != "" && !allowed {
					out = append(out, t.at(c, "comment says %q; say primary, replica or source", w))
				}
			}
		}
	}
	return out
}

// machineWords mean something on one machine, or on one network, only. They are written in pieces so that this file
// does not hold them itself.
var machineWords = []string{
	"/wo" + "rk/", "/ro" + "ot/",
	"proxy." + "golang.org", "sum." + "golang.org", "go" + "proxy.io", "go" + "proxy.cn",
	"deb." + "debian.org", "security." + "debian.org", "archive." + "ubuntu.com", "ftp." + "debian.org",
	"registry." + "npmjs.org", "pypi." + "org", "files." + "pythonhosted.org", "crates." + "io", "registry-1." + "docker.io",
}

func checkMachineText(t *tree) []violation {
	var out []violation
	for _, f := range t.texts {
		if !utf8.ValidString(f.body) {
			continue
		}
		for i, line := range strings.Split(f.body, "\n") {
			for _, w := range machineWords {
				if strings.Contains(line, w) {
					out = append(out, violation{fmt.Sprintf("%s:%d", f.path, i+1), fmt.Sprintf("holds %q", w)})
				}
			}
		}
	}
	return out
}

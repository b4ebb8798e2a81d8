package baton_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"
)

// checkPackageVars flags package variables that are written, or that are made to be written: errors, compiled patterns,
// embedded files, interface assertions and tables that nobody assigns may stay.
func checkPackageVars(t *tree) []violation {
	var out []violation
	packages := t.packages()
	for _, dir := range sortedDirs(packages) {
		for _, f := range packages[dir] {
			for _, d := range f.syntax.Decls {
				if g, ok := isVar(d); ok {
					out = append(out, t.bornMutable(f, g)...)
				}
			}
		}
		out = append(out, t.writtenVars(dir, packages[dir])...)
	}
	return out
}

// bornMutable finds variables that have no value yet or whose value exists to be changed.
func (t *tree) bornMutable(f *goFile, g *ast.GenDecl) []violation {
	var out []violation
	for _, s := range g.Specs {
		spec := s.(*ast.ValueSpec)
		if embeds(g.Doc) || embeds(spec.Doc) {
			continue
		}
		for i, n := range spec.Names {
			switch {
			case n.Name == "_":
			case len(spec.Values) == 0:
				out = append(out, t.at(n, "var %s has no value: it can only be meant to get one later", n))
			case i < len(spec.Values) && f.mutableValue(spec.Values[i]):
				out = append(out, t.at(n, "var %s holds a value that is made to be changed", n))
			}
		}
	}
	return out
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// mutableValue reports whether e is new, make, the address of a literal, or something of sync, sync/atomic or prometheus.
func (f *goFile) mutableValue(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.UnaryExpr:
		return e.Op == token.AND
	case *ast.CompositeLit:
		return f.from(e.Type, "sync", "sync/atomic")
	case *ast.CallExpr:
		if id, ok := e.Fun.(*ast.Ident); ok {
			return id.Name == "new" || id.Name == "make"
		}
		return f.from(e.Fun, "sync", "expvar", "github.com/prometheus/client_golang/prometheus",
			"github.com/prometheus/client_golang/prometheus/promauto")
	}
	return false
}

// from reports whether e is a name of one of the packages.
func (f *goFile) from(e ast.Expr, packages ...string) bool {
	if x, ok := e.(*ast.IndexExpr); ok {
		e = x.X // atomic.Pointer[T]
	}
	sel, ok := e.(*ast.SelectorExpr)
	return ok && slices.ContainsFunc(packages, func(p string) bool { return f.names(e, p, sel.Sel.Name) })
}

// writtenVars finds package variables that code of the package assigns, takes the address of, or hands to a function
// that changes its argument.
func (t *tree) writtenVars(dir string, files []*goFile) []violation {
	var syntax []*ast.File
	for _, f := range files {
		syntax = append(syntax, f.syntax)
	}
	// Imports are not resolved, so there are type errors; which identifier means which variable is found all the same.
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: noImports{}, Error: func(error) {}, FakeImportC: true}
	pkg, _ := config.Check(dir, t.fset, syntax, info)
	var out []violation
	flag := func(e ast.Expr, how string) {
		id := root(e)
		if id == nil {
			return
		}
		if v, ok := info.Uses[id].(*types.Var); ok && v.Parent() == pkg.Scope() {
			out = append(out, t.at(e, "package variable %s is %s", id.Name, how))
		}
	}
	for _, f := range files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					flag(e, "assigned")
				}
			case *ast.IncDecStmt:
				flag(n.X, "assigned")
			case *ast.RangeStmt:
				flag(n.Key, "assigned")
				flag(n.Value, "assigned")
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					flag(n.X, "given away by address")
				}
			case *ast.CallExpr:
				if len(n.Args) > 0 && f.changesArgument(n.Fun) {
					flag(n.Args[0], "changed by the function it is passed to")
				}
			}
			return true
		})
	}
	return out
}

// changesArgument reports whether fun changes its first argument in place.
func (f *goFile) changesArgument(fun ast.Expr) bool {
	switch fun := fun.(type) {
	case *ast.Ident:
		return slices.Contains([]string{"delete", "clear", "copy"}, fun.Name)
	case *ast.SelectorExpr:
		name := fun.Sel.Name
		return f.from(fun, "sort") ||
			f.from(fun, "slices") && (strings.HasPrefix(name, "Sort") && name != "Sorted" || name == "Reverse") ||
			f.from(fun, "maps") && (name == "Copy" || name == "DeleteFunc" || name == "Insert")
	}
	return false
}

// root returns the variable that e is a part of, or nil.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// noImports gives an empty package for every import path.
type noImports struct{}

func (noImports) Import(p string) (*types.Package, error) {
	pkg := types.NewPackage(p, path.Base(p))
	pkg.MarkComplete()
	return pkg, nil
}

// checkSleeps flags time.Sleep, and waiting for nothing but time.After, in test code. A synctest bubble has its own clock,
// so sleeping in one is exact and free: in a function literal that is an argument of synctest.Test, or of a function of
// the same package that itself calls synctest.Test, or in a function whose doc comment says "in a bubble". All of
// internal/bubble is inside one.
func checkSleeps(t *tree) []violation {
	bubblers := map[string]bool{} // "dir: name" of functions that open a bubble
	t.eachFunc(t.files, func(f *goFile, d *ast.FuncDecl) {
		if opensBubble(f, d) && !strings.HasPrefix(d.Name.Name, "Test") {
			bubblers[f.dir+": "+d.Name.Name] = true
		}
	})
	var out []violation
	t.eachFunc(t.files, func(f *goFile, d *ast.FuncDecl) {
		if f.dir == "internal/bubble" || !f.test && !strings.HasSuffix(f.dir, "test") || d.Doc != nil && strings.Contains(d.Doc.Text(), "in a bubble") {
			return
		}
		cases := map[ast.Node]bool{} // of selects, where time.After is one of several things waited for
		ast.Inspect(d, func(n ast.Node) bool {
			if c, ok := n.(*ast.CommClause); ok {
				cases[c.Comm] = true
			}
			if call, ok := n.(*ast.CallExpr); ok {
				id, _ := call.Fun.(*ast.Ident)
				if f.names(call.Fun, "testing/synctest", "Test") || id != nil && bubblers[f.dir+": "+id.Name] {
					return false // all of its arguments are inside the bubble
				}
			}
			if f.calls(n, "time", "Sleep") || isWait(f, n) && !cases[n] {
				out = append(out, t.at(n, "%s sleeps outside a bubble", funcName(d)))
			}
			return true
		})
	})
	return out
}

func opensBubble(f *goFile, d *ast.FuncDecl) bool {
	found := false
	ast.Inspect(d, func(n ast.Node) bool {
		found = found || f.calls(n, "testing/synctest", "Test")
		return !found
	})
	return found
}

// isWait reports whether n is the statement <-time.After(...).
func isWait(f *goFile, n ast.Node) bool {
	s, ok := n.(*ast.ExprStmt)
	if !ok {
		return false
	}
	u, ok := s.X.(*ast.UnaryExpr)
	return ok && u.Op == token.ARROW && f.calls(u.X, "time", "After")
}

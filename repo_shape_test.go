package baton_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

func checkPackageDocs(t *tree) []violation {
	var out []violation
	packages := t.packages()
	for _, dir := range sortedDirs(packages) {
		var docs []*goFile
		for _, f := range packages[dir] {
			if f.syntax.Doc != nil {
				docs = append(docs, f)
			}
		}
		first := packages[dir][0].syntax
		if len(docs) == 0 {
			out = append(out, t.at(first.Name, "package %s has no doc comment", dir))
			continue
		}
		want := "Package " + first.Name.Name + " "
		if first.Name.Name == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		text := docs[0].syntax.Doc.Text()
		if !strings.HasPrefix(text, want) || !strings.Contains(text, ".") {
			out = append(out, t.at(docs[0].syntax.Doc, "the package doc must begin with a sentence %q...", want))
		}
		for _, f := range docs[1:] {
			out = append(out, t.at(f.syntax.Doc, "package %s has its doc in %s already", dir, docs[0].path))
		}
	}
	return out
}

// promised are methods whose contract is documented by the interface of the standard library that they satisfy.
var promised = []string{
	"String", "Error", "Unwrap", "Is", "Len", "Less", "Swap", "ServeHTTP", "LogValue", "Format",
	"MarshalText", "UnmarshalText", "MarshalJSON", "UnmarshalJSON",
}

func checkExportedDocs(t *tree) []violation {
	var out []violation
	for _, f := range t.code() {
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if exported(d) && d.Doc == nil && !(d.Recv != nil && slices.Contains(promised, d.Name.Name)) {
					out = append(out, t.at(d, "%s is not documented", funcName(d)))
				}
			case *ast.GenDecl:
				out = append(out, t.undocumented(d)...)
			}
		}
	}
	return out
}

// undocumented finds exported types, variables and constants without a comment of their own or of their group.
func (t *tree) undocumented(d *ast.GenDecl) []violation {
	var out []violation
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			alone := !d.Lparen.IsValid()
			if s.Name.IsExported() && s.Doc == nil && !(alone && d.Doc != nil) {
				out = append(out, t.at(s, "type %s is not documented", s.Name))
			}
		case *ast.ValueSpec:
			for _, n := range s.Names {
				if n.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
					out = append(out, t.at(n, "%s %s is not documented", d.Tok, n))
				}
			}
		}
	}
	return out
}

// exported reports whether other packages can call d: a function, or a method of an exported type.
func exported(d *ast.FuncDecl) bool {
	recv := receiver(d)
	return d.Name.IsExported() && (recv == "" || ast.IsExported(recv))
}

// receiver returns the name of the type whose method d is, or "".
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func funcName(d *ast.FuncDecl) string {
	if r := receiver(d); r != "" {
		return r + "." + d.Name.Name
	}
	return d.Name.Name
}

// The bounds. A screen holds about 80 lines; the other two are where a file stops being one idea and a room one duty.
const (
	maxFileLines     = 500
	maxFunctionLines = 80
	maxPackageLines  = 1500
	maxParameters    = 5
)

// longFunctions may be longer than a screen; "dir: name" => why.
var longFunctions = map[string]string{}

// largePackages may be larger than a room, up to a bound of their own.
var largePackages = map[string]struct {
	lines int
	why   string
}{
	"agent":          {1750, "what one node is made of is put together and taken apart in one place"},
	"demo":           {1600, "the rig, its load and its faults are one laboratory, which the demo, the bench and chaos share"},
	"internal/lab":   {1700, "what is true of one family only stands beside what is true of both"},
	"internal/sim":   {2600, "what can happen, to whom, and what must hold then are changed together and read side by side"},
	"api":            {1800, "what goes over the wire stands beside the client that sends it"},
	"cmd/baton":      {2550, "every command is half help and plan, and they share how a question is asked and shown"},
	"promote":        {2020, "a guard is one loop, and each of its steps is a short file"},
	"registry":       {2200, "a reign, the changes of its ackers and of its durability are one state machine, whose steps are read side by side"},
	"mysqld":         {3300, "two dialects of one small language stand beside each other, verb by verb"},
	"api/server":     {1750, "every answer of the door stands beside the others, with what it refuses"},
	"promote/decide": {1900, "every decision is weighed against all others of the same database"},
}

func checkFileSizes(t *tree) []violation {
	var out []violation
	for _, f := range t.files {
		if f.lines > maxFileLines {
			out = append(out, violation{fmt.Sprintf("%s:%d", f.path, f.lines), fmt.Sprintf("%d lines, at most %d", f.lines, maxFileLines)})
		}
	}
	return out
}

func checkFunctionSizes(t *tree) []violation {
	var out []violation
	t.eachFunc(t.files, func(f *goFile, d *ast.FuncDecl) {
		lines := t.height(d)
		_, allowed := longFunctions[f.dir+": "+funcName(d)]
		if lines > maxFunctionLines && !allowed {
			out = append(out, t.at(d, "%s has %d lines, at most %d", funcName(d), lines, maxFunctionLines))
		}
	})
	return out
}

func checkPackageSizes(t *tree) []violation {
	var out []violation
	packages := t.packages()
	for _, dir := range sortedDirs(packages) {
		sum := 0
		for _, f := range packages[dir] {
			sum += f.lines
		}
		if limit := max(maxPackageLines, largePackages[dir].lines); sum > limit {
			out = append(out, t.at(packages[dir][0].syntax.Name, "package %s has %d lines without its tests, at most %d", dir, sum, limit))
		}
	}
	return out
}

func checkParameters(t *tree) []violation {
	var out []violation
	check := func(n ast.Node, name string, list *ast.FieldList, public bool) {
		if list.NumFields() > maxParameters {
			out = append(out, t.at(n, "%s takes %d parameters, at most %d", name, list.NumFields(), maxParameters))
		}
		for _, p := range list.List {
			e := p.Type
			if v, ok := e.(*ast.Ellipsis); ok {
				e = v.Elt
			}
			if id, ok := e.(*ast.Ident); public && ok && id.Name == "bool" {
				out = append(out, t.at(p, "%s takes a bool; use two functions or a named type", name))
			}
		}
	}
	t.eachFunc(t.code(), func(_ *goFile, d *ast.FuncDecl) { check(d, funcName(d), d.Type.Params, exported(d)) })
	for _, f := range t.code() {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if i, ok := spec.Type.(*ast.InterfaceType); ok && spec.Name.IsExported() {
				for _, m := range i.Methods.List {
					if ft, ok := m.Type.(*ast.FuncType); ok {
						check(m, spec.Name.Name+"."+m.Names[0].Name, ft.Params, m.Names[0].IsExported())
					}
				}
			}
			return true
		})
	}
	return out
}

func checkBareGo(t *tree) []violation {
	var out []violation
	for _, f := range t.code() {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				out = append(out, t.at(n, "bare go statement"))
			}
			return true
		})
	}
	return out
}

func checkInit(t *tree) []violation {
	var out []violation
	t.eachFunc(t.files, func(_ *goFile, d *ast.FuncDecl) {
		if d.Recv == nil && d.Name.Name == "init" {
			out = append(out, t.at(d, "func init"))
		}
	})
	return out
}

// eachFunc calls visit for every function declaration in files.
func (t *tree) eachFunc(files []*goFile, visit func(*goFile, *ast.FuncDecl)) {
	for _, f := range files {
		for _, d := range f.syntax.Decls {
			if d, ok := d.(*ast.FuncDecl); ok {
				visit(f, d)
			}
		}
	}
}

// drawers are names of packages that say nothing of what is in them.
var drawers = []string{"pkg", "util", "utils", "common", "types", "helper", "helpers", "misc", "base"}

func checkPackageNames(t *tree) []violation {
	var out []violation
	for _, f := range t.files {
		for _, element := range strings.Split(f.dir, "/") {
			if slices.Contains(drawers, element) {
				out = append(out, t.at(f.syntax.Name, "directory %q is a drawer", element))
			}
		}
	}
	return out
}

// emptySuffixes end type names that would fit anything.
var emptySuffixes = []string{"Manager", "Helper", "Helpers", "Util", "Utils", "Impl", "Data", "Info"}

func checkTypeNames(t *tree) []violation {
	var out []violation
	for _, f := range t.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			for _, s := range emptySuffixes {
				if strings.HasSuffix(spec.Name.Name, s) || spec.Name.Name == strings.ToLower(s) {
					out = append(out, t.at(spec, "type %s: %s says nothing", spec.Name, s))
				}
			}
			return true
		})
	}
	return out
}

// isVar reports whether d declares variables.
func isVar(d ast.Decl) (*ast.GenDecl, bool) {
	g, ok := d.(*ast.GenDecl)
	return g, ok && g.Tok == token.VAR
}

package baton_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A rule is one house rule that a test can hold. Everything it needs is in the tree; it reads no file.
type rule struct {
	name  string
	why   string
	check func(*tree) []violation
}

// A violation is one place that breaks a rule: file:line and what is wrong there.
type violation struct {
	where string
	what  string
}

// rules are all house rules; repo_self_test.go shows for each of them that it can fail.
var rules = []rule{
	{"imports", "imports point up in the picture of doc.go, so that a room can be read and tested without those below it", checkImports},
	{"vendors", "one room knows a vendor, so that replacing it touches one room", checkVendors},
	{"purity", "pure code gives the same answer on every server and in every simulated schedule", checkPurity},
	{"package doc", "the first sentence of a package is its duty", checkPackageDocs},
	{"exported doc", "a name that others use says its shape, unit, errors and source", checkExportedDocs},
	{"file size", "a file is one idea", checkFileSizes},
	{"function size", "a function fits a screen", checkFunctionSizes},
	{"package size", "a room fits a head", checkPackageSizes},
	{"parameters", "a long list of arguments is a value without a name, and a bool says nothing where it is passed", checkParameters},
	{"bare go", "every goroutine is started and waited for in one function: use sync.WaitGroup.Go or errgroup", checkBareGo},
	{"init", "what a package does is done when it is called, not when it is linked", checkInit},
	{"package variables", "state that belongs to nobody cannot be owned by one goroutine or tested alone", checkPackageVars},
	{"sleep", "a test that sleeps is slow, or wrong on a loaded machine: use synctest, or wait for the condition", checkSleeps},
	{"type names", "a name that would fit anything says nothing", checkTypeNames},
	{"package names", "a drawer is not a room", checkPackageNames},
	{"field words", "one word for one thing: primary, replica; the old words live where SQL needs them", checkFieldWords},
	{"machine text", "the repository must mean the same on every machine", checkMachineText},
}

func TestHouseRules(t *testing.T) {
	repo := readTree(t, ".")
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, v := range r.check(repo) {
				t.Errorf("%s: %s\n\trule %q: %s", v.where, v.what, r.name, r.why)
			}
		})
	}
}

// An import that nobody makes any more would let the next one pass that points down, or a vendor spread.
func TestEveryImportThatIsAllowedIsMade(t *testing.T) {
	repo := readTree(t, ".")
	own, foreign := map[string]bool{}, map[string]bool{} // "room imports path", of code and of everything
	for _, f := range repo.files {
		room := f.dir
		if path.Dir(room) == "cmd" {
			room = "cmd/*"
		}
		for _, imp := range f.imports() {
			foreign[room+" "+imp[0]] = true
			if !f.test {
				own[room+" "+strings.TrimPrefix(imp[0], module+"/")] = true
			}
		}
	}
	for room, allowed := range picture {
		for _, imp := range allowed {
			if room == "agent" { // it is made of all rooms
				continue
			}
			if !own[room+" "+imp] {
				t.Errorf("%s need not be allowed to import %s", room, imp)
			}
		}
	}
	for _, v := range vendors {
		made := func(room string) bool {
			for imp := range foreign {
				if in, what, _ := strings.Cut(imp, " "); (room == "" || in == room) && within(what, v.path) {
					return true
				}
			}
			return false
		}
		for _, room := range v.rooms {
			if !made(room) {
				t.Errorf("%s need not be allowed to import %s", room, v.path)
			}
		}
		if !made("") {
			t.Errorf("nobody imports %s", v.path)
		}
	}
}

// An allowance that nobody needs any more would let the next long function or large package pass unseen.
func TestEveryAllowanceIsStillNeeded(t *testing.T) {
	repo := readTree(t, ".")
	lines := map[string]int{}
	for dir, files := range repo.packages() {
		for _, f := range files {
			lines[dir] += f.lines
		}
	}
	for dir := range largePackages {
		if lines[dir] <= maxPackageLines {
			t.Errorf("package %s has %d lines and needs no allowance", dir, lines[dir])
		}
	}
	long := map[string]bool{}
	repo.eachFunc(repo.files, func(f *goFile, d *ast.FuncDecl) {
		if repo.height(d) > maxFunctionLines {
			long[f.dir+": "+funcName(d)] = true
		}
	})
	for name := range longFunctions {
		if !long[name] {
			t.Errorf("function %s needs no allowance", name)
		}
	}
}

// tree is the parsed repository.
type tree struct {
	fset  *token.FileSet
	files []*goFile   // sorted by path
	texts []*textFile // every file, also the Go files, sorted by path
}

type goFile struct {
	path   string // slash separated, relative to the root
	dir    string // "." for the root
	test   bool   // _test.go
	lines  int
	syntax *ast.File
}

type textFile struct {
	path string
	body string
}

// readTree parses every file below root once, without what git does not keep.
func readTree(t *testing.T, root string) *tree {
	t.Helper()
	sources := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(name)
		if d.IsDir() {
			if rel == ".git" || rel == "bin" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || rel == ".git" {
			return nil
		}
		b, err := os.ReadFile(name)
		sources[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return parseTree(t, sources)
}

// parseTree makes a tree of sources by path.
func parseTree(t *testing.T, sources map[string]string) *tree {
	t.Helper()
	out := &tree{fset: token.NewFileSet()}
	for name, body := range sources {
		out.texts = append(out.texts, &textFile{name, body})
		if !strings.HasSuffix(name, ".go") || slices.Contains(strings.Split(name, "/"), "testdata") {
			continue
		}
		syntax, err := parser.ParseFile(out.fset, name, body, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		out.files = append(out.files, &goFile{
			path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			lines: strings.Count(body, "\n"), syntax: syntax,
		})
	}
	slices.SortFunc(out.files, func(a, b *goFile) int { return cmp.Compare(a.path, b.path) })
	slices.SortFunc(out.texts, func(a, b *textFile) int { return cmp.Compare(a.path, b.path) })
	return out
}

// at makes a violation at a node.
func (t *tree) at(n ast.Node, format string, args ...any) violation {
	p := t.fset.Position(n.Pos())
	return violation{fmt.Sprintf("%s:%d", p.Filename, p.Line), fmt.Sprintf(format, args...)}
}

// height is how many lines a function has.
func (t *tree) height(d *ast.FuncDecl) int {
	return t.fset.Position(d.End()).Line - t.fset.Position(d.Pos()).Line + 1
}

// code returns the files that are not tests.
func (t *tree) code() []*goFile {
	return slices.DeleteFunc(slices.Clone(t.files), func(f *goFile) bool { return f.test })
}

// packages returns the non-test files by directory.
func (t *tree) packages() map[string][]*goFile {
	out := map[string][]*goFile{}
	for _, f := range t.code() {
		out[f.dir] = append(out[f.dir], f)
	}
	return out
}

// imports returns the import path of each import of f, and the name it has in f.
func (f *goFile) imports() map[*ast.ImportSpec][2]string {
	out := map[*ast.ImportSpec][2]string{}
	for _, spec := range f.syntax.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		out[spec] = [2]string{p, name}
	}
	return out
}

// calls reports whether e is a call of function name of the package with this import path, as f imports it.
func (f *goFile) calls(e ast.Node, importPath, name string) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && f.names(call.Fun, importPath, name)
}

// names reports whether e is the selector importPath.name, as f imports the package.
func (f *goFile) names(e ast.Node, importPath, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return false
	}
	for _, imp := range f.imports() {
		if imp[0] == importPath && imp[1] == x.Name {
			return true
		}
	}
	return false
}

package killpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// seam is an interface through which a room acts, and the place where it gets hold of one.
type seam struct {
	file string // where the interface is declared
	name string
	// used is where the room is given one: old must stand there once, and new gives it the wrapped one.
	used, old, new string
}

// seams are all that is killed at. Wrapped types are called kill and the name of the interface.
func seams() []seam {
	return []seam{
		{"promote/guard.go", "Server", "promote/guard.go", "server: server, observer", "server: killServer{server}, observer"},
		{"promote/driven.go", "Promises", "promote/guard.go", "file: p,", "file: killPromises{p},"},
		{"promote/decide/leader.go", "Proposer", "promote/decide/leader.go", "	w := &watch{Leader: l,", "	wrapped := *l\n	wrapped.Proposer = killProposer{l.Proposer}\n	w := &watch{Leader: &wrapped,"},
		// What an operator asks for is committed by the door.
		{"promote/decide/leader.go", "Proposer", "api/server/propose.go", "s.cfg.Backend.Propose(ctx, cmd)", "(killProposer{s.cfg.Backend}).Propose(ctx, cmd)"},
	}
}

// sources returns the changed and the added files of the module at root, by path.
func sources(root string) (map[string]string, error) {
	out := map[string]string{}
	read := func(name string) (string, error) {
		if text, ok := out[name]; ok {
			return text, nil
		}
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		return string(b), err
	}
	for _, s := range seams() {
		text, err := read(s.used)
		if err != nil {
			return nil, fmt.Errorf("read a seam: %w", err)
		}
		if n := strings.Count(text, s.old); n != 1 {
			return nil, fmt.Errorf("%s holds %q %d times, want once: the source has moved on, and seams must follow", s.used, s.old, n)
		}
		out[s.used] = strings.Replace(text, s.old, s.new, 1)
		declared, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.file)))
		if err != nil {
			return nil, fmt.Errorf("read a seam: %w", err)
		}
		wrapped, err := wrap(string(declared), s, path.Base(path.Dir(s.used)))
		if err != nil {
			return nil, fmt.Errorf("wrap %s of %s: %w", s.name, s.file, err)
		}
		out[path.Join(path.Dir(s.used), "kill"+strings.ToLower(s.name)+".go")] = wrapped
	}
	return out, nil
}

// wrap writes a type around the interface of s, for the package pkg.
func wrap(declared string, s seam, pkg string) (string, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, s.file, declared, parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	var methods *ast.InterfaceType
	ast.Inspect(f, func(n ast.Node) bool {
		if t, ok := n.(*ast.TypeSpec); ok && t.Name.Name == s.name {
			methods, _ = t.Type.(*ast.InterfaceType)
		}
		return methods == nil
	})
	if methods == nil {
		return "", fmt.Errorf("there is no such interface")
	}
	text := func(e ast.Expr) string {
		var b bytes.Buffer
		_ = printer.Fprint(&b, fset, e) // into memory
		return b.String()
	}
	var body, embedded strings.Builder
	for _, m := range methods.Methods.List {
		t, ok := m.Type.(*ast.FuncType)
		if !ok {
			return "", fmt.Errorf("an interface in it is not understood")
		}
		name := m.Names[0].Name
		fmt.Fprintf(&embedded, "%s%s\n", name, strings.TrimPrefix(text(t), "func"))
		if name != "Record" && name != "Close" { // they change nothing
			method(&body, s.name, name, t, text)
		}
	}
	var all strings.Builder
	fmt.Fprintf(&all, "package %s\n\nimport (\n\t\"os\"\n\n\t\"github.com/baton-db/baton/internal/killpoint/point\"\n", pkg)
	for _, i := range f.Imports {
		name := strings.Trim(path.Base(i.Path.Value), `"`)
		if strings.Contains(body.String()+embedded.String(), name+".") {
			fmt.Fprintf(&all, "\t%s\n", i.Path.Value)
		}
	}
	fmt.Fprintf(&all, ")\n\nvar points%s = point.New(os.Args)\n\ntype kill%s struct{ inner%s }\n\ntype inner%s interface {\n%s}\n%s", s.name, s.name, s.name, s.name, embedded.String(), body.String())
	b, err := format.Source([]byte(all.String()))
	return string(b), err
}

// method writes one method that passes a point before and after the real one. A command is named by its type.
func method(w *strings.Builder, owner, name string, t *ast.FuncType, text func(ast.Expr) string) {
	var params, args, results, given []string
	of := ""
	for _, p := range t.Params.List {
		for range max(1, len(p.Names)) {
			arg := fmt.Sprintf("a%d", len(args))
			args = append(args, arg)
			params = append(params, arg+" "+text(p.Type))
			if text(p.Type) == "registry.Command" {
				of = ", " + arg
			}
		}
	}
	if t.Results != nil {
		for i, r := range t.Results.List {
			given = append(given, fmt.Sprintf("r%d", i))
			results = append(results, given[i]+" "+text(r.Type))
		}
	}
	pass := func(when string) string {
		return fmt.Sprintf("points%s.Pass(%q%s)", owner, when+" "+owner+"."+name, of)
	}
	fmt.Fprintf(w, "\nfunc (k kill%s) %s(%s) (%s) {\n%s\n%s = k.inner%s.%s(%s)\n%s\nreturn\n}\n", owner, name, strings.Join(params, ", "),
		strings.Join(results, ", "), pass("before"), strings.Join(given, ", "), owner, name, strings.Join(args, ", "), pass("after"))
}

// Build compiles the baton of the module at root into dir with all points in it, and returns the program.
func Build(ctx context.Context, root, dir string) (string, error) {
	root, err := filepath.Abs(root) // the go command takes nothing else for a name in an overlay
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	changed, err := sources(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range changed {
		to := filepath.Join(dir, fmt.Sprintf("source-%d.go", len(replace)))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write %s with points: %w", name, err)
		}
		replace[filepath.Join(root, filepath.FromSlash(name))] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), b, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("list what has points: %w", err)
	}
	program := filepath.Join(dir, "baton")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./cmd/baton")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build baton with points: %w\n%s", err, out)
	}
	return program, nil
}

package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/baton-db/baton/agent"
)

// Error is everything that is wrong with a configuration, each with file, line and a way out.
type Error struct {
	path  string
	diags hcl.Diagnostics
	files map[string]*hcl.File
}

// Error is the report as a person reads it, several lines long.
func (e *Error) Error() string {
	var b strings.Builder
	w := hcl.NewDiagnosticTextWriter(&b, e.files, 0, false)
	if err := w.WriteDiagnostics(e.diags); err != nil {
		return fmt.Sprintf("%s: %v", e.path, e.diags)
	}
	n := 0
	for _, d := range e.diags {
		if d.Severity == hcl.DiagError {
			n++
		}
	}
	noun := "errors"
	if n == 1 {
		noun = "error"
	}
	fmt.Fprintf(&b, "%d %s in %s, nothing was changed", n, noun, e.path)
	return b.String()
}

func (l *loader) fail(at *hcl.Range, summary, detail string) {
	l.diags = append(l.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at})
}

func (l *loader) failAt(field, summary, detail string) { l.fail(l.where(field), summary, detail) }

// check turns what agent.Config.Validate found into positions.
func (l *loader) check(err error) {
	if err == nil {
		return
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		l.fail(nil, "Invalid configuration", err.Error())
		return
	}
	for _, one := range joined.Unwrap() {
		var f *agent.FieldError
		switch {
		case errors.As(one, &f) && f.Field == "gossip_key_file" && l.diags.HasErrors():
			// the file could not be read: said already
		case errors.As(one, &f):
			l.failAt(f.Field, "Invalid value for "+f.Field, sentence(f.Err.Error()))
		default:
			l.fail(nil, "Invalid configuration", one.Error())
		}
	}
}

// sentence makes an error text end as a sentence does.
func sentence(s string) string {
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// where finds the position of a field such as "listen.api", "dns.listen[1]" or "hosts[0].path"; the nearest block when
// the field is not written down.
func (l *loader) where(field string) *hcl.Range {
	block, name, nested := strings.Cut(field, ".")
	if !nested {
		block, name = "", field
	}
	name, _, _ = strings.Cut(name, "[")
	block, index := indexed(block)
	for _, body := range l.bodies {
		syntax, ok := body.(*hclsyntax.Body)
		if !ok {
			continue
		}
		if r := find(syntax, block, index, name); r != nil {
			return r
		}
	}
	return nil
}

func indexed(s string) (string, int) {
	name, rest, ok := strings.Cut(s, "[")
	n := 0
	if ok {
		_, _ = fmt.Sscanf(rest, "%d]", &n) // our own paths
	}
	return name, n
}

func find(body *hclsyntax.Body, block string, index int, name string) *hcl.Range {
	if block == "" {
		if a, ok := body.Attributes[name]; ok {
			r := a.SrcRange
			return &r
		}
		return nil
	}
	seen := 0
	for _, b := range body.Blocks {
		if b.Type != block {
			continue
		}
		if seen++; seen-1 != index {
			continue
		}
		if a, ok := b.Body.Attributes[name]; ok {
			r := a.SrcRange
			return &r
		}
		r := b.DefRange()
		return &r
	}
	return nil
}

// decodeKey reads a key that is written in base64.
func decodeKey(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.TrimSpace(s))
}

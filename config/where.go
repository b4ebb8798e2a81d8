package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// written reports whether a setting such as "listen.api" stands in a file.
func (l *loader) written(field string) bool {
	_, ok := l.attribute(field)
	return ok
}

// where is the line of a setting such as "listen.api", "dns.listen[1]" or "hosts[0].path"; of its block, or of the
// beginning of the first file, when the setting is not written.
func (l *loader) where(field string) hcl.Range {
	if a, ok := l.attribute(field); ok {
		return a.SrcRange
	}
	block, _, nested := strings.Cut(field, ".")
	if b := l.block(block); b != nil && (nested || strings.Contains(field, "[")) {
		return b.DefRange()
	}
	return l.bodies[0].MissingItemRange()
}

// attribute finds a setting in any of the files.
func (l *loader) attribute(field string) (*hclsyntax.Attribute, bool) {
	block, name, nested := strings.Cut(field, ".")
	if !nested {
		for _, body := range l.bodies {
			if a, ok := body.Attributes[unindexed(field)]; ok {
				return a, true
			}
		}
		return nil, false
	}
	b := l.block(block)
	if b == nil {
		return nil, false
	}
	a, ok := b.Body.Attributes[unindexed(name)]
	return a, ok
}

// block finds a block such as "dns" or "hosts[1]"; the index counts through all files.
func (l *loader) block(s string) *hclsyntax.Block {
	name, index := s, 0
	if before, rest, ok := strings.Cut(s, "["); ok {
		name = before
		_, _ = fmt.Sscanf(rest, "%d]", &index) // our own paths
	}
	for _, body := range l.bodies {
		for _, b := range body.Blocks {
			if b.Type != name {
				continue
			}
			if index == 0 {
				return b
			}
			index--
		}
	}
	return nil
}

// at completes a finding with what stands at r.
func (l *loader) at(r hcl.Range, f Finding) Finding {
	f.File, f.Line = r.Filename, r.Start.Line
	if b := l.enclosing(r); b != nil {
		f.Block = strings.TrimSpace(b.Type + " " + quoted(b.Labels))
	}
	for _, s := range l.sources {
		if s.path != r.Filename {
			continue
		}
		lines := strings.Split(string(s.text), "\n")
		if r.Start.Line >= 1 && r.Start.Line <= len(lines) && r.Start != r.End {
			f.Source = strings.TrimRight(strings.ToValidUTF8(lines[r.Start.Line-1], "\uFFFD"), "\r")
		}
	}
	return f
}

// enclosing is the block in whose braces r begins, or nil.
func (l *loader) enclosing(r hcl.Range) *hclsyntax.Block {
	for _, body := range l.bodies {
		for _, b := range body.Blocks {
			if b.OpenBraceRange.Filename == r.Filename && b.OpenBraceRange.Start.Byte <= r.Start.Byte && r.Start.Byte <= b.CloseBraceRange.Start.Byte {
				return b
			}
		}
	}
	return nil
}

// attributeAt is the setting in whose value r begins, and its path such as "listen.api"; nil when there is none.
func (l *loader) attributeAt(r hcl.Range) (*hclsyntax.Attribute, string) {
	within := func(a *hclsyntax.Attribute) bool {
		return a.SrcRange.Filename == r.Filename && a.SrcRange.Start.Byte <= r.Start.Byte && r.Start.Byte < a.SrcRange.End.Byte
	}
	for _, body := range l.bodies {
		for name, a := range body.Attributes {
			if within(a) {
				return a, name
			}
		}
		for _, b := range body.Blocks {
			for name, a := range b.Body.Attributes {
				if within(a) {
					return a, b.Type + "." + name
				}
			}
		}
	}
	return nil, ""
}

func quoted(labels []string) string {
	var all []string
	for _, s := range labels {
		all = append(all, fmt.Sprintf("%q", s))
	}
	return strings.Join(all, " ")
}

// settings lists the settings of a block, or of a file outside every block, by the names they are written with.
func settings(block string) []string {
	var all []string
	for _, f := range fields(block) {
		if name, kind := tag(f); kind != "label" {
			all = append(all, name)
		}
	}
	return all
}

// blocks lists the blocks of a node file.
func blocks() []string {
	var all []string
	for _, f := range fields("") {
		if name, kind := tag(f); kind == "block" {
			all = append(all, name)
		}
	}
	return all
}

// example is how a setting such as "listen.api" is written.
func example(path string) string {
	block, name, nested := strings.Cut(path, ".")
	if !nested {
		block, name = "", path
	}
	for _, f := range fields(block) {
		if n, _ := tag(f); n == name {
			return f.Tag.Get("eg")
		}
	}
	return ""
}

// fields are the fields of the struct that a block is decoded into; of file itself for "".
func fields(block string) []reflect.StructField {
	top := reflect.VisibleFields(reflect.TypeFor[file]())
	if block == "" {
		return top
	}
	for _, f := range top {
		if name, kind := tag(f); name == block && kind == "block" {
			t := f.Type
			for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
				t = t.Elem()
			}
			return reflect.VisibleFields(t)
		}
	}
	return nil
}

func tag(f reflect.StructField) (name, kind string) {
	name, kind, _ = strings.Cut(f.Tag.Get("hcl"), ",")
	return name, kind
}

// unindexed is a setting without the place in its list: "hosts.path" for "hosts[0].path".
func unindexed(field string) string {
	for {
		before, rest, ok := strings.Cut(field, "[")
		if !ok {
			return field
		}
		_, after, _ := strings.Cut(rest, "]")
		field = before + after
	}
}

func lastPart(path string) string { return path[strings.LastIndex(path, ".")+1:] }

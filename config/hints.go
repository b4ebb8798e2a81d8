package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// translate puts what the HCL library found into our words, with a code and a way out.
func (l *loader) translate(diags hcl.Diagnostics) {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		f := l.finding(d)
		switch {
		case d.Subject != nil:
			f = l.at(*d.Subject, f)
		case len(l.bodies) > 0:
			f = l.at(l.bodies[0].MissingItemRange(), f)
		default:
			f.File = l.path
		}
		// One slip in the form makes the rest of the file unreadable in the same way.
		repeated := f.Code == codeSyntax && slices.ContainsFunc(l.found, func(o Finding) bool { return o.File == f.File && o.Problem == f.Problem })
		if !repeated {
			l.add(f)
		}
	}
	l.found = slices.DeleteFunc(l.found, l.echo)
}

// echo reports whether f only follows from another finding: a setting that is missing because its name is misspelt, or
// a value that is of no type because it could not be read.
func (l *loader) echo(f Finding) bool {
	return slices.ContainsFunc(l.found, func(other Finding) bool {
		misspelt := f.Code == codeMissing && other.Code == codeUnknown && f.name == other.name
		unread := f.Code == codeType && other.Code == codeType && f.name != "" && other.name == "" && f.File == other.File && f.Line == other.Line
		return misspelt || unread
	})
}

// positions matches how the library writes a place in a file.
var positions = regexp.MustCompile(`:(\d+),\d+-\d+`)

// finding goes by the summary, the only thing by which the library tells its diagnostics apart. What it does not know
// is said in the library's own words, which are good.
func (l *loader) finding(d *hcl.Diagnostic) Finding {
	switch s := d.Summary; {
	case s == "Unsupported argument":
		return l.unknown(d, "setting")
	case s == "Unsupported block type":
		return l.unknown(d, "block")
	case s == "Missing required argument", strings.HasPrefix(s, "Missing ") && strings.HasSuffix(s, " block"):
		return l.missing(d)
	case s == "Attribute redefined", s == "Duplicate argument", strings.HasPrefix(s, "Duplicate ") && strings.HasSuffix(s, " block"):
		return Finding{Code: codeTwice, Problem: positions.ReplaceAllString(sentence(d.Detail), " line $1"), Fix: "Keep one of the two."}
	case s == "Unsuitable value type":
		return l.unsuitable(d)
	case s == "Variables not allowed", s == "Function calls not allowed":
		return Finding{Code: codeType, Problem: "there are no variables and no functions in a node file",
			Fix: `Write text in quotes: "prod". A "${" in text is written "$${".`}
	case s == "Invalid multi-line string":
		return Finding{Code: codeSyntax, Problem: "the text does not end on its line", Fix: "A quote is missing."}
	case strings.HasPrefix(s, "Missing name for "):
		return Finding{Code: codeSyntax, Problem: "a block of this kind needs a name", Fix: `Write it before the brace: hosts "system" {`}
	case strings.HasPrefix(s, "Extraneous label for "):
		return Finding{Code: codeSyntax, Problem: fmt.Sprintf("the block %s takes no name", l.text(d)), Fix: "Take away what stands in quotes before the brace."}
	}
	return Finding{Code: codeSyntax, Problem: strings.ToLower(d.Summary[:1]) + d.Summary[1:], Fix: d.Detail}
}

// unknown names what was probably meant: the nearest name here, the same name elsewhere, or everything that may stand
// here.
func (l *loader) unknown(d *hcl.Diagnostic, what string) Finding {
	name := l.text(d)
	block := ""
	if b := l.enclosing(*d.Subject); b != nil {
		block = b.Type
	}
	f := Finding{Code: codeUnknown, Problem: fmt.Sprintf("unknown %s %q", what, name)}
	here := settings(block)
	if block == "" {
		here = slices.DeleteFunc(here, func(s string) bool { return slices.Contains(blocks(), s) == (what == "setting") })
	}
	near := nearest(name, here)
	f.name = cmp.Or(near, name)
	switch {
	case what == "setting" && block == "" && slices.Contains(blocks(), name):
		f.Fix = fmt.Sprintf("%s is a block: write it without the equals sign, each setting on a line of its own.", name)
	case what == "block" && slices.Contains(settings(block), name):
		f.Fix = fmt.Sprintf("%s is a setting: write it with an equals sign: %s = %s", name, name, example(strings.TrimPrefix(block+"."+name, ".")))
	case near != "":
		f.Fix = fmt.Sprintf("Did you mean %q?", near)
	case home(name, block) != "":
		f.Fix = fmt.Sprintf("It belongs into %s.", home(name, block))
	case what == "block" && block == "":
		f.Fix = "Blocks are: " + strings.Join(blocks(), ", ") + "."
	case block != "":
		f.Fix = fmt.Sprintf("Settings of %s are: %s.", block, strings.Join(here, ", "))
	default:
		f.Fix = "Settings are: " + strings.Join(here, ", ") + "; blocks are: " + strings.Join(blocks(), ", ") + "."
	}
	return f
}

// home is where else a setting of this name belongs, or "".
func home(name, notHere string) string {
	if notHere != "" && slices.Contains(settings(""), name) {
		return "the top of the file, outside of every block"
	}
	for _, b := range blocks() {
		if b != notHere && slices.Contains(settings(b), name) {
			return "the block " + b
		}
	}
	return ""
}

func (l *loader) missing(d *hcl.Diagnostic) Finding {
	if name, ok := strings.CutPrefix(strings.TrimSuffix(d.Summary, " block"), "Missing "); ok && strings.HasSuffix(d.Summary, " block") {
		return Finding{Code: codeMissing, name: name, Problem: "there is no block " + name,
			Fix: fmt.Sprintf("Add one:\n%s {\n  %s = %s\n}", name, settings(name)[0], example(name+"."+settings(name)[0]))}
	}
	_, rest, _ := strings.Cut(d.Detail, `"`)
	name, _, _ := strings.Cut(rest, `"`)
	path := name
	if d.Subject != nil {
		if b := l.enclosing(*d.Subject); b != nil {
			path = b.Type + "." + name
		}
	}
	return Finding{Code: codeMissing, name: name, Problem: fmt.Sprintf("the setting %q is missing", name), Fix: "Add it, for example: " + name + " = " + example(path)}
}

// unsuitable shows how a value of the right type is written.
func (l *loader) unsuitable(d *hcl.Diagnostic) Finding {
	f := Finding{Code: codeType, Problem: strings.NewReplacer("Unsuitable value: ", "", "tuple", "list", "object", "map",
		", between -9223372036854775808 and 9223372036854775807", "").Replace(d.Detail)}
	a, path := l.attributeAt(*d.Subject)
	if a == nil {
		f.Fix = "docs/config.md has the type of each setting."
		return f
	}
	f.name, f.Problem = a.Name, a.Name+": "+f.Problem
	f.Fix = "For example: " + a.Name + " = " + example(path)
	return f
}

// text is what stands at the subject of d.
func (l *loader) text(d *hcl.Diagnostic) string {
	for _, s := range l.sources {
		if s.path == d.Subject.Filename && d.Subject.CanSliceBytes(s.text) {
			return string(d.Subject.SliceBytes(s.text))
		}
	}
	return ""
}

// nearest is the one of names that s is most probably a slip of, or "".
func nearest(s string, names []string) string {
	best, at := "", 1+len(s)/3
	for _, n := range names {
		if d := distance(s, n); d <= at && (best == "" || d < distance(s, best)) {
			best = n
		}
	}
	return best
}

// distance is how many letters must be put in, taken out, changed or swapped with the next to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// sentence makes a detail of the library the first line of a finding.
func sentence(s string) string {
	s = strings.TrimSuffix(s, ".")
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i] + ";" + strings.ToLower(s[i+1:i+3]) + s[i+3:]
	}
	return strings.ToLower(s[:1]) + s[1:]
}

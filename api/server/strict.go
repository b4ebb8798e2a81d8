package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"github.com/baton-db/baton/api"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth is how deep a JSON body may be nested; nothing of ours is deeper than 8.
const maxDepth = 32

// maxText is the longest free text an operator may give, in bytes.
const maxText = 500

// strictJSON reads one JSON object into v: no unknown fields, no key twice (JSON field names match without regard to
// case, so neither do these), no deep nesting, nothing behind it. Errors say at which byte.
func strictJSON(b []byte, v any) error {
	if err := checkShape(b); err != nil {
		return malformed(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed(err)
	}
	return nil
}

func malformed(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		err = fmt.Errorf("at byte %d: %w", syntax.Offset, err)
	case errors.As(err, &kind):
		err = fmt.Errorf("at byte %d: %w", kind.Offset, err)
	}
	return api.NewProblem(api.CodeMalformed, "", "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// checkShape reports what encoding/json lets pass: duplicate keys, depth, trailing bytes, and values that are no object.
func checkShape(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var open []*level
	for first := true; first || len(open) > 0; first = false {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("at byte %d: the JSON ends too early", len(b))
		}
		if err != nil {
			return err
		}
		if first && t != json.Delim('{') {
			return fmt.Errorf("at byte %d: want a JSON object", d.InputOffset())
		}
		if open, err = step(open, t); err != nil {
			return fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
		}
	}
	if rest := bytes.TrimLeft(b[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return fmt.Errorf("at byte %d: bytes behind the JSON object", len(b)-len(rest))
	}
	return nil
}

// level is an array (keys nil) or an object that is open.
type level struct {
	keys  map[string]bool
	value bool // the next token is a value
}

// step takes one token and returns the levels that are open behind it.
func step(open []*level, t json.Token) ([]*level, error) {
	if t == json.Delim('}') || t == json.Delim(']') {
		return open[:len(open)-1], nil
	}
	if len(open) > 0 {
		top := open[len(open)-1]
		if top.keys != nil && !top.value {
			key := strings.Map(fold, fmt.Sprint(t))
			if top.keys[key] {
				return nil, fmt.Errorf("key %q twice", t)
			}
			top.keys[key], top.value = true, true
			return open, nil
		}
		top.value = false
	}
	switch t {
	case json.Delim('{'):
		open = append(open, &level{keys: map[string]bool{}})
	case json.Delim('['):
		open = append(open, &level{})
	}
	if len(open) > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	return open, nil
}

// fold gives runes that differ in case only the same value, as encoding/json has it: also ſ is an s.
func fold(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// checkText says why s may not stand in a history that people read on a terminal, or nil.
func checkText(what, s string) error {
	if len(s) > maxText {
		return api.NewProblem(api.CodeMalformed, "", "%s: %d bytes, at most %d", what, len(s), maxText)
	}
	for i, r := range s {
		// Not printable are controls, line breaks and the marks that reverse the direction of text.
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return api.NewProblem(api.CodeMalformed, "plain text in one line", "%s: character %U at byte %d", what, r, i)
		}
	}
	return nil
}

// Package strict reads a JSON object and refuses whatever two readers could understand differently.
//
// encoding/json takes the last of two keys, matches field names without regard to case, follows any nesting and stops at
// the end of the first value. A body that somebody acts on has none of that: no key twice in any case, no field without a
// meaning, no more than 32 levels, nothing behind the object. Errors say at which byte.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// maxDepth is how deep an object may be nested; nothing of ours is deeper than 8.
const maxDepth = 32

// Unmarshal reads one JSON object into v: what Check lets pass and that has no field which v has not.
func Unmarshal(b []byte, v any) error {
	if err := Check(b); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return at(d.Decode(v))
}

// Lenient is Unmarshal for what may hold fields that v has not.
func Lenient(b []byte, v any) error {
	if err := Check(b); err != nil {
		return err
	}
	return at(json.Unmarshal(b, v))
}

// at says at which byte encoding/json found err.
func at(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("at byte %d: %w", syntax.Offset, err)
	case errors.As(err, &kind):
		return fmt.Errorf("at byte %d: %w", kind.Offset, err)
	}
	return err
}

// Check reports what encoding/json lets pass: duplicate keys, depth, trailing bytes, and values that are no object.
func Check(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var open []*level
	for first := true; first || len(open) > 0; first = false {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("at byte %d: the JSON ends too early", len(b))
		}
		if err != nil {
			return at(err)
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

package strict_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/baton-db/baton/api/strict"
)

// FuzzCheck holds that whatever is let through is one JSON object that encoding/json reads the same way, with no key
// twice: writing it again and reading that gives the same.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{}`, `{"to":"db2"}`, `{"a":[{"b":1},{"b":2}],"c":{"b":null}}`, `{"a":1,"A":2}`, `{"a":`, `[]`, `{}{}`, `{"a":1e999}`,
		strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40), `{"\u0061":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if strict.Check(b) != nil {
			return
		}
		var v map[string]any
		if err := json.Unmarshal(b, &v); err != nil {
			if strings.Contains(err.Error(), "cannot unmarshal number") {
				return // too large for a float64; the fields that there are refuse it by their type
			}
			t.Fatalf("let through, but %v: %q", err, b)
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := strict.Check(again); err != nil {
			t.Errorf("%q was let through, the same as %q is not: %v", b, again, err)
		}
	})
}

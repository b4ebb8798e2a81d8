package process

import (
	"strings"
	"testing"
)

func TestProcessStatusIsReadPastTheName(t *testing.T) {
	const rest = " 1 2 2 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 40 0 8675309 1 2 3 4 5 6 7 8 0 9"
	st, err := parseStat([]byte("77 (my) S (sqld) R" + rest))
	if err != nil || st.state != 'R' || st.exiting || st.killed || st.started != 8675309 {
		t.Errorf("got %+v, %v", st, err)
	}
	st, err = parseStat([]byte("77 (mysqld) Z" + strings.Replace(rest, "4194560", "4194564", 1)))
	if err != nil || st.state != 'Z' || !st.exiting {
		t.Errorf("exiting: %+v, %v", st, err)
	}
	for pending, want := range map[string]bool{" 8 256 ": true, " 8 257 ": true, " 8 128 ": false, " 8 512 ": false} {
		st, err = parseStat([]byte("77 (mysqld) S" + strings.Replace(rest, " 8 0 ", pending, 1)))
		if err != nil || st.killed != want {
			t.Errorf("pending%s: %+v, %v", pending, st, err)
		}
	}
	for _, bad := range []string{"", ")", "77 (mysqld)", "77 (mysqld) R", "77 (mysqld) R 1 2 3", "77 (mysqld) R" + strings.Replace(rest, "4194560", "x", 1), "77 (mysqld) R" + strings.Replace(rest, "8675309", "-1", 1),
		"77 (mysqld) R" + strings.Replace(rest, " 8 0 ", " 8 ? ", 1)} {
		if st, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: read as %+v", bad, st)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("77 (mysqld) R 1 2 2 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 40 0 8675309 1 2 3 4 5 6 7 8 0 9"))
	f.Add([]byte(") "))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = parseStat(text)
	})
}

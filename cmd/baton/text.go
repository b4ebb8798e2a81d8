package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// textWidth is the width of running text in columns.
const textWidth = 100

// wrap breaks s at spaces into lines of at most width bytes; longer words stay whole.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(s) {
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	if line != "" || lines == nil {
		lines = append(lines, line)
	}
	return lines
}

// clean makes what servers say safe for a terminal and for one line of a table.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s)
}

// short cuts s to n runes.
func short(s string, n int) string {
	r := []rune(clean(s))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-3]) + "..."
}

// ago is how long something has lasted, in its greatest unit.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// plural is "1 server", "3 servers".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// join is a list for a sentence.
func join[T ~string](all []T) string {
	var s []string
	for _, v := range all {
		s = append(s, string(v))
	}
	return strings.Join(s, ", ")
}

// fixLines are the lines of a fix, the first marked as what it is.
func fixLines(s string) []string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, l := range lines {
		lead := "     "
		if i == 0 {
			lead = "fix: "
		}
		lines[i] = lead + clean(l)
	}
	return lines
}

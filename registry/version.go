package registry

import "fmt"

// CanFollow reports whether m understands what a server like source writes: one of its own series or of an older one. A
// series is the first two numbers of a version (8.4, 10.11); of a server whose version is not known the best is assumed.
func (m Member) CanFollow(source Member) bool {
	own, ok := series(m.Version)
	theirs, known := series(source.Version)
	if !ok || !known || own[0] != theirs[0] {
		return !ok || !known || own[0] > theirs[0]
	}
	return own[1] >= theirs[1]
}

func series(version string) (s [2]int, ok bool) {
	n, _ := fmt.Sscanf(version, "%d.%d", &s[0], &s[1])
	return s, n == len(s)
}

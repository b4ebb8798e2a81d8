package sim

import (
	"fmt"
	"slices"
)

// story is what a schedule did, in words.
type story struct {
	lines []string
	every bool // tell also what was just told
}

func (s *story) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if recent := s.lines[max(0, len(s.lines)-8):]; s.every || !slices.Contains(recent, line) { // what is tried again and again is told once
		s.lines = append(s.lines, line)
	}
}

func (w *world) tell(format string, args ...any) {
	if w.story != nil {
		w.story.tell(format, args...)
	}
}

package sim

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/baton-db/baton/mysqld"
)

// Case is a schedule that has been written down: a seed means something to one version of this package, the events of a
// case to every later one that knows their kinds.
type Case struct {
	Comment []string
	Shape   Shape
	Events  []Event
}

func word(kind string) string { return strings.ReplaceAll(kind, " ", "-") }

// Write writes the case as text, one event a line: kind, two hosts, and what it draws from.
func (c Case) Write(to io.Writer) error {
	var b strings.Builder
	for line := range strings.Lines(strings.Join(c.Comment, "\n")) {
		b.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
	}
	b.WriteString("shape " + c.Shape.String() + "\n")
	for _, e := range c.Events {
		fmt.Fprintf(&b, "%s db%d db%d %x\n", word(kinds[e.Kind].name), e.A+1, e.B+1, e.Chance)
	}
	if _, err := io.WriteString(to, b.String()); err != nil {
		return fmt.Errorf("write case: %w", err)
	}
	return nil
}

// ReadCase reads what Write wrote. An unknown kind is an error, with its line.
func ReadCase(from io.Reader) (Case, error) {
	var c Case
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		fields := strings.Fields(line)
		var err error
		switch {
		case len(fields) == 0:
		case strings.HasPrefix(line, "#"):
			c.Comment = append(c.Comment, strings.TrimPrefix(strings.TrimPrefix(line, "#"), " "))
		case fields[0] == "shape":
			c.Shape, err = readShape(fields[1:])
		default:
			var e Event
			e, err = readEvent(fields)
			c.Events = append(c.Events, e)
		}
		if err != nil {
			return c, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return c, fmt.Errorf("read case: %w", err)
	}
	if c.Shape.Members == 0 {
		return c, fmt.Errorf("no line says the shape")
	}
	return c, nil
}

func readShape(fields []string) (Shape, error) {
	if len(fields) < 3 {
		return Shape{}, fmt.Errorf("want shape FAMILY MEMBERS K")
	}
	s := Shape{Flavor: mysqld.Flavor(fields[0])}
	var err error
	if s.Members, err = strconv.Atoi(fields[1]); err != nil || s.Members < 2 || s.Members > maxMembers {
		return s, fmt.Errorf("members %q: want 2 to %d", fields[1], maxMembers)
	}
	if s.K, err = strconv.Atoi(fields[2]); err != nil || s.K < 1 || s.K >= s.Members {
		return s, fmt.Errorf("k %q", fields[2])
	}
	if s.Flavor != mysqld.MySQL && s.Flavor != mysqld.MariaDB {
		return s, fmt.Errorf("family %q", fields[0])
	}
	for _, f := range fields[3:] {
		if n, ok := strings.CutPrefix(f, "prefer-db"); ok {
			if s.Preferred, err = strconv.Atoi(n); err != nil || s.Preferred < 1 || s.Preferred > s.Members {
				return s, fmt.Errorf("preferred member %q", n)
			}
			continue
		}
		switch f {
		case "relay-log-recovery":
			s.Recovery = true
		case "empty":
			s.Empty = true
		case "async":
			s.Async = true
		case "yields":
			s.Yields = true
		default:
			return s, fmt.Errorf("unknown word %q", f)
		}
	}
	return s, nil
}

func readEvent(fields []string) (Event, error) {
	if len(fields) != 4 {
		return Event{}, fmt.Errorf("want KIND HOST HOST CHANCE")
	}
	kind := slices.IndexFunc(kinds, func(k kind) bool { return word(k.name) == fields[0] })
	a, errA := strconv.ParseUint(strings.TrimPrefix(fields[1], "db"), 10, 8)
	b, errB := strconv.ParseUint(strings.TrimPrefix(fields[2], "db"), 10, 8)
	chance, errC := strconv.ParseUint(fields[3], 16, 32)
	if kind < 0 || errA != nil || errB != nil || errC != nil || a == 0 || b == 0 {
		return Event{}, fmt.Errorf("no such event: %s", strings.Join(fields, " "))
	}
	return Event{Kind: uint8(kind), A: uint8(a - 1), B: uint8(b - 1), Chance: uint32(chance)}, nil
}

// Play plays the case, and returns what it broke, or nil, and the story of it.
func (c Case) Play() (*Violation, []string) {
	p := newPlayer()
	defer p.close()
	var s story
	v := p.replay(c.Shape, c.Events, &s)
	return v, s.lines
}

// maxReplays bounds how long a case is made shorter.
const maxReplays = 4000

// shrink leaves out what is not needed to break the same guarantee: halves first, single events last.
func (p *player) shrink(c Case, guarantee string) Case {
	tries := 0
	breaks := func(events []Event) bool {
		tries++
		v := p.replay(c.Shape, events, nil)
		return v != nil && v.Guarantee == guarantee
	}
	for size := max(1, len(c.Events)/2); tries < maxReplays; {
		removed := false
		for at := 0; at < len(c.Events) && tries < maxReplays; {
			left := slices.Concat(c.Events[:at], c.Events[min(at+size, len(c.Events)):])
			if breaks(left) {
				c.Events, removed = left, true
			} else {
				at += size
			}
		}
		if size == 1 && !removed {
			break
		}
		if !removed {
			size = max(1, size/2)
		}
	}
	return c
}

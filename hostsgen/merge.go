package hostsgen

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/baton-db/baton/registry"
)

const (
	beginMark  = "# BEGIN baton "
	endMark    = "# END baton "
	joinedLF   = " joined=lf"
	joinedCRLF = " joined=crlf"
	bom        = "\xef\xbb\xbf"
	// maxSize is the largest file that is touched, in bytes.
	maxSize = 8 << 20
)

// ErrBackwards is returned for a block that is older than the one in the file (G6).
var ErrBackwards = errors.New("older than the block in the file")

// ErrEmpty is returned for a block without lines where there is one with lines (G7); Remove takes a block away.
var ErrEmpty = errors.New("no lines, but the block in the file has some")

// ErrDamaged is returned for a file in which the markers do not pair or the block was edited.
var ErrDamaged = errors.New("the block is not as baton left it")

// span is one block in a file: the bytes [start, end) and the lines first to last, counted from 1.
type span struct {
	start, end  int
	first, last int
	cluster     registry.ClusterID
	header      string
	lines       []string // between the markers
}

// Merge returns old with b in place of the block of the same cluster, or behind everything else when there is none. The
// result is old itself when nothing would change but the index. Bytes outside the block stay as they are; a line end is
// added behind the last line when it has none.
func Merge(old []byte, b Block) ([]byte, error) {
	at, present, joined, err := locate(old, b.Cluster)
	switch {
	case err != nil:
		return nil, err
	case at == nil && len(b.Lines) == 0:
		return old, nil
	case at == nil:
		eol := lineEnd(old)
		next := slices.Clone(old)
		if len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")) {
			joined = eol
		}
		next = append(next, joined...)
		return check(append(next, b.encode(eol, joined)...))
	case b.Index < present.Index || b.Epoch < present.Epoch:
		return nil, fmt.Errorf("lines %d-%d: gen %d epoch %d after gen %d epoch %d (delete the lines if the cluster was made anew): %w",
			at.first, at.last, b.Index, b.Epoch, present.Index, present.Epoch, ErrBackwards)
	case len(b.Lines) == 0 && len(present.Lines) > 0:
		return nil, fmt.Errorf("lines %d-%d: %w", at.first, at.last, ErrEmpty)
	case b.Epoch == present.Epoch && slices.Equal(b.Lines, present.Lines):
		return old, nil
	}
	return check(slices.Concat(old[:at.start], b.encode(lineEnd(old[at.start:]), joined), old[at.end:]))
}

// Strip returns old without the block of cluster, as it was before the first Merge.
func Strip(old []byte, cluster registry.ClusterID) ([]byte, error) {
	at, _, joined, err := locate(old, cluster)
	if err != nil || at == nil {
		return old, err
	}
	before, after := old[:at.start], old[at.end:]
	if len(after) == 0 {
		before = bytes.TrimSuffix(before, []byte(joined))
	}
	return slices.Concat(before, after), nil
}

// check refuses a result that the next Merge would refuse to read.
func check(next []byte) ([]byte, error) {
	if len(next) > maxSize {
		return nil, fmt.Errorf("the file would have %d bytes, at most %d are written", len(next), maxSize)
	}
	return next, nil
}

// locate finds the block of cluster and what it holds, or nil. Markers that do not pair, also those of another cluster,
// are an error.
func locate(file []byte, cluster registry.ClusterID) (at *span, held Block, joined string, err error) {
	if len(file) > maxSize {
		return nil, held, "", fmt.Errorf("the file has %d bytes, at most %d are touched", len(file), maxSize)
	}
	if i := bytes.IndexByte(file, 0); i >= 0 {
		return nil, held, "", fmt.Errorf("line %d: a NUL byte: this is no hosts file", 1+bytes.Count(file[:i], []byte("\n")))
	}
	spans, err := scan(file)
	if err != nil {
		return nil, held, "", err
	}
	for _, s := range spans {
		if s.cluster != cluster {
			continue
		}
		if at != nil {
			return nil, held, "", fmt.Errorf("lines %d-%d and %d-%d: two blocks of %s; delete one: %w",
				at.first, at.last, s.first, s.last, cluster, ErrDamaged)
		}
		at = s
	}
	if at == nil {
		return nil, held, "", nil
	}
	held, joined, err = at.read()
	return at, held, joined, err
}

// scan returns every block of the file in order.
func scan(file []byte) ([]*span, error) {
	var all []*span
	var open *span
	off, number := 0, 0
	for raw := range bytes.Lines(file) {
		number++
		start := off
		off += len(raw)
		line := strings.TrimRight(string(raw), "\r\n")
		if number == 1 && strings.HasPrefix(line, bom) {
			line = line[len(bom):]
			start += len(bom)
		}
		switch {
		case strings.HasPrefix(line, beginMark):
			if open != nil {
				return nil, fmt.Errorf("line %d: BEGIN inside of the block that begins in line %d: %w", number, open.first, ErrDamaged)
			}
			header := line[len(beginMark):]
			name, _, _ := strings.Cut(header, " ")
			open = &span{start: start, first: number, header: header, cluster: registry.ClusterID(name)}
		case strings.HasPrefix(line, endMark):
			name := registry.ClusterID(strings.TrimRight(line[len(endMark):], " \t"))
			if open == nil || open.cluster != name {
				return nil, fmt.Errorf("line %d: END of %s without its BEGIN: %w", number, name, ErrDamaged)
			}
			open.end, open.last = off, number
			all = append(all, open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, line)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: BEGIN of %s without its END: %w", open.first, open.cluster, ErrDamaged)
	}
	return all, nil
}

// read returns what the block holds, after checking that it is what baton wrote, and the line end before it that baton
// added.
func (s *span) read() (b Block, joined string, err error) {
	var version int
	n, err := fmt.Sscanf(s.header, string(s.cluster)+" v=%d epoch=%d gen=%d", &version, &b.Epoch, &b.Index)
	if n > 0 && version != blockVersion {
		return b, "", fmt.Errorf("line %d: block version %d, this baton reads %d: %w", s.first, version, blockVersion, ErrDamaged)
	}
	if err != nil {
		return b, "", fmt.Errorf("line %d: header %q: %w: %w", s.first, s.header, err, ErrDamaged)
	}
	b.Cluster = s.cluster
	if len(s.lines) > 0 && s.lines[0] == notice {
		b.Lines = s.lines[1:]
	}
	for _, joined := range []string{"", "\n", "\r\n"} {
		if b.header(joined) == beginMark+s.header {
			return b, joined, nil
		}
	}
	return b, "", fmt.Errorf("lines %d-%d were edited; delete them and they are written anew: %w", s.first, s.last, ErrDamaged)
}

// lineEnd is how the lines of the file end.
func lineEnd(file []byte) string {
	if i := bytes.IndexByte(file, '\n'); i > 0 && file[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// Conflict is a line outside the block with a name that the block has too.
type Conflict struct {
	Line int // counted from 1
	Name string
}

// Conflicts returns the lines of a merged file that name what the block of b names: resolvers take the first that
// matches or all of them, so the machine may not see what baton says.
func Conflicts(file []byte, b Block) []Conflict {
	ours := map[string]bool{}
	for _, line := range b.Lines {
		for _, name := range hostNames(line) {
			ours[name] = true
		}
	}
	var all []Conflict
	inside, number := false, 0
	for raw := range bytes.Lines(file) {
		number++
		line := strings.TrimPrefix(string(raw), bom)
		switch {
		case strings.HasPrefix(line, beginMark):
			inside = true
		case strings.HasPrefix(line, endMark):
			inside = false
		}
		for _, name := range hostNames(line) {
			if !inside && ours[strings.ToLower(name)] {
				all = append(all, Conflict{Line: number, Name: strings.ToLower(name)})
			}
		}
	}
	return all
}

// hostNames returns the names on a line of a hosts file.
func hostNames(line string) []string {
	line, _, _ = strings.Cut(line, "#")
	fields := strings.Fields(line)
	return fields[min(1, len(fields)):]
}

package hostsgen

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// isMountPoint reports whether something is mounted on target, so that it can be neither renamed over nor removed.
func isMountPoint(target string) bool {
	table, err := os.ReadFile("/proc/self/mountinfo")
	return err == nil && mounted(string(table), target)
}

// mounted looks for target among the mount points (fifth field) of a mountinfo table.
func mounted(table, target string) bool {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 4 && unescape.Replace(fields[4]) == target {
			return true
		}
	}
	return false
}

// overwrite writes next into the same inode while others read it. The journal holds both contents until it is done.
func (f *File) overwrite(target string, old *snapshot, next []byte) error {
	file, err := os.OpenFile(target, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := unmoved(target, old); err != nil {
		return err
	}
	if err := f.writeJournal(target, old.content, next); err != nil {
		return err
	}
	if err := patch(file, old.content, next); err != nil {
		return err
	}
	if err := finish(file, old, next); err != nil {
		return err
	}
	return f.dropJournal(target)
}

// patch turns old into next inside of file, never shortening it before the new bytes are there. When no line moves, only
// the bytes that differ are written, line by line, so a reader sees each line old or new.
func patch(file *os.File, old, next []byte) error {
	if all, ok := patches(old, next); ok {
		for _, p := range all {
			if _, err := file.WriteAt(next[p.start:p.end], int64(p.start)); err != nil {
				return err
			}
		}
		return nil
	}
	padded := next
	if len(next) < len(old) { // empty lines mean nothing to a reader
		padded = append(bytes.Clone(next), bytes.Repeat([]byte("\n"), len(old)-len(next))...)
	}
	if _, err := file.WriteAt(padded, 0); err != nil {
		return err
	}
	return file.Truncate(int64(len(next)))
}

// extent is the bytes [start, end) of a file.
type extent struct{ start, end int }

// patches returns what differs in each line, the last line first: the header of a block comes after its lines. It is
// false when a line begins somewhere else than before.
func patches(old, next []byte) ([]extent, bool) {
	if len(old) != len(next) {
		return nil, false
	}
	var all []extent
	off := 0
	for line := range bytes.Lines(next) {
		p := extent{start: off, end: off + len(line)}
		if bytes.IndexByte(old[p.start:], '\n') != bytes.IndexByte(next[p.start:], '\n') {
			return nil, false
		}
		off = p.end
		for p.start < p.end && old[p.start] == next[p.start] {
			p.start++
		}
		for p.start < p.end && old[p.end-1] == next[p.end-1] {
			p.end--
		}
		if p.start < p.end {
			all = append(all, p)
		}
	}
	slices.Reverse(all)
	return all, true
}

// finish makes an in-place write durable, its time later, and reads it back.
func finish(file *os.File, old *snapshot, next []byte) error {
	if err := later(file, old); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	got := make([]byte, len(next)+1)
	n, err := file.ReadAt(got, 0)
	if n != len(next) || !bytes.Equal(got[:n], next) {
		return errors.Join(fmt.Errorf("read back %d bytes that are not the %d written", n, len(next)), errMoved)
	}
	if err == nil {
		return fmt.Errorf("read back more than the %d bytes written: %w", len(next), errMoved)
	}
	return nil
}

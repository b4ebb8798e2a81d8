package binlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// listLength is the longest body of a list of GTIDs that is read: 16 bytes for each origin.
const listLength = 1 << 20

// Before returns what MariaDB had written in older files when it began this one: of each origin the last transaction, as a
// set that mysqld.ParseGTIDSet reads, "0-1-14,0-2-9". It is empty for the first file of all. A file that does not say it, as
// every file of MySQL, is an error: ErrUnreadable.
func Before(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read binary log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read binary log: %w", err)
	}
	out, err := before(bufio.NewReader(f), info.Size())
	if err != nil {
		return "", fmt.Errorf("read binary log %s: %w", path, err)
	}
	return out, nil
}

func before(r *bufio.Reader, size int64) (string, error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return "", fmt.Errorf("it begins with %x: %w", head, ErrUnreadable)
	}
	for left := size - int64(len(magic)); ; {
		e, err := next(r, left, listLength)
		switch {
		case errors.Is(err, io.EOF):
			return "", fmt.Errorf("it ends before it says what was before it: %w", ErrUnreadable)
		case err != nil:
			return "", err
		case e.kind == gtidListEvent:
			return e.list()
		case e.kind != formatEvent && e.kind != startEncryptionEvent: // the list comes before everything that is in the file
			return "", fmt.Errorf("it does not say what was before it: %w", ErrUnreadable)
		}
		left -= e.length
	}
}

// list reads how many origins there are, in the low 28 bits, and of each its domain, server and last number.
func (e event) list() (string, error) {
	if len(e.body) < 4 {
		return "", fmt.Errorf("a list of %d bytes: %w", len(e.body), ErrUnreadable)
	}
	n, rest := int(binary.LittleEndian.Uint32(e.body)&(1<<28-1)), e.body[4:]
	if n > len(rest)/16 {
		return "", fmt.Errorf("a list of %d in %d bytes: %w", n, len(rest), ErrUnreadable)
	}
	var all []string
	for ; n > 0; n, rest = n-1, rest[16:] {
		all = append(all, fmt.Sprintf("%d-%d-%d", binary.LittleEndian.Uint32(rest), binary.LittleEndian.Uint32(rest[4:]), binary.LittleEndian.Uint64(rest[8:])))
	}
	return strings.Join(all, ","), nil
}

package binlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Transaction is one transaction in a file.
type Transaction struct {
	// GTID is it as a set of one, as mysqld.ParseGTIDSet reads it: "uuid:5", "0-1-5..5". It is empty for a transaction
	// without one, and for one whose kind of GTID is not read (MySQL's tagged ones).
	GTID string
	// Start and End are where its events are, in bytes; End is where the next begins.
	Start, End int64
	// Unix is when it was written, in seconds, by the clock of the server that wrote it.
	Unix uint32
}

// File is what a file says of itself.
type File struct {
	// InUse says that its server writes to it, or ended without closing it.
	InUse bool
	// Whole is where its last whole event ends, in bytes. What stands behind it was never finished.
	Whole int64
	// Size is its length in bytes.
	Size int64
}

// ErrUnreadable: the file is no binary log, or is encrypted.
var ErrUnreadable = errors.New("cannot be read as a binary log")

// The kinds of events that matter here, and the length of their common header.
const (
	headerLength = 19

	formatEvent          = 15
	stopEvent            = 3
	rotateEvent          = 4
	gtidEventMySQL       = 33
	anonymousGTIDEvent   = 34
	previousGTIDsEvent   = 35
	taggedGTIDEvent      = 42
	gtidEventMariaDB     = 162
	gtidListEvent        = 163
	startEncryptionEvent = 164
	checkpointEvent      = 161

	inUseFlag = 1
)

// magic begins every file; one that MySQL has encrypted begins with 0xfd.
const magic = "\xfebin"

// Read looks at every transaction of a file, in its order, until each returns false. A torn event at the end is no error.
func Read(path string, each func(Transaction) bool) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("read binary log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return File{}, fmt.Errorf("read binary log: %w", err)
	}
	out, err := read(bufio.NewReaderSize(f, 64<<10), info.Size(), each)
	if err != nil {
		return File{}, fmt.Errorf("read binary log %s: %w", path, err)
	}
	return out, nil
}

// event is a header and the first bytes of what follows it.
type event struct {
	unix   uint32
	kind   byte
	server uint32
	length int64
	flags  uint16
	body   []byte
}

// bodyLength is how much of a body is read: a GTID is in its first bytes.
const bodyLength = 25

func read(r *bufio.Reader, size int64, each func(Transaction) bool) (File, error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return File{}, fmt.Errorf("it begins with %x: %w", head, ErrUnreadable)
	}
	out := File{Size: size, Whole: int64(len(magic))}
	var open *Transaction
	flush := func() bool {
		if open == nil {
			return true
		}
		t := *open
		t.End, open = out.Whole, nil
		return each(t)
	}
	for {
		e, err := next(r, size-out.Whole, bodyLength)
		if errors.Is(err, io.EOF) {
			flush()
			return out, nil
		}
		if err != nil {
			return File{}, fmt.Errorf("event at %d: %w", out.Whole, err)
		}
		switch {
		case e.kind == startEncryptionEvent:
			return File{}, fmt.Errorf("it is encrypted from %d on: %w", out.Whole, ErrUnreadable)
		case e.kind == formatEvent && out.Whole == int64(len(magic)):
			out.InUse = e.flags&inUseFlag != 0
		}
		if between(e.kind) && !flush() {
			return out, nil
		}
		if gtid, begins := e.gtid(); begins {
			open = &Transaction{GTID: gtid, Start: out.Whole, Unix: e.unix}
		}
		out.Whole += e.length
	}
}

// between reports whether an event of this kind ends the transaction before it.
func between(kind byte) bool {
	switch kind {
	case stopEvent, rotateEvent, formatEvent, previousGTIDsEvent, gtidListEvent, checkpointEvent,
		gtidEventMySQL, anonymousGTIDEvent, taggedGTIDEvent, gtidEventMariaDB:
		return true
	}
	return false
}

// next reads one event, with so much of its body as is kept; io.EOF: there is no other whole one in the bytes that are left.
func next(r *bufio.Reader, left, keep int64) (event, error) {
	var h [headerLength]byte
	if left < headerLength {
		return event{}, io.EOF
	}
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return event{}, torn(err)
	}
	e := event{unix: binary.LittleEndian.Uint32(h[:]), kind: h[4], server: binary.LittleEndian.Uint32(h[5:]),
		length: int64(binary.LittleEndian.Uint32(h[9:])), flags: binary.LittleEndian.Uint16(h[17:])}
	if e.length < headerLength {
		return event{}, fmt.Errorf("length %d: %w", e.length, ErrUnreadable)
	}
	if e.length > left {
		return event{}, io.EOF
	}
	e.body = make([]byte, min(keep, e.length-headerLength))
	if _, err := io.ReadFull(r, e.body); err != nil {
		return event{}, torn(err)
	}
	if _, err := io.CopyN(io.Discard, r, e.length-headerLength-int64(len(e.body))); err != nil {
		return event{}, torn(err)
	}
	return e, nil
}

// torn makes the end of a file that became shorter while it was read the end of what there is.
func torn(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// gtid is the identity that e gives to the transaction that it begins.
func (e event) gtid() (string, bool) {
	switch {
	case e.kind == anonymousGTIDEvent || e.kind == taggedGTIDEvent:
		return "", true
	case e.kind == gtidEventMySQL && len(e.body) >= 25:
		u := e.body[1:17]
		return fmt.Sprintf("%x-%x-%x-%x-%x:%d", u[:4], u[4:6], u[6:8], u[8:10], u[10:], binary.LittleEndian.Uint64(e.body[17:])), true
	case e.kind == gtidEventMariaDB && len(e.body) >= 12:
		n := binary.LittleEndian.Uint64(e.body)
		return fmt.Sprintf("%d-%d-%d..%d", binary.LittleEndian.Uint32(e.body[8:]), e.server, n, n), true
	}
	return "", e.kind == gtidEventMySQL || e.kind == gtidEventMariaDB
}

// Index returns the files that an index file names, oldest first, as whole paths.
func Index(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read index of binary logs: %w", err)
	}
	return names(filepath.Dir(path), string(text)), nil
}

// names are the files that the text of an index names, which is in dir.
func names(dir, text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		name := strings.TrimSuffix(line, "\n")
		if name == "" {
			continue
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		all = append(all, name)
	}
	return all
}

package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/baton-db/baton/registry"
)

// ErrFrame is returned for bytes that are no frame of a version and kind that this baton reads.
var ErrFrame = errors.New("bad frame")

// frameVersion is the version byte of every frame.
const frameVersion = 1

// frameKind is the kind byte; numbers are never reused.
type frameKind byte

const (
	frameSnapshot  frameKind = 1
	frameCommands  frameKind = 2
	frameKeepalive frameKind = 3
)

const (
	frameHead    = 1 + 1 + 8 + 4 // version, kind, index, contact
	maxFrame     = 256 << 20     // bytes behind the length; a snapshot may be large
	batchBytes   = 1 << 20       // a commands frame is closed once it holds this many
	commandHead  = 8 + 4         // index, length
	maxCommands  = frameHead + 8 + batchBytes + commandHead + registry.MaxCommand
	maxKeepalive = frameHead
)

// frame is one message of the state stream; see the package comment for its bytes.
type frame struct {
	kind    frameKind
	index   registry.Index
	contact time.Duration // whole milliseconds, at most 49 days

	state    []byte         // of a snapshot: as registry.EncodeState wrote it
	prev     registry.Index // of commands: the index they follow
	commands []Committed
}

// appendFrame appends the bytes of f, its length first.
func appendFrame(b []byte, f frame) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, frameVersion, byte(f.kind))
	b = binary.BigEndian.AppendUint64(b, uint64(f.index))
	b = binary.BigEndian.AppendUint32(b, uint32(min(f.contact.Milliseconds(), 1<<32-1)))
	switch f.kind {
	case frameSnapshot:
		b = append(b, f.state...)
	case frameCommands:
		b = binary.BigEndian.AppendUint64(b, uint64(f.prev))
		for _, c := range f.commands {
			b = binary.BigEndian.AppendUint64(b, uint64(c.Index))
			b = binary.BigEndian.AppendUint32(b, uint32(len(c.Bytes)))
			b = append(b, c.Bytes...)
		}
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// readFrame reads the next frame. The error is io.EOF at the end between two frames, and wraps ErrFrame for bytes that
// are none. Memory is taken as the bytes arrive, not as the length promises.
func readFrame(r io.Reader) (frame, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return frame{}, io.EOF
		}
		return frame{}, fmt.Errorf("read frame: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(size[:]))
	if n < frameHead || n > maxFrame {
		return frame{}, fmt.Errorf("%d bytes long, want %d to %d: %w", n, frameHead, maxFrame, ErrFrame)
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, n); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, fmt.Errorf("read frame of %d bytes: %w", n, err)
	}
	return parseFrame(body.Bytes())
}

// parseFrame reads the bytes behind the length. The frame keeps parts of b.
func parseFrame(b []byte) (frame, error) {
	if len(b) < frameHead || b[0] != frameVersion {
		return frame{}, fmt.Errorf("version %d of %d bytes, this baton reads %d: %w", b[:min(1, len(b))], len(b), frameVersion, ErrFrame)
	}
	f := frame{
		kind:    frameKind(b[1]),
		index:   registry.Index(binary.BigEndian.Uint64(b[2:])),
		contact: time.Duration(binary.BigEndian.Uint32(b[10:])) * time.Millisecond,
	}
	rest := b[frameHead:]
	switch f.kind {
	case frameSnapshot:
		f.state = rest
		return f, nil
	case frameCommands:
		if len(b) > maxCommands {
			return frame{}, fmt.Errorf("commands: %d bytes, at most %d: %w", len(b), maxCommands, ErrFrame)
		}
		return f, f.parseCommands(rest)
	case frameKeepalive:
		if len(b) > maxKeepalive {
			return frame{}, fmt.Errorf("keepalive: %d bytes behind it: %w", len(rest), ErrFrame)
		}
		return f, nil
	}
	return frame{}, fmt.Errorf("kind %d: %w", f.kind, ErrFrame)
}

func (f *frame) parseCommands(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("commands: cut short: %w", ErrFrame)
	}
	f.prev = registry.Index(binary.BigEndian.Uint64(b))
	last := f.prev
	for b = b[8:]; len(b) > 0; {
		if len(b) < commandHead {
			return fmt.Errorf("commands: cut short after %d: %w", len(f.commands), ErrFrame)
		}
		c := Committed{Index: registry.Index(binary.BigEndian.Uint64(b))}
		n := int64(binary.BigEndian.Uint32(b[8:]))
		if b = b[commandHead:]; n > int64(len(b)) || n > registry.MaxCommand {
			return fmt.Errorf("commands: command %d of %d bytes in %d: %w", c.Index, n, len(b), ErrFrame)
		}
		if c.Index <= last {
			return fmt.Errorf("commands: index %d after %d: %w", c.Index, last, ErrFrame)
		}
		c.Bytes, b, last = b[:n:n], b[n:], c.Index
		f.commands = append(f.commands, c)
	}
	if last != f.index || len(f.commands) == 0 {
		return fmt.Errorf("commands: end at %d, frame says %d: %w", last, f.index, ErrFrame)
	}
	return nil
}

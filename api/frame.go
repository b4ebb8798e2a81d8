package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// Committed is one command of the log as codec.Encode wrote it.
type Committed struct {
	Index registry.Index
	Bytes []byte
}

// ErrFrame is returned for bytes that are no frame of a version and kind that this baton reads.
var ErrFrame = errors.New("bad frame")

// frameVersion is the version byte of every frame.
const frameVersion = 1

// FrameKind is the kind byte; numbers are never reused.
type FrameKind byte

// The kinds of frames.
const (
	FrameSnapshot  FrameKind = 1 // a whole state
	FrameCommands  FrameKind = 2 // what was committed since
	FrameKeepalive FrameKind = 3 // the stream lives
)

const (
	frameHead    = 1 + 1 + 8 + 4 // version, kind, index, contact
	maxFrame     = 256 << 20     // bytes behind the length; a snapshot may be large
	batchBytes   = 1 << 20       // a commands frame is closed once it holds this many
	commandHead  = 8 + 4         // index, length
	maxCommands  = frameHead + 8 + batchBytes + commandHead + codec.MaxCommand
	maxKeepalive = frameHead
)

// Frame is one message of the state stream; see the package comment for its bytes.
type Frame struct {
	Kind    FrameKind
	Index   registry.Index
	Contact time.Duration // whole milliseconds, at most 49 days

	State    []byte         // of a snapshot: as codec.EncodeState wrote it
	Prev     registry.Index // of commands: the index they follow
	Commands []Committed
}

// MaxState is the largest encoded state that a snapshot frame can hold, in bytes.
const MaxState = maxFrame - frameHead

// Batch is how many of commands, at least one, go into one frame.
func Batch(commands []Committed) int {
	size := 0
	for i, c := range commands {
		if size += commandHead + len(c.Bytes); size > batchBytes {
			return i + 1
		}
	}
	return len(commands)
}

// AppendFrame appends the bytes of f, its length first.
func AppendFrame(b []byte, f Frame) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, frameVersion, byte(f.Kind))
	b = binary.BigEndian.AppendUint64(b, uint64(f.Index))
	b = binary.BigEndian.AppendUint32(b, uint32(min(f.Contact.Milliseconds(), 1<<32-1)))
	switch f.Kind {
	case FrameSnapshot:
		b = append(b, f.State...)
	case FrameCommands:
		b = binary.BigEndian.AppendUint64(b, uint64(f.Prev))
		for _, c := range f.Commands {
			b = binary.BigEndian.AppendUint64(b, uint64(c.Index))
			b = binary.BigEndian.AppendUint32(b, uint32(len(c.Bytes)))
			b = append(b, c.Bytes...)
		}
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// ReadFrame reads the next frame. The error is io.EOF at the end between two frames, and wraps ErrFrame for bytes that
// are none. Memory is taken as the bytes arrive, not as the length promises.
func ReadFrame(r io.Reader) (Frame, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return Frame{}, io.EOF
		}
		return Frame{}, fmt.Errorf("read frame: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(size[:]))
	if n < frameHead || n > maxFrame {
		return Frame{}, fmt.Errorf("%d bytes long, want %d to %d: %w", n, frameHead, maxFrame, ErrFrame)
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, n); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, fmt.Errorf("read frame of %d bytes: %w", n, err)
	}
	return parseFrame(body.Bytes())
}

// parseFrame reads the bytes behind the length. The frame keeps parts of b.
func parseFrame(b []byte) (Frame, error) {
	if len(b) < frameHead || b[0] != frameVersion {
		return Frame{}, fmt.Errorf("version %d of %d bytes, this baton reads %d: %w", b[:min(1, len(b))], len(b), frameVersion, ErrFrame)
	}
	f := Frame{
		Kind:    FrameKind(b[1]),
		Index:   registry.Index(binary.BigEndian.Uint64(b[2:])),
		Contact: time.Duration(binary.BigEndian.Uint32(b[10:])) * time.Millisecond,
	}
	rest := b[frameHead:]
	switch f.Kind {
	case FrameSnapshot:
		f.State = rest
		return f, nil
	case FrameCommands:
		if len(b) > maxCommands {
			return Frame{}, fmt.Errorf("commands: %d bytes, at most %d: %w", len(b), maxCommands, ErrFrame)
		}
		return f, f.parseCommands(rest)
	case FrameKeepalive:
		if len(b) > maxKeepalive {
			return Frame{}, fmt.Errorf("keepalive: %d bytes behind it: %w", len(rest), ErrFrame)
		}
		return f, nil
	}
	return Frame{}, fmt.Errorf("kind %d: %w", f.Kind, ErrFrame)
}

func (f *Frame) parseCommands(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("commands: cut short: %w", ErrFrame)
	}
	f.Prev = registry.Index(binary.BigEndian.Uint64(b))
	last := f.Prev
	for b = b[8:]; len(b) > 0; {
		if len(b) < commandHead {
			return fmt.Errorf("commands: cut short after %d: %w", len(f.Commands), ErrFrame)
		}
		c := Committed{Index: registry.Index(binary.BigEndian.Uint64(b))}
		n := int64(binary.BigEndian.Uint32(b[8:]))
		if b = b[commandHead:]; n > int64(len(b)) || n > codec.MaxCommand {
			return fmt.Errorf("commands: command %d of %d bytes in %d: %w", c.Index, n, len(b), ErrFrame)
		}
		if c.Index <= last {
			return fmt.Errorf("commands: index %d after %d: %w", c.Index, last, ErrFrame)
		}
		c.Bytes, b, last = b[:n:n], b[n:], c.Index
		f.Commands = append(f.Commands, c)
	}
	if last != f.Index || len(f.Commands) == 0 {
		return fmt.Errorf("commands: end at %d, frame says %d: %w", last, f.Index, ErrFrame)
	}
	return nil
}

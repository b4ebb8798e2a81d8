package raftlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	hraft "github.com/hashicorp/raft"
)

// The bytes of a segment are a chain of frames, each written with one write and made durable with one sync. Little endian:
//
//	 0  magic "btf1"        16  number: commit index of an entries frame, last index kept by a cut frame
//	 4  kind                24  link: the check of the frame before, which chains frames and segments together
//	 5  flags               28  check: CRC32C of bytes 0 to 27
//	 6  zero                32  payload, padded with zeros to a multiple of 8
//	 8  payload length       .. trailer "btf-end\n"
//	12  CRC32C of the payload
//
// Frames start at multiples of 8 and begin and end with bytes that are not zero. So, in a file that was all zeros before,
// a 512-byte sector of a frame that never reached the disk shows as a piece of zeros: that is what tells a torn write from
// a damaged one (see torn).
const (
	frameHeader  = 32
	frameAlign   = 8
	frameMagic   = "btf1"
	frameTrailer = "btf-end\n"
	sectorSize   = 512
)

// frameKind says what a frame holds. The numbers are on disk and never reused.
type frameKind uint8

const (
	frameHead    frameKind = 1 // a segment begins; the payload is a segmentHead
	frameEntries frameKind = 2 // log entries with consecutive indexes
	frameCut     frameKind = 3 // entries above number are void
	frameReset   frameKind = 4 // all entries before are void, the next may have any index
	frameVote    frameKind = 5 // the payload is the whole set of stable values
)

// flagHollow marks a payload that holds a whole sector of zeros: a torn write of such a frame cannot be proved.
const flagHollow = 1

// A frame is one decoded frame of a segment. Its payload aliases the bytes it was parsed from.
type frame struct {
	kind    frameKind
	hollow  bool
	number  uint64
	link    uint32
	check   uint32
	payload []byte
	size    int // on disk, with header, padding and trailer
}

// frameSize is the size on disk of a frame with this payload.
func frameSize(payload int) int {
	return frameHeader + (payload+frameAlign-1)/frameAlign*frameAlign + len(frameTrailer)
}

// appendFrame appends the bytes of a frame that begins at offset off of its segment. It returns the frame's check, which
// is the link of the next frame.
func appendFrame(b []byte, off int64, f frame) ([]byte, uint32) {
	start := len(b)
	b = append(b, frameMagic...)
	b = append(b, byte(f.kind), 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.payload)))
	b = binary.LittleEndian.AppendUint32(b, checksum(f.payload))
	b = binary.LittleEndian.AppendUint64(b, f.number)
	b = binary.LittleEndian.AppendUint32(b, f.link)
	b = append(b, 0, 0, 0, 0)
	b = append(b, f.payload...)
	b = append(b, make([]byte, frameSize(len(f.payload))-frameHeader-len(f.payload)-len(frameTrailer))...)
	b = append(b, frameTrailer...)
	head := b[start : start+frameHeader]
	if missingSector(b[start:], off) {
		head[5] = flagHollow
	}
	check := checksum(head[:28])
	binary.LittleEndian.PutUint32(head[28:], check)
	return b, check
}

// parseHeader reads the header at the start of b; ok is false when it is not one, whatever the reason. The size may
// exceed b.
func parseHeader(b []byte) (f frame, payload int, ok bool) {
	if len(b) < frameHeader || string(b[:4]) != frameMagic {
		return frame{}, 0, false
	}
	check := binary.LittleEndian.Uint32(b[28:])
	if check != checksum(b[:28]) || b[5]&^flagHollow != 0 {
		return frame{}, 0, false
	}
	length := binary.LittleEndian.Uint32(b[8:])
	if length > math.MaxInt32/2 {
		return frame{}, 0, false
	}
	return frame{
		kind:   frameKind(b[4]),
		hollow: b[5]&flagHollow != 0,
		number: binary.LittleEndian.Uint64(b[16:]),
		link:   binary.LittleEndian.Uint32(b[24:]),
		check:  check,
		size:   frameSize(int(length)),
	}, int(length), true
}

// parseFrame reads the frame at the start of b and checks everything but its link.
func parseFrame(b []byte) (frame, error) {
	f, payload, ok := parseHeader(b)
	if !ok {
		return frame{}, fmt.Errorf("no frame header: %w", ErrDamaged)
	}
	if f.size > len(b) {
		return f, fmt.Errorf("frame of %d bytes with %d left: %w", f.size, len(b), ErrDamaged)
	}
	f.payload = b[frameHeader : frameHeader+payload : frameHeader+payload]
	if checksum(f.payload) != binary.LittleEndian.Uint32(b[12:]) {
		return f, fmt.Errorf("payload checksum: %w", ErrDamaged)
	}
	if string(b[f.size-len(frameTrailer):f.size]) != frameTrailer {
		return f, fmt.Errorf("trailer: %w", ErrDamaged)
	}
	if f.kind < frameHead || f.kind > frameVote {
		return f, fmt.Errorf("kind %d: %w", f.kind, ErrDamaged)
	}
	return f, nil
}

// torn reports whether the bytes of segment b from offset off on can only be the write that was under way when the
// machine stopped, never acknowledged to anybody: a sector of it is missing and nothing follows it. Frames are written
// strictly one after the other, each after the sync of the one before, so at most the last can be torn; bytes that are
// there but wrong are damage, and damage is never cut off.
func torn(b []byte, off int) bool {
	rest := b[off:]
	f, _, ok := parseHeader(rest)
	if ok {
		return f.size <= len(rest) && !f.hollow && missingSector(rest[:f.size], int64(off)) && allZero(rest[f.size:])
	}
	if !missingSector(rest[:min(frameHeader, len(rest))], int64(off)) {
		return false
	}
	// The header itself is missing. A whole header further on would prove that this frame was once durable.
	for i := frameAlign; i+frameHeader <= len(rest); i += frameAlign {
		if _, _, ok := parseHeader(rest[i:]); ok {
			return false
		}
	}
	return true
}

// missingSector reports whether some part of b that lies within one sector is all zero; b begins at offset off of its
// file.
func missingSector(b []byte, off int64) bool {
	for len(b) > 0 {
		n := min(sectorSize-int(off%sectorSize), len(b))
		if allZero(b[:n]) {
			return true
		}
		b, off = b[n:], off+int64(n)
	}
	return false
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// An entry on disk is its length, the CRC32C of what follows, and: index, term, type, time of append in nanoseconds since
// 1970 (0: none), length of the extensions, extensions, data.
const (
	entryHeader = 8
	entryFixed  = 8 + 8 + 1 + 8 + 4
)

// appendEntry appends the bytes of one log entry.
func appendEntry(b []byte, l *hraft.Log) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(entryFixed+len(l.Extensions)+len(l.Data)))
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, l.Index)
	b = binary.LittleEndian.AppendUint64(b, l.Term)
	b = append(b, byte(l.Type))
	var at int64
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(at))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(l.Extensions)))
	b = append(b, l.Extensions...)
	b = append(b, l.Data...)
	binary.LittleEndian.PutUint32(b[start+4:], checksum(b[start+entryHeader:]))
	return b
}

// parseEntry reads the entry at the start of b into l and returns its size. l keeps no part of b.
func parseEntry(b []byte, l *hraft.Log) (int, error) {
	if len(b) < entryHeader+entryFixed {
		return 0, fmt.Errorf("entry of %d bytes: %w", len(b), ErrDamaged)
	}
	length := int64(binary.LittleEndian.Uint32(b))
	if length < entryFixed || length > int64(len(b)-entryHeader) {
		return 0, fmt.Errorf("entry says %d bytes, %d are left: %w", length, len(b)-entryHeader, ErrDamaged)
	}
	body := b[entryHeader : entryHeader+length]
	if checksum(body) != binary.LittleEndian.Uint32(b[4:]) {
		return 0, fmt.Errorf("entry checksum: %w", ErrDamaged)
	}
	extensions := int64(binary.LittleEndian.Uint32(body[25:]))
	if extensions > length-entryFixed {
		return 0, fmt.Errorf("entry says %d bytes of extensions: %w", extensions, ErrDamaged)
	}
	*l = hraft.Log{
		Index:      binary.LittleEndian.Uint64(body),
		Term:       binary.LittleEndian.Uint64(body[8:]),
		Type:       hraft.LogType(body[16]),
		Extensions: bytes.Clone(body[entryFixed : entryFixed+extensions]),
		Data:       bytes.Clone(body[entryFixed+extensions:]),
	}
	if at := int64(binary.LittleEndian.Uint64(body[17:])); at != 0 {
		l.AppendedAt = time.Unix(0, at).UTC()
	}
	if len(l.Extensions) == 0 {
		l.Extensions = nil
	}
	return entryHeader + int(length), nil
}

// checksum is CRC32C (Castagnoli), which processors compute.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

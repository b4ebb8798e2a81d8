// Package promise keeps on disk what a guard must not forget, and tells a file that was lost from one that was never made.
package promise

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"github.com/baton-db/baton/internal/durable"
	"github.com/baton-db/baton/registry"
)

// Record is what a guard must not forget (G3). Epochs in it only grow.
type Record struct {
	// File names the file that holds this record; see registry.Member.PromiseFile.
	File string `json:"file"`
	// Promise is the highest epoch that this guard has accepted; it never acts for a lower one.
	Promise registry.Epoch `json:"promise"`
	// Revision is the highest registry.Database.Revision that it has accepted, with the epoch: one that has seen a change
	// of ackers never acts on the state before it.
	Revision uint64 `json:"revision,omitempty"`
	// Led is the epoch in which the server process LedBy began to write a marker: from then on something may wait in it.
	Led   registry.Epoch `json:"led,omitempty"`
	LedBy string         `json:"led_by,omitempty"`
	// Marked is the epoch whose marker was acknowledged, by the server process MarkedBy.
	Marked   registry.Epoch `json:"marked,omitempty"`
	MarkedBy string         `json:"marked_by,omitempty"`
	// Holds is the GTID set that this server itself had originated when its marker was acknowledged: a server that lacks
	// some of it is not the one that reigned, whatever its name.
	Holds string `json:"holds,omitempty"`
	// Whole is the server process whose memory of what it acknowledged is known to be whole.
	Whole string `json:"whole,omitempty"`
	// Follows is the epoch whose primary the server was last made to follow.
	Follows registry.Epoch `json:"follows,omitempty"`
}

// ReignOver forgets that this server process has reigned, once it has closed and follows another.
func (r *Record) ReignOver(process string, now registry.Epoch) {
	if r.MarkedBy == process && r.Marked < now {
		r.MarkedBy = ""
	}
	if r.LedBy == process && r.Led < now {
		r.LedBy = ""
	}
}

// After returns registry.ErrStale if r would go back from old: no store of promises takes such a record.
func (r Record) After(old Record) error {
	if r.Promise < old.Promise || r.Revision < old.Revision || r.Marked < old.Marked || r.Follows < old.Follows || r.Led < old.Led {
		return fmt.Errorf("record %+v would go back from %+v: %w", r, old, registry.ErrStale)
	}
	return nil
}

// ErrLost is returned when a promise file exists but holds no readable record: what was promised is not known.
var ErrLost = errors.New("promise file is damaged")

// slotSize is the size of each of the two slots of a promise file. They are written in turn, so that a crash in the
// middle of a write leaves the other one whole; the file never changes its size, so one fdatasync makes it durable.
const slotSize = 4096

// promiseMagic begins each slot; the last digit is the version of the format.
const promiseMagic = "batonpr1"

// File keeps a Record on disk. One goroutine uses it.
type File struct {
	file *os.File
	turn uint64 // of the newest slot
	now  Record
}

// Open opens or creates the file. One that was made, or never got its first record, has promised nothing and gets
// a name of its own.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open promise file: %w", err)
	}
	p := &File{file: f}
	if err := p.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	if p.now.File != "" {
		// What an agent wrote that was killed before it was synced is read here, and would be acted on: it must not be
		// lost with the power after that.
		if err := datasync(f); err != nil {
			return nil, errors.Join(fmt.Errorf("sync %s: %w", path, err), f.Close())
		}
		return p, nil
	}
	err = p.Save(Record{File: rand.Text()})
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path)) // without its name the file would be lost with the power
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin %s: %w", path, err), f.Close())
	}
	return p, nil
}

func (p *File) load() error {
	size, err := p.file.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	if size == 0 {
		if err := p.file.Truncate(2 * slotSize); err != nil {
			return fmt.Errorf("reserve space: %w", err)
		}
		return p.file.Sync()
	}
	if size != 2*slotSize {
		return fmt.Errorf("%d bytes, want %d: %w", size, 2*slotSize, ErrLost)
	}
	unused, readable := false, 0
	for slot := range 2 {
		b := make([]byte, slotSize)
		if _, err := p.file.ReadAt(b, int64(slot*slotSize)); err != nil {
			return fmt.Errorf("read slot %d: %w", slot, err)
		}
		if bytes.Count(b, []byte{0}) == slotSize {
			unused = unused || slot == 0 // the second record goes there: at most the first, which promises nothing, was begun
			continue
		}
		turn, r, err := decodeSlot(b)
		if err != nil {
			continue // torn by a crash: the other slot is whole
		}
		readable++
		if turn > p.turn {
			p.turn, p.now = turn, r
		}
	}
	if readable == 0 && !unused {
		return fmt.Errorf("neither slot is readable: %w", ErrLost)
	}
	return nil
}

// Save makes r durable before it returns.
func (p *File) Save(r Record) error {
	if err := r.After(p.now); err != nil {
		return err
	}
	b, err := encodeSlot(p.turn+1, r)
	if err != nil {
		return err
	}
	if _, err := p.file.WriteAt(b, int64((p.turn+1)%2)*slotSize); err != nil {
		return fmt.Errorf("write promise: %w", err)
	}
	if err := datasync(p.file); err != nil {
		return fmt.Errorf("sync promise: %w", err)
	}
	p.turn, p.now = p.turn+1, r
	return nil
}

// Record is what the file holds.
func (p *File) Record() Record { return p.now }

// Close closes the file; what it holds stays.
func (p *File) Close() error { return p.file.Close() }

// encodeSlot lays out magic, turn, length, CRC32C of turn and body, body.
func encodeSlot(turn uint64, r Record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode promise: %w", err)
	}
	if len(body) > slotSize-24 {
		return nil, fmt.Errorf("encode promise: %d bytes", len(body))
	}
	b := make([]byte, slotSize)
	copy(b, promiseMagic)
	binary.BigEndian.PutUint64(b[8:], turn)
	binary.BigEndian.PutUint32(b[16:], uint32(len(body)))
	copy(b[24:], body)
	binary.BigEndian.PutUint32(b[20:], slotSum(b, len(body)))
	return b, nil
}

func decodeSlot(b []byte) (uint64, Record, error) {
	var r Record
	if len(b) != slotSize || string(b[:8]) != promiseMagic {
		return 0, r, fmt.Errorf("no promise: %w", ErrLost)
	}
	n := int(binary.BigEndian.Uint32(b[16:]))
	if n > slotSize-24 || slotSum(b, n) != binary.BigEndian.Uint32(b[20:]) {
		return 0, r, fmt.Errorf("checksum: %w", ErrLost)
	}
	if err := json.Unmarshal(b[24:24+n], &r); err != nil {
		return 0, r, fmt.Errorf("%w: %w", err, ErrLost)
	}
	return binary.BigEndian.Uint64(b[8:]), r, nil
}

func slotSum(b []byte, n int) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(b[8:20], table), table, b[24:24+n])
}

// Read returns the newest record of a file without changing it.
func Read(path string) (Record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Record{}, fmt.Errorf("read promise file: %w", err)
	}
	var newest uint64
	var found Record
	for slot := range slices.Chunk(b, slotSize) {
		if turn, r, err := decodeSlot(slot); err == nil && turn > newest {
			newest, found = turn, r
		}
	}
	if newest == 0 {
		return found, fmt.Errorf("%s: %w", path, ErrLost)
	}
	return found, nil
}

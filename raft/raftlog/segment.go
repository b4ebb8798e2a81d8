package raftlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/baton-db/baton/internal/durable"
)

// File is the part of *os.File that a segment needs.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes everything written durable. It is called once per batch and never again after it has failed.
	Sync() error
	Close() error
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncFile(f.File) }

// A segment is one preallocated file of the log. Only the newest is written to.
type segment struct {
	seq   uint64 // 1, 2, 3, ...; its name
	path  string
	f     File
	size  int64
	used  int64
	link  uint32 // check of the last frame
	top   uint64 // highest index that is or was stored here
	found int64  // when scanned: bytes of a torn write that were cut off
}

// segmentHead is the payload of the frame that begins a segment.
type segmentHead struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Segment uint64 `json:"segment"`
	Size    int64  `json:"size"` // of the file, from its first day
}

// formatVersion is the version of everything in the data directory; a directory with a higher one is refused.
const formatVersion = 1

const segmentSuffix = ".seg"

func segmentPath(dir string, seq uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", seq, segmentSuffix))
}

// segmentNumbers returns the sorted numbers of the segments in dir, after removing what an interrupted creation left.
func segmentNumbers(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var all []uint64
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, ".tmp") {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("remove unfinished segment: %w", err)
			}
			continue
		}
		seq, err := strconv.ParseUint(strings.TrimSuffix(name, segmentSuffix), 10, 64)
		if err != nil || filepath.Base(segmentPath(dir, seq)) != name {
			return nil, fmt.Errorf("%s is not a segment of the log: %w", filepath.Join(dir, name), ErrDamaged)
		}
		all = append(all, seq)
	}
	slices.Sort(all)
	return all, nil
}

// createSegment makes a durable segment file that begins with the given bytes; it appears under its name only when it is
// whole.
func (s *Store) createSegment(seq uint64, first []byte, size int64) (*segment, error) {
	path := segmentPath(s.dir, seq)
	f, err := os.OpenFile(path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	g := &segment{seq: seq, path: path, f: s.wrap(osFile{f}), size: size, used: int64(len(first))}
	err = preallocate(f, size)
	if err == nil {
		_, err = g.f.WriteAt(first, 0)
	}
	if err == nil {
		err = g.f.Sync()
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		err = durable.SyncDir(s.dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create segment %d: %w", seq, err), f.Close())
	}
	return g, nil
}

// openSegment reads and checks one segment, calls visit for each of its frames and cuts off a torn write when it is the
// newest segment.
func (s *Store) openSegment(seq uint64, newest bool, visit func(*segment, frame, int64) error) (*segment, error) {
	path := segmentPath(s.dir, seq)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read segment: %w", err)
	}
	g := &segment{seq: seq, path: path, size: int64(len(b))}
	for !allZero(b[g.used:]) {
		f, err := parseFrame(b[g.used:])
		if err != nil && newest && g.used > 0 && torn(b, int(g.used)) {
			g.found = int64(len(b)) - g.used
			break
		}
		if err == nil && g.used > 0 && f.link != g.link {
			err = fmt.Errorf("frame does not follow the one before: %w", ErrDamaged)
		}
		if err == nil {
			err = visit(g, f, g.used)
		}
		if err != nil {
			return nil, fmt.Errorf("segment %s, offset %d: %w", filepath.Base(path), g.used, err)
		}
		g.used, g.link = g.used+int64(f.size), f.check
	}
	if g.used == 0 {
		return nil, fmt.Errorf("segment %s is empty: %w", filepath.Base(path), ErrDamaged)
	}
	osf, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	g.f = s.wrap(osFile{osf})
	if newest {
		return g, g.settle(b)
	}
	return g, nil
}

// settle makes what was read durable before anything is built on it: a killed process leaves bytes that were written but
// never synced. A torn write is overwritten with zeros first.
func (g *segment) settle(b []byte) error {
	if g.found > 0 {
		if _, err := g.f.WriteAt(make([]byte, int64(len(b))-g.used), g.used); err != nil {
			return fmt.Errorf("clear torn write in segment %d: %w", g.seq, err)
		}
	}
	if err := g.f.Sync(); err != nil {
		return fmt.Errorf("sync segment %d: %w", g.seq, err)
	}
	return nil
}

// checkHead says whether the first frame of segment g belongs to this server and to a file of this size.
func (s *Store) checkHead(g *segment, f frame) error {
	var h segmentHead
	if f.kind != frameHead {
		return fmt.Errorf("first frame has kind %d: %w", f.kind, ErrDamaged)
	}
	if err := json.Unmarshal(f.payload, &h); err != nil {
		return fmt.Errorf("head %q: %w", f.payload, ErrDamaged)
	}
	if h.Format > formatVersion {
		return fmt.Errorf("format %d, this baton reads up to %d: %w", h.Format, formatVersion, ErrNewer)
	}
	if h.Cluster != s.cluster || h.Node != s.node {
		return fmt.Errorf("belongs to node %s of cluster %s, this is node %s of cluster %s: %w",
			h.Node, h.Cluster, s.node, s.cluster, ErrForeign)
	}
	if h.Segment != g.seq {
		return fmt.Errorf("is segment %d under the name of %d: %w", h.Segment, g.seq, ErrDamaged)
	}
	if h.Size != g.size {
		return fmt.Errorf("file of %d bytes was made with %d: %w", g.size, h.Size, ErrDamaged)
	}
	return nil
}

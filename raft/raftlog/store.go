package raftlog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
)

// A Store is the durable part of a server: its log, its term and its vote, in one chain of segments. One append is one
// write and one sync. It is the log store, the stable store and the commit tracking store of the vendor.
//
// After the first failed write or sync the store is poisoned: what the disk holds is unknown, a second sync could report
// success for bytes that were dropped, so nothing is ever written or acknowledged again by this process.
type Store struct {
	dir         string // of the segments
	cluster     string
	node        string
	segmentSize int64
	wrap        func(File) File // tests put faults here
	log         *slog.Logger
	lock        *os.File
	birth       *birth
	mark        string
	failed      chan struct{} // closed when poisoned
	stop        chan struct{}
	background  sync.WaitGroup
	started     time.Time
	busy        atomic.Int64 // when the append under way began, as nanoseconds since started; 0: none

	// writer is held by the one who changes files; mu guards what readers see and is never held across a sync.
	writer sync.Mutex
	buf    []byte
	mu     sync.RWMutex

	segments []*segment
	first    uint64 // index of entries[0]
	entries  []place
	commit   uint64 // durable lower bound of the commit index
	staged   uint64
	stable   map[string][]byte
	cause    error // why poisoned
}

// place is where one entry lies.
type place struct {
	segment *segment
	offset  int64
	size    int32
	term    uint64
}

// Config is what a store needs to know.
type Config struct {
	Dir     string // data directory; must exist
	Cluster string // whose directory it is, for ever
	Node    string
	// Mark, when set, is a file outside Dir, made when Dir is born: with it an empty Dir is one that was emptied.
	Mark string
	// SegmentSize is in bytes; 0 means 4 MiB.
	SegmentSize int64
	// Wrap, when set, is put around every file of the log: the place for faults in tests.
	Wrap func(File) File
	Log  *slog.Logger
}

const defaultSegment = 4 << 20

// Keys under which the vendor keeps term and vote.
const (
	keyTerm     = "CurrentTerm"
	keyVoteTerm = "LastVoteTerm"
)

// Open locks the directory, checks all of it and returns the store, or an error that says what is wrong. A directory
// without a birth certificate must be empty and gets one.
func Open(c Config) (*Store, error) {
	s := &Store{
		dir: filepath.Join(c.Dir, logName), cluster: c.Cluster, node: c.Node, mark: c.Mark,
		segmentSize: c.SegmentSize, wrap: c.Wrap, log: c.Log,
		failed: make(chan struct{}), stop: make(chan struct{}), started: time.Now(),
		birth:  &birth{dir: c.Dir, nudge: make(chan struct{}, 1)},
		stable: map[string][]byte{},
	}
	if s.segmentSize == 0 {
		s.segmentSize = defaultSegment
	}
	if s.wrap == nil {
		s.wrap = func(f File) File { return f }
	}
	lock, err := lockDir(c.Dir)
	if err != nil {
		return nil, err
	}
	s.lock = lock
	if err := s.load(c.Dir); err != nil {
		s.closeFiles()
		return nil, err
	}
	s.background.Go(s.keepMarks)
	return s, nil
}

// load reads the certificate and the log and compares them.
func (s *Store) load(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, birthName))
	if errors.Is(err, os.ErrNotExist) {
		err = s.bear(dir)
	} else if err == nil {
		s.birth.have, err = decodeCertificate(b)
	}
	if err != nil {
		return err
	}
	marks := s.birth.have
	if err := marks.belongs(s.cluster, s.node); err != nil {
		return err
	}
	if err := s.leaveMark(); err != nil { // before the first vote
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make log directory: %w", err)
	}
	numbers, err := segmentNumbers(s.dir)
	if err != nil {
		return err
	}
	for i, seq := range numbers {
		if err := s.loadSegment(seq, i == len(numbers)-1); err != nil {
			return err
		}
	}
	found := s.marks()
	found.Snapshot = marks.Snapshot // whoever knows the snapshots compares these
	if err := found.below(marks); err != nil {
		return err
	}
	s.birth.want = found
	if len(numbers) == 0 {
		if err := s.roll(0); err != nil {
			return err
		}
		s.birth.want = s.marks()
	}
	return s.birth.write()
}

// bear gives an empty directory its certificate, before anything else is in it.
func (s *Store) bear(dir string) error {
	if err := s.bornBefore(dir); err != nil {
		return err
	}
	for _, name := range []string{logName, snapshotsName} {
		inside, err := os.ReadDir(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("look for earlier state: %w", err)
		}
		if len(inside) > 0 {
			return fmt.Errorf("%s has no birth certificate but %s is not empty: %w", dir, name, ErrDamaged)
		}
	}
	s.birth.want = certificate{Format: formatVersion, Cluster: s.cluster, Node: s.node}
	return s.birth.write()
}

// marks are those of what is in memory.
func (s *Store) marks() certificate {
	c := certificate{Format: formatVersion, Cluster: s.cluster, Node: s.node, LastIndex: s.last()}
	if n := len(s.segments); n > 0 {
		c.Segment = s.segments[n-1].seq
	}
	c.Term, c.VoteTerm = s.number(keyTerm), s.number(keyVoteTerm)
	c.Snapshot = s.birth.want.Snapshot
	return c
}

// loadSegment adds one segment to those in memory.
func (s *Store) loadSegment(seq uint64, newest bool) error {
	if n := len(s.segments); n > 0 && s.segments[n-1].seq+1 != seq {
		return fmt.Errorf("segment %d is missing: %w", s.segments[n-1].seq+1, ErrDamaged)
	}
	g, err := s.openSegment(seq, newest, s.replay)
	if err != nil {
		return err
	}
	if g.found > 0 {
		s.log.Warn("cut off the write that was under way when the machine stopped",
			"segment", seq, "offset", g.used, "last_index", s.last())
	}
	s.segments = append(s.segments, g)
	return nil
}

// replay repeats in memory what a frame did.
func (s *Store) replay(g *segment, f frame, off int64) error {
	if (f.kind == frameHead) != (off == 0) {
		return fmt.Errorf("frame of kind %d in this place: %w", f.kind, ErrDamaged)
	}
	switch f.kind {
	case frameHead:
		if n := len(s.segments); n > 0 && f.link != s.segments[n-1].link {
			return fmt.Errorf("segment does not follow segment %d: %w", s.segments[n-1].seq, ErrDamaged)
		}
		return s.checkHead(g, f)
	case frameEntries:
		return s.replayEntries(g, f, off)
	case frameCut:
		s.keep(f.number)
	case frameReset:
		s.entries = nil
	case frameVote:
		stable := map[string][]byte{}
		if err := json.Unmarshal(f.payload, &stable); err != nil {
			return fmt.Errorf("vote frame: %w: %w", err, ErrDamaged)
		}
		s.stable = stable
	}
	return nil
}

func (s *Store) replayEntries(g *segment, f frame, off int64) error {
	at := 0
	for at < len(f.payload) {
		var l hraft.Log
		n, err := parseEntry(f.payload[at:], &l)
		if err != nil {
			return err
		}
		if last := s.last(); last > 0 && (l.Index != last+1 || l.Term < s.entries[len(s.entries)-1].term) {
			return fmt.Errorf("entry %d of term %d after entry %d: %w", l.Index, l.Term, last, ErrDamaged)
		}
		s.add(place{g, off + frameHeader + int64(at), int32(n), l.Term}, l.Index)
		at += n
	}
	s.commit = max(s.commit, f.number)
	return nil
}

// add puts the next entry into the index.
func (s *Store) add(p place, index uint64) {
	if len(s.entries) == 0 {
		s.first = index
	}
	s.entries = append(s.entries, p)
	p.segment.top = max(p.segment.top, index)
}

// keep drops the entries above last from the index.
func (s *Store) keep(last uint64) {
	if last < s.first {
		s.entries = nil
		return
	}
	s.entries = s.entries[:min(last-s.first+1, uint64(len(s.entries)))]
}

// last is the index of the last entry, 0 when there is none.
func (s *Store) last() uint64 {
	if len(s.entries) == 0 {
		return 0
	}
	return s.first + uint64(len(s.entries)) - 1
}

// number reads a stable value that is a number.
func (s *Store) number(key string) uint64 {
	v := s.stable[key]
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// keepMarks writes the certificate whenever its marks have moved.
func (s *Store) keepMarks() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.failed:
			return
		case <-s.birth.nudge:
			if err := s.birth.write(); err != nil {
				s.poison(err)
			}
		}
	}
}

// setStable makes the values durable in one append.
func (s *Store) setStable(key string, value []byte) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	if old, ok := s.stable[key]; ok && bytes.Equal(old, value) {
		return s.Failure()
	}
	next := maps.Clone(s.stable)
	next[key] = value
	payload, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode stable values: %w", err)
	}
	if _, _, err := s.append(frameVote, 0, payload); err != nil {
		return err
	}
	s.mu.Lock()
	s.stable = next
	term, vote := s.number(keyTerm), s.number(keyVoteTerm)
	s.mu.Unlock()
	s.birth.raise(func(c *certificate) { c.Term, c.VoteTerm = max(c.Term, term), max(c.VoteTerm, vote) })
	return nil
}

// append writes one frame behind the last and makes it durable; it returns where the payload lies. The caller holds
// writer.
func (s *Store) append(kind frameKind, number uint64, payload []byte) (*segment, int64, error) {
	if err := s.Failure(); err != nil {
		return nil, 0, err
	}
	s.busy.Store(max(1, int64(time.Since(s.started))))
	defer s.busy.Store(0)
	if g := s.newest(); g.used+int64(frameSize(len(payload))) > g.size {
		if err := s.roll(len(payload)); err != nil {
			return nil, 0, s.poison(err)
		}
	}
	g := s.newest()
	b, check := appendFrame(s.buf[:0], g.used, frame{kind: kind, number: number, link: g.link, payload: payload})
	s.buf = b
	_, err := g.f.WriteAt(b, g.used)
	if err == nil {
		err = g.f.Sync()
	}
	if err != nil {
		return nil, 0, s.poison(fmt.Errorf("append to segment %d: %w", g.seq, err))
	}
	at := g.used + frameHeader
	g.used, g.link = g.used+int64(len(b)), check
	return g, at, nil
}

func (s *Store) newest() *segment { return s.segments[len(s.segments)-1] }

// roll begins the next segment, with room for a payload. It opens with the stable values, so that older segments can go.
func (s *Store) roll(payload int) error {
	var seq uint64 = 1
	var link uint32
	if n := len(s.segments); n > 0 {
		seq, link = s.segments[n-1].seq+1, s.segments[n-1].link
	}
	stable, err := json.Marshal(s.stable)
	if err != nil {
		return fmt.Errorf("encode stable values: %w", err)
	}
	const page, headRoom = 4096, 4096
	size := max(s.segmentSize, int64(frameSize(payload)+frameSize(len(stable))+headRoom+page-1)/page*page)
	head, err := json.Marshal(segmentHead{formatVersion, s.cluster, s.node, seq, size})
	if err != nil {
		return fmt.Errorf("encode segment head: %w", err)
	}
	b, link := appendFrame(nil, 0, frame{kind: frameHead, link: link, payload: head})
	b, link = appendFrame(b, int64(len(b)), frame{kind: frameVote, link: link, payload: stable})
	g, err := s.createSegment(seq, b, size)
	if err != nil {
		return err
	}
	g.link = link
	s.mu.Lock()
	s.segments = append(s.segments, g)
	s.mu.Unlock()
	s.birth.raise(func(c *certificate) { c.Segment = seq })
	return nil
}

// poison records the first failure; nothing is written after it.
func (s *Store) poison(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = fmt.Errorf("raft store in %s: %w", filepath.Dir(s.dir), err)
		close(s.failed)
	}
	return s.cause
}

// Failure is why the store is poisoned, or nil.
func (s *Store) Failure() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.cause
}

// Failed is closed when the store is poisoned.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Stalled is how long the append under way has taken so far; 0 when there is none.
func (s *Store) Stalled() time.Duration {
	since := s.busy.Load()
	if since == 0 {
		return 0
	}
	return time.Since(s.started) - time.Duration(since)
}

// Size is what the log takes on disk, in bytes.
func (s *Store) Size() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var n int64
	for _, g := range s.segments {
		n += g.size
	}
	return n
}

// Close writes the marks and gives the directory back. No other method may be under way.
func (s *Store) Close() error {
	close(s.stop)
	s.background.Wait()
	var err error
	if s.Failure() == nil {
		s.birth.raise(func(c *certificate) { c.LastIndex = s.last() })
		err = s.birth.write()
	}
	return errors.Join(err, s.closeFiles())
}

func (s *Store) closeFiles() error {
	var errs []error
	for _, g := range s.segments {
		errs = append(errs, g.f.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

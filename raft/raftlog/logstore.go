package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/internal/durable"
)

var (
	_ hraft.CommitTrackingLogStore = (*Store)(nil)
	_ hraft.MonotonicLogStore      = (*Store)(nil)
	_ hraft.StableStore            = (*Store)(nil)
)

// IsMonotonic tells the vendor that indexes have no gaps, so that it clears the log after installing a snapshot.
func (s *Store) IsMonotonic() bool { return true }

// FirstIndex returns the index of the first entry, 0 for none.
func (s *Store) FirstIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.entries) == 0 {
		return 0, nil
	}
	return s.first, nil
}

// LastIndex returns the index of the last entry, 0 for none.
func (s *Store) LastIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last(), nil
}

// GetLog reads one entry from its segment and checks it. An entry that is not as it was written poisons the store.
func (s *Store) GetLog(index uint64, l *hraft.Log) error {
	err := s.read(index, l)
	if errors.Is(err, ErrDamaged) {
		return s.poison(err)
	}
	return err
}

func (s *Store) read(index uint64, l *hraft.Log) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.entries) == 0 || index < s.first || index > s.last() {
		return hraft.ErrLogNotFound
	}
	p := s.entries[index-s.first]
	b := make([]byte, p.size)
	if _, err := p.segment.f.ReadAt(b, p.offset); err != nil {
		return fmt.Errorf("read entry %d: %w: %w", index, err, ErrDamaged)
	}
	if _, err := parseEntry(b, l); err != nil {
		return fmt.Errorf("read entry %d: %w", index, err)
	}
	if l.Index != index || l.Term != p.term {
		return fmt.Errorf("read entry %d: found entry %d of term %d: %w", index, l.Index, l.Term, ErrDamaged)
	}
	return nil
}

// StoreLog stores one entry.
func (s *Store) StoreLog(l *hraft.Log) error { return s.StoreLogs([]*hraft.Log{l}) }

// StoreLogs appends entries in one frame, together with the staged commit index. All are durable when it returns nil.
func (s *Store) StoreLogs(logs []*hraft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.RLock()
	last, commit := s.last(), max(s.commit, s.staged)
	s.mu.RUnlock()
	if last == 0 {
		last = logs[0].Index - 1
	}
	var payload []byte
	ends := make([]int, len(logs))
	for i, l := range logs {
		if l.Index != last+1+uint64(i) {
			return fmt.Errorf("store entry %d after %d", l.Index, last+uint64(i))
		}
		payload = appendEntry(payload, l)
		ends[i] = len(payload)
	}
	last += uint64(len(logs))
	commit = min(commit, last)
	g, off, err := s.append(frameEntries, commit, payload)
	if err != nil {
		return err
	}
	s.mu.Lock()
	begin := 0
	for i, l := range logs {
		s.add(place{g, off + int64(begin), int32(ends[i] - begin), l.Term}, l.Index)
		begin = ends[i]
	}
	s.commit = commit
	s.mu.Unlock()
	s.birth.raise(func(c *certificate) { c.LastIndex = last })
	return nil
}

// DeleteRange removes a prefix (compaction), a suffix (entries that lost against a new leader's) or everything (a
// snapshot replaced the log). Both ends are inclusive.
func (s *Store) DeleteRange(lo, hi uint64) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.RLock()
	first, last, empty := s.first, s.last(), len(s.entries) == 0
	s.mu.RUnlock()
	switch {
	case empty || hi < first || lo > last:
		return nil
	case lo <= first && hi >= last:
		return s.clear()
	case hi >= last:
		return s.cut(lo - 1)
	case lo <= first:
		return s.drop(hi + 1)
	}
	return fmt.Errorf("delete entries %d to %d in the middle of %d to %d", lo, hi, first, last)
}

// cut voids the entries above last.
func (s *Store) cut(last uint64) error {
	if err := s.birth.lower(last); err != nil {
		return s.poison(err)
	}
	if _, _, err := s.append(frameCut, last, nil); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(last)
	return nil
}

// clear voids all entries; the next may have any index.
func (s *Store) clear() error {
	if err := s.birth.lower(0); err != nil {
		return s.poison(err)
	}
	if _, _, err := s.append(frameReset, 0, nil); err != nil {
		return err
	}
	s.mu.Lock()
	next := s.last() + 1
	s.entries = nil
	s.mu.Unlock()
	return s.drop(next)
}

// drop forgets the entries below first and removes the segments that hold nothing else. A crash may bring back some of
// them, which does no harm: they are in a snapshot.
func (s *Store) drop(first uint64) error {
	s.mu.Lock()
	if n := len(s.entries); n > 0 && first > s.first {
		s.entries, s.first = s.entries[min(first-s.first, uint64(n)):], first
	}
	s.mu.Unlock()
	before := len(s.segments)
	// Oldest first, and none behind one that cannot be removed: a gap in the chain is damage at the next Open. What stays
	// is tried again by the next drop.
	for len(s.segments) > 1 && s.segments[0].top < first {
		g := s.segments[0]
		if err := os.Remove(g.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove segment %d: %w", g.seq, err)
		}
		s.mu.Lock()
		s.segments = s.segments[1:]
		s.mu.Unlock()
		if err := g.f.Close(); err != nil {
			return fmt.Errorf("close segment %d: %w", g.seq, err)
		}
	}
	if len(s.segments) == before {
		return nil
	}
	return durable.SyncDir(s.dir)
}

// StageCommitIndex keeps the commit index until the next StoreLogs writes it in the same frame as its entries.
func (s *Store) StageCommitIndex(index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staged = max(s.staged, index)
	return nil
}

// GetCommitIndex tells the vendor that no commit index is known. Open has by then applied what is committed, because the
// vendor's own way (RestoreCommittedLogs in v1.8.0) skips the configuration entries it replays, so that a server without a
// snapshot comes back without peers, and fills a queue of 128 batches that nobody empties yet.
func (s *Store) GetCommitIndex() (uint64, error) { return 0, nil }

// Committed is the highest index known to be committed, never above the last entry.
func (s *Store) Committed() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return min(s.commit, s.last())
}

// Set makes a stable value durable.
func (s *Store) Set(key, value []byte) error { return s.setStable(string(key), value) }

// SetUint64 makes a stable number durable.
func (s *Store) SetUint64(key []byte, value uint64) error {
	return s.setStable(string(key), binary.BigEndian.AppendUint64(nil, value))
}

// Get returns a stable value, empty when there is none.
func (s *Store) Get(key []byte) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stable[string(key)], nil
}

// GetUint64 returns a stable number, 0 when there is none.
func (s *Store) GetUint64(key []byte) (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.number(string(key)), nil
}

// CheckSnapshot reports whether the log continues a snapshot that ends at index newest, 0 for none, and returns the index
// of the first entry. An error wraps ErrDamaged: entries between the two are missing, or a newer snapshot was here once.
func (s *Store) CheckSnapshot(newest uint64) (first uint64, err error) {
	first, err = s.FirstIndex()
	if err != nil {
		return 0, err
	}
	if first > newest+1 {
		return 0, fmt.Errorf("the log begins at %d but the newest readable snapshot ends at %d: %w", first, newest, ErrDamaged)
	}
	last, err := s.LastIndex()
	if err != nil {
		return 0, err
	}
	s.birth.mu.Lock()
	marks := s.birth.have
	s.birth.mu.Unlock()
	found := marks
	found.Snapshot = max(newest, last)
	if err := found.below(marks); err != nil {
		return 0, err
	}
	s.SawSnapshot(newest)
	return first, nil
}

// SawSnapshot notes that a snapshot up to index is on disk beside the log.
func (s *Store) SawSnapshot(index uint64) {
	s.birth.raise(func(c *certificate) { c.Snapshot = max(c.Snapshot, index) })
}

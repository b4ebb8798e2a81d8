package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	hraft "github.com/hashicorp/raft"
)

var update = flag.Bool("update", false, "rewrite golden files")

func testConfig(t *testing.T, dir string) Config {
	t.Helper()
	return Config{Dir: dir, Cluster: "c1", Node: "n1", SegmentSize: 8 << 10, Log: slog.New(slog.DiscardHandler)}
}

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(testConfig(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// crash gives the directory back as a killed process would: without writing anything.
func crash(t *testing.T, s *Store) {
	t.Helper()
	close(s.stop)
	s.background.Wait()
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
}

func entry(index, term uint64) *hraft.Log {
	return &hraft.Log{
		Index: index, Term: term, Type: hraft.LogCommand, Data: fmt.Appendf(nil, "command %d of term %d", index, term),
		AppendedAt: time.Unix(1_700_000_000, int64(index)).UTC(),
	}
}

func entries(from, to, term uint64) []*hraft.Log {
	var all []*hraft.Log
	for i := from; i <= to; i++ {
		all = append(all, entry(i, term))
	}
	return all
}

func mustStore(t *testing.T, s *Store, logs ...*hraft.Log) {
	t.Helper()
	if err := s.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

// wantLog checks first and last index and every entry between them.
func wantLog(t *testing.T, s *Store, want []*hraft.Log) {
	t.Helper()
	var got []*hraft.Log
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	for i := first; i > 0 && i <= last; i++ {
		var l hraft.Log
		if err := s.GetLog(i, &l); err != nil {
			t.Fatal(err)
		}
		got = append(got, &l)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
}

func TestWhatWasStoredIsThereAfterARestart(t *testing.T) {
	for _, end := range []struct {
		name string
		how  func(*testing.T, *Store)
	}{{"closed", mustClose}, {"killed", crash}} {
		t.Run(end.name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			want := entries(1, 300, 2) // several segments
			want[6].Extensions = []byte("extension")
			want[7].Data = nil
			want[7].AppendedAt = time.Time{}
			want[7].Type = hraft.LogNoop
			for i := 0; i < len(want); i += 10 {
				if err := s.StageCommitIndex(uint64(i)); err != nil {
					t.Fatal(err)
				}
				mustStore(t, s, want[i:i+10]...)
			}
			want[7].Data = []byte{}
			if err := s.SetUint64([]byte("CurrentTerm"), 7); err != nil {
				t.Fatal(err)
			}
			if err := s.Set([]byte("LastVoteCand"), []byte("n2")); err != nil {
				t.Fatal(err)
			}
			end.how(t, s)
			s = mustOpen(t, dir)
			defer mustClose(t, s)
			if len(s.segments) < 3 {
				t.Errorf("%d segments, the test wants several", len(s.segments))
			}
			wantLog(t, s, want)
			if got := s.Committed(); got != 290 {
				t.Errorf("committed %d, want the 290 staged before the last batch", got)
			}
			term, _ := s.GetUint64([]byte("CurrentTerm"))
			vote, _ := s.Get([]byte("LastVoteCand"))
			if term != 7 || string(vote) != "n2" {
				t.Errorf("term %d, vote %q", term, vote)
			}
			var l hraft.Log
			if err := s.GetLog(301, &l); !errors.Is(err, hraft.ErrLogNotFound) {
				t.Errorf("entry 301: %v", err)
			}
		})
	}
}

func TestCommitIndexIsNeverAboveTheLog(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.StageCommitIndex(1000); err != nil {
		t.Fatal(err)
	}
	if got := s.Committed(); got != 0 {
		t.Errorf("staged only: committed %d", got)
	}
	mustStore(t, s, entries(1, 3, 1)...)
	crash(t, s)
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	if got := s.Committed(); got != 3 {
		t.Errorf("committed %d, want 3", got)
	}
}

func TestStableValuesSurviveCompaction(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.SetUint64([]byte("CurrentTerm"), 5); err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i < 1000; i += 10 {
		mustStore(t, s, entries(i, i+9, 5)...)
	}
	before := len(s.segments)
	if err := s.DeleteRange(1, 900); err != nil {
		t.Fatal(err)
	}
	if len(s.segments) >= before/2 {
		t.Errorf("%d of %d segments are left", len(s.segments), before)
	}
	wantLog(t, s, entries(901, 1000, 5))
	mustClose(t, s)
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	if term, _ := s.GetUint64([]byte("CurrentTerm")); term != 5 {
		t.Errorf("term %d", term)
	}
	if first, _ := s.FirstIndex(); first > 901 {
		t.Errorf("first index %d", first)
	}
}

func TestEntriesThatLostAreReplaced(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustStore(t, s, entries(1, 200, 1)...)
	mustClose(t, s) // the certificate now says 200
	s = mustOpen(t, dir)
	if err := s.DeleteRange(51, 200); err != nil {
		t.Fatal(err)
	}
	crash(t, s)
	s = mustOpen(t, dir)
	wantLog(t, s, entries(1, 50, 1))
	mustStore(t, s, entries(51, 60, 3)...)
	crash(t, s)
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	wantLog(t, s, append(entries(1, 50, 1), entries(51, 60, 3)...))
}

func TestASnapshotReplacesTheWholeLog(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustStore(t, s, entries(1, 200, 1)...)
	if err := s.DeleteRange(1, 200); err != nil {
		t.Fatal(err)
	}
	wantLog(t, s, nil)
	crash(t, s)
	s = mustOpen(t, dir)
	wantLog(t, s, nil)
	mustStore(t, s, entries(5001, 5010, 4)...)
	crash(t, s)
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	wantLog(t, s, entries(5001, 5010, 4))
}

func TestASegmentThatCannotBeRemovedLeavesNoGap(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for i := uint64(1); i < 1000; i += 10 {
		mustStore(t, s, entries(i, i+9, 1)...)
	}
	oldest := s.segments[0].path
	bytes, err := os.ReadFile(oldest)
	if err == nil {
		err = errors.Join(os.Remove(oldest), os.MkdirAll(filepath.Join(oldest, "busy"), 0o700)) // cannot be removed
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, hi := range []uint64{300, 600} {
		if err := s.DeleteRange(1, hi); err == nil {
			t.Errorf("compaction up to %d: no error", hi)
		}
	}
	if err := errors.Join(os.RemoveAll(oldest), os.WriteFile(oldest, bytes, 0o600)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s = mustOpen(t, dir)
	if err := s.DeleteRange(1, 600); err != nil {
		t.Fatal(err)
	}
	wantLog(t, s, entries(601, 1000, 1))
	if _, err := os.Stat(oldest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", oldest, err)
	}
	mustClose(t, s)
}

func TestGapsAreRefused(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer mustClose(t, s)
	mustStore(t, s, entries(1, 3, 1)...)
	if err := s.StoreLog(entry(5, 1)); err == nil {
		t.Error("entry 5 after 3 was stored")
	}
	if err := s.DeleteRange(2, 2); err == nil {
		t.Error("a hole was made")
	}
	wantLog(t, s, entries(1, 3, 1))
}

func TestABatchMayBeLargerThanASegment(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	big := &hraft.Log{Index: 1, Term: 1, Data: make([]byte, 1<<16)}
	mustStore(t, s, big, entry(2, 1))
	mustClose(t, s)
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	wantLog(t, s, []*hraft.Log{big, entry(2, 1)})
}

// TestGoldenBytes holds the format: what this baton writes, later ones must read.
func TestGoldenBytes(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.SetUint64([]byte(keyTerm), 3); err != nil {
		t.Fatal(err)
	}
	if err := s.StageCommitIndex(1); err != nil {
		t.Fatal(err)
	}
	withExtension := entry(2, 3)
	withExtension.Extensions = []byte("x")
	mustStore(t, s, entry(1, 2), withExtension, entry(3, 3))
	if err := s.DeleteRange(3, 3); err != nil {
		t.Fatal(err)
	}
	mustStore(t, s, entry(3, 4))
	mustClose(t, s)
	for _, c := range []struct{ file, golden string }{
		{filepath.Join(dir, logName, fmt.Sprintf("%020d.seg", 1)), "segment.golden"},
		{filepath.Join(dir, birthName), "birth.golden"},
	} {
		got, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		got = bytes.TrimRight(got, "\x00")
		golden := filepath.Join("testdata", c.golden)
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s changed: the on-disk format needs a new version\n%q\n%q", c.golden, got, want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "segment.golden"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(frameMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		for off := 0; off < len(b); {
			torn(b, off)
			fr, err := parseFrame(b[off:])
			if err != nil {
				return
			}
			again, _ := appendFrame(nil, int64(off), frame{kind: fr.kind, number: fr.number, link: fr.link, payload: fr.payload})
			if f, err := parseFrame(again); err != nil || !bytes.Equal(f.payload, fr.payload) {
				t.Fatalf("frame does not survive a round trip: %v", err)
			}
			off += fr.size
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add(appendEntry(nil, entry(7, 3)))
	f.Add(binary.LittleEndian.AppendUint32(nil, entryFixed))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l hraft.Log
		n, err := parseEntry(b, &l)
		if err != nil {
			return
		}
		if again := appendEntry(nil, &l); !bytes.Equal(again, b[:n]) {
			t.Fatalf("%x became %x", b[:n], again)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	b, err := encodeCertificate(certificate{Format: 1, Cluster: "c", Node: "n", Term: 4})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeCertificate(b); err == nil {
			if _, err := encodeCertificate(c); err != nil {
				t.Fatal(err)
			}
		}
	})
}

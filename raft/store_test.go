package raft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	hraft "github.com/hashicorp/raft"
)

var update = flag.Bool("update", false, "rewrite golden files")

func testConfig(t *testing.T, dir string) storeConfig {
	t.Helper()
	return storeConfig{dir: dir, cluster: "c1", node: "n1", segmentSize: 8 << 10, log: slog.New(slog.DiscardHandler)}
}

func mustOpen(t *testing.T, dir string) *store {
	t.Helper()
	s, err := openStore(testConfig(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t *testing.T, s *store) {
	t.Helper()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// crash gives the directory back as a killed process would: without writing anything.
func crash(t *testing.T, s *store) {
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

func mustStore(t *testing.T, s *store, logs ...*hraft.Log) {
	t.Helper()
	if err := s.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

// wantLog checks first and last index and every entry between them.
func wantLog(t *testing.T, s *store, want []*hraft.Log) {
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
		how  func(*testing.T, *store)
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
			if got := s.committed(); got != 290 {
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
	if got := s.committed(); got != 0 {
		t.Errorf("staged only: committed %d", got)
	}
	mustStore(t, s, entries(1, 3, 1)...)
	crash(t, s)
	s = mustOpen(t, dir)
	defer mustClose(t, s)
	if got := s.committed(); got != 3 {
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

// damaged makes a directory with a log of some segments, whose last frame is a batch of ten entries.
func damaged(t *testing.T) (dir string, segments []string) {
	t.Helper()
	dir = t.TempDir()
	s := mustOpen(t, dir)
	if err := s.SetUint64([]byte(keyTerm), 1); err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i < 300; i += 10 {
		mustStore(t, s, entries(i, i+9, 1)...)
	}
	mustClose(t, s)
	segments, err := filepath.Glob(filepath.Join(dir, logName, "*"+segmentSuffix))
	if err != nil || len(segments) < 3 {
		t.Fatal(segments, err)
	}
	return dir, segments
}

func TestDamageIsRefusedAndNeverCutOff(t *testing.T) {
	edit := func(path string, change func([]byte) []byte) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, change(b), 0o600)
	}
	used := func(b []byte) int { return len(bytes.TrimRight(b, "\x00")) }
	for _, c := range []struct {
		name string
		harm func(dir string, segments []string) error
		want error
	}{
		{"bit flip in the last batch", func(_ string, g []string) error {
			return edit(g[len(g)-1], func(b []byte) []byte { b[used(b)-40] ^= 4; return b })
		}, ErrDamaged},
		{"bit flip in the header of the last batch", func(_ string, g []string) error {
			return edit(g[len(g)-1], func(b []byte) []byte { b[bytes.LastIndex(b, []byte(frameMagic))+9] ^= 1; return b })
		}, ErrDamaged},
		{"bit flip in an old segment", func(_ string, g []string) error {
			return edit(g[0], func(b []byte) []byte { b[used(b)/2] ^= 1; return b })
		}, ErrDamaged},
		{"zeroed sector in an old segment", func(_ string, g []string) error {
			return edit(g[0], func(b []byte) []byte { clear(b[1024:1536]); return b })
		}, ErrDamaged},
		{"zeroed sector in the middle of the newest segment", func(_ string, g []string) error {
			return edit(g[len(g)-1], func(b []byte) []byte { clear(b[512:1024]); return b })
		}, ErrDamaged},
		{"newest segment truncated", func(_ string, g []string) error {
			return edit(g[len(g)-1], func(b []byte) []byte { return b[:used(b)-20] })
		}, ErrDamaged},
		{"newest segment truncated in its unused part", func(_ string, g []string) error {
			return edit(g[len(g)-1], func(b []byte) []byte { return b[:len(b)-512] })
		}, ErrDamaged},
		{"newest segment emptied", func(_ string, g []string) error { return os.Truncate(g[len(g)-1], 0) }, ErrDamaged},
		{"newest segment all zeros", func(_ string, g []string) error {
			return edit(g[len(g)-1], func(b []byte) []byte { clear(b); return b })
		}, ErrDamaged},
		{"newest segment lost", func(_ string, g []string) error { return os.Remove(g[len(g)-1]) }, ErrDamaged},
		{"middle segment lost", func(_ string, g []string) error { return os.Remove(g[1]) }, ErrDamaged},
		{"last batch wiped cleanly", func(_ string, g []string) error {
			return edit(g[len(g)-1], func(b []byte) []byte { clear(b[bytes.LastIndex(b, []byte(frameMagic)):]); return b })
		}, ErrDamaged},
		{"whole log lost", func(dir string, _ []string) error { return os.RemoveAll(filepath.Join(dir, logName)) }, ErrDamaged},
		{"certificate lost", func(dir string, _ []string) error { return os.Remove(filepath.Join(dir, birthName)) }, ErrDamaged},
		{"certificate emptied", func(dir string, _ []string) error { return os.Truncate(filepath.Join(dir, birthName), 0) }, ErrDamaged},
		{"certificate changed", func(dir string, _ []string) error {
			return edit(filepath.Join(dir, birthName), func(b []byte) []byte { return bytes.Replace(b, []byte(":300"), []byte(":200"), 1) })
		}, ErrDamaged},
		{"stray file", func(dir string, _ []string) error {
			return os.WriteFile(filepath.Join(dir, logName, "raft.db"), nil, 0o600)
		}, ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, segments := damaged(t)
			if err := c.harm(dir, segments); err != nil {
				t.Fatal(err)
			}
			s, err := openStore(testConfig(t, dir))
			if err == nil {
				s.close()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
			}
			t.Log(err)
		})
	}
}

func TestABackupOfTheLogIsRefused(t *testing.T) {
	dir, backup := t.TempDir(), t.TempDir()
	s := mustOpen(t, dir)
	mustStore(t, s, entries(1, 3, 1)...)
	if err := s.SetUint64([]byte(keyVoteTerm), 3); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(dir, logName))); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	if err := s.SetUint64([]byte(keyVoteTerm), 4); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if err := os.RemoveAll(filepath.Join(dir, logName)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, logName), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(testConfig(t, dir)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "last vote is 3") {
		t.Errorf("open: %v", err)
	}
}

func TestSomebodyElsesDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	for _, c := range []struct {
		name   string
		change func(*storeConfig)
	}{
		{"other node", func(c *storeConfig) { c.node = "n2" }},
		{"other cluster", func(c *storeConfig) { c.cluster = "c2" }},
	} {
		config := testConfig(t, dir)
		c.change(&config)
		if _, err := openStore(config); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A log copied under another server's certificate.
	other := t.TempDir()
	config := testConfig(t, other)
	config.node = "n2"
	s, err := openStore(config)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if err := os.RemoveAll(filepath.Join(other, logName)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(other, logName), os.DirFS(filepath.Join(dir, logName))); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(config); !errors.Is(err, ErrForeign) {
		t.Errorf("copied log: %v", err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	b, err := encodeCertificate(certificate{Format: formatVersion + 1, Cluster: "c1", Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(dir, birthName, b); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(testConfig(t, dir)); !errors.Is(err, ErrNewer) {
		t.Errorf("open: %v", err)
	}
}

func TestTheLockNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	_, err := openStore(testConfig(t, dir))
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("second open: %v", err)
	}
}

// TestATornWriteIsCutOff writes every subset of the sectors of the last batch, which is what a machine that stops during
// the write can leave. The batch is there or it is not; the entries before it always are, and the log can go on.
func TestATornWriteIsCutOff(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustStore(t, s, entries(1, 12, 1)...)
	g := s.newest()
	begin := g.used
	mustStore(t, s, entries(13, 40, 1)...)
	end, path := g.used, g.path
	crash(t, s) // the certificate does not know of the last batch
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, last := begin/sectorSize, (end-1)/sectorSize
	sectors := last - first + 1
	if sectors < 3 || sectors > 8 || begin%sectorSize == 0 {
		t.Fatalf("the batch has %d sectors from offset %d", sectors, begin)
	}
	for written := range 1 << sectors {
		torn := bytes.Clone(whole)
		for i := range sectors {
			if written&(1<<i) == 0 {
				clear(torn[max(begin, (first+i)*sectorSize):min(end, (first+i+1)*sectorSize)])
			}
		}
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		want := entries(1, 12, 1)
		if written == 1<<sectors-1 {
			want = entries(1, 40, 1)
		}
		s := mustOpen(t, dir)
		wantLog(t, s, want)
		next := uint64(len(want)) + 1
		mustStore(t, s, entries(next, next+20, 2)...)
		crash(t, s)
		s = mustOpen(t, dir)
		wantLog(t, s, append(want, entries(next, next+20, 2)...))
		crash(t, s)
		// Back to where the batch was being written, also in the certificate.
		b, err := encodeCertificate(certificate{Format: formatVersion, Cluster: "c1", Node: "n1", Segment: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := replaceFile(dir, birthName, b); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAHollowBatchIsNotCutOff: a batch with a sector of zeros of its own looks torn when one of its bits flips.
func TestAHollowBatchIsNotCutOff(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustStore(t, s, &hraft.Log{Index: 1, Term: 1, Data: make([]byte, 4096)})
	path, used := s.newest().path, s.newest().used
	crash(t, s)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[used-100] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(testConfig(t, dir)); !errors.Is(err, ErrDamaged) {
		t.Errorf("open: %v", err)
	}
}

func TestAnEntryThatRotsIsNotDelivered(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	mustStore(t, s, entries(1, 20, 1)...)
	p := s.entries[9]
	f, err := os.OpenFile(p.segment.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0xff}, p.offset+30); err != nil {
		t.Fatal(err)
	}
	var l hraft.Log
	if err := s.GetLog(10, &l); !errors.Is(err, ErrDamaged) {
		t.Errorf("entry 10: %v", err)
	}
	select {
	case <-s.failed:
	default:
		t.Error("the store is not poisoned")
	}
	if err := s.StoreLog(entry(21, 1)); !errors.Is(err, ErrDamaged) {
		t.Errorf("store after damage: %v", err)
	}
	crash(t, s)
}

// faults is a file whose writes and syncs fail on command.
type faults struct {
	file
	write, sync error
	syncs       int
}

func (f *faults) WriteAt(b []byte, off int64) (int, error) {
	if f.write != nil {
		n, _ := f.file.WriteAt(b[:len(b)/2], off)
		return n, f.write
	}
	return f.file.WriteAt(b, off)
}

func (f *faults) Sync() error {
	f.syncs++
	if f.sync != nil {
		return f.sync
	}
	return f.file.Sync()
}

func TestAFailedWriteIsNeverTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*faults)
		want error
	}{
		{"fsync EIO", func(f *faults) { f.sync = syscall.EIO }, syscall.EIO},
		{"disk full", func(f *faults) { f.write = syscall.ENOSPC }, syscall.ENOSPC},
		{"read-only file system", func(f *faults) { f.write = syscall.EROFS }, syscall.EROFS},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			disk := &faults{}
			config := testConfig(t, dir)
			config.wrap = func(f file) file { disk.file = f; return disk }
			s, err := openStore(config)
			if err != nil {
				t.Fatal(err)
			}
			mustStore(t, s, entries(1, 3, 1)...)
			c.set(disk)
			if err := s.StoreLog(entry(4, 1)); !errors.Is(err, c.want) {
				t.Errorf("store: %v", err)
			}
			disk.write, disk.sync = nil, nil
			syncs := disk.syncs
			if err := s.StoreLog(entry(4, 1)); !errors.Is(err, c.want) {
				t.Errorf("store after the disk has recovered: %v", err)
			}
			if err := s.SetUint64([]byte(keyTerm), 9); !errors.Is(err, c.want) {
				t.Errorf("vote after the disk has recovered: %v", err)
			}
			if disk.syncs != syncs {
				t.Error("the file was synced again")
			}
			if last, _ := s.LastIndex(); last != 3 {
				t.Errorf("last index %d", last)
			}
			mustClose(t, s)
		})
	}
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

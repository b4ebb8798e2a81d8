package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/internal/durable"
)

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
			s, err := Open(testConfig(t, dir))
			if err == nil {
				s.Close()
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
	if _, err := Open(testConfig(t, dir)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "last vote is 3") {
		t.Errorf("open: %v", err)
	}
}

func TestSomebodyElsesDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, mustOpen(t, dir))
	for _, c := range []struct {
		name   string
		change func(*Config)
	}{
		{"other node", func(c *Config) { c.Node = "n2" }},
		{"other cluster", func(c *Config) { c.Cluster = "c2" }},
	} {
		config := testConfig(t, dir)
		c.change(&config)
		if _, err := Open(config); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A log copied under another server's certificate.
	other := t.TempDir()
	config := testConfig(t, other)
	config.Node = "n2"
	s, err := Open(config)
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
	if _, err := Open(config); !errors.Is(err, ErrForeign) {
		t.Errorf("copied Log: %v", err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	b, err := encodeCertificate(certificate{Format: formatVersion + 1, Cluster: "c1", Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(filepath.Join(dir, birthName), b); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testConfig(t, dir)); !errors.Is(err, ErrNewer) {
		t.Errorf("open: %v", err)
	}
}

func TestTheLockNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	_, err := Open(testConfig(t, dir))
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
		if err := durable.Replace(filepath.Join(dir, birthName), b); err != nil {
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
	if _, err := Open(testConfig(t, dir)); !errors.Is(err, ErrDamaged) {
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
	File
	write, sync error
	syncs       int
}

func (f *faults) WriteAt(b []byte, off int64) (int, error) {
	if f.write != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], off)
		return n, f.write
	}
	return f.File.WriteAt(b, off)
}

func (f *faults) Sync() error {
	f.syncs++
	if f.sync != nil {
		return f.sync
	}
	return f.File.Sync()
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
			config.Wrap = func(f File) File { disk.File = f; return disk }
			s, err := Open(config)
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

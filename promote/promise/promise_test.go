package promise

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/registry"
)

func opened(t *testing.T, path string) *File {
	t.Helper()
	p, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // a second close of a file that a test has closed
	return p
}

func promises(t *testing.T, p *File, epochs ...registry.Epoch) {
	t.Helper()
	for _, e := range epochs {
		r := p.now
		r.Promise = e
		if err := p.Save(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPromiseSurvivesTheAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "promise")
	p := opened(t, path)
	file := p.now.File
	if file == "" || p.now.Promise != 0 {
		t.Fatalf("a new file holds %+v", p.now)
	}
	for e := registry.Epoch(1); e <= 9; e++ {
		want := Record{File: file, Promise: e, Led: e, LedBy: "p1", Marked: e, MarkedBy: "p1", Holds: "0-1-7", Whole: "p1", Follows: e}
		if err := p.Save(want); err != nil {
			t.Fatal(err)
		}
		again := opened(t, path)
		if diff := cmp.Diff(want, again.now); diff != "" {
			t.Errorf("epoch %d (-want +got):\n%s", e, diff)
		}
	}
}

func TestEveryPromiseFileHasANameOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	a, b := opened(t, filepath.Join(dir, "a")), opened(t, filepath.Join(dir, "b"))
	if a.now.File == b.now.File {
		t.Errorf("both are called %s", a.now.File)
	}
}

func TestNothingInARecordGoesBack(t *testing.T) {
	p := opened(t, filepath.Join(t.TempDir(), "promise"))
	start := Record{File: p.now.File, Promise: 5, Led: 5, Marked: 5, Follows: 5}
	if err := p.Save(start); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*Record){
		func(r *Record) { r.Promise = 4 }, func(r *Record) { r.Led = 4 }, func(r *Record) { r.Marked = 4 }, func(r *Record) { r.Follows = 4 },
	} {
		r := start
		change(&r)
		if err := p.Save(r); !errors.Is(err, registry.ErrStale) || p.now != start {
			t.Errorf("save %+v: %v, now %+v", r, err, p.now)
		}
	}
}

// A crash in the middle of a write leaves any part of the new slot over the old one.
func TestATornWriteLeavesThePromiseBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "promise")
	p := opened(t, path)
	promises(t, p, 1, 2, 3)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	promises(t, p, 4)
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	slot := int(p.turn % 2 * slotSize)
	torn := filepath.Join(t.TempDir(), "torn")
	for cut := range slotSize {
		mixed := bytes.Clone(before)
		copy(mixed[slot:slot+cut], after[slot:slot+cut])
		want := registry.Epoch(3)
		if bytes.Equal(mixed, after) {
			want = 4 // what is left of the slot is the same in both
		}
		if err := os.WriteFile(torn, mixed, 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := Open(torn)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if q.now.Promise != want {
			t.Errorf("cut at %d: promise %d, want %d", cut, q.now.Promise, want)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A power cut may also turn the sectors of a write into zeros or garbage.
func TestADamagedSlotIsNeverBelieved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "promise")
	p := opened(t, path)
	promises(t, p, 1, 2, 3, 4)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newest := int(p.turn%2) * slotSize
	used := bytes.LastIndexByte(whole[newest:newest+slotSize], '}') + 1
	for i := range used {
		b := bytes.Clone(whole)
		b[newest+i] ^= 0x40
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := Open(path)
		if err != nil || q.now.Promise != 3 {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADamagedFileIsAnErrorAndNoFreshStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "promise")
	promises(t, opened(t, path), 1, 2, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	both := bytes.Clone(whole)
	both[100], both[slotSize+30] = 'x', 'x'
	both[30] = 'x'
	for name, b := range map[string][]byte{
		"both slots": both, "truncated": whole[:slotSize], "one byte short": whole[:len(whole)-1], "longer": append(bytes.Clone(whole), 0),
		"newest damaged, other zeroed": append(bytes.Clone(both[:slotSize]), make([]byte, slotSize)...),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, ErrLost) {
			t.Errorf("%s: %v, want ErrLost", name, err)
		}
	}
}

func TestACrashBeforeTheFirstRecordIsAFreshStart(t *testing.T) {
	first, err := encodeSlot(1, Record{File: "a"})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "blank": make([]byte, 2*slotSize),
		"first record torn": append(make([]byte, slotSize), append(bytes.Clone(first[:30]), make([]byte, slotSize-30)...)...),
	} {
		path := filepath.Join(t.TempDir(), "promise")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if p := opened(t, path); p.now.File == "" || p.now.Promise != 0 {
			t.Errorf("%s: %+v", name, p.now)
		}
	}
}

func TestTheFormatOfASlotIsKept(t *testing.T) {
	r := Record{File: "AAAABBBBCCCCDDDDEEEEFFFFGG", Promise: 7, Led: 6, LedBy: "12-34-boot", Marked: 6, MarkedBy: "12-34-boot", Holds: "0-1-14", Whole: "12-34-boot", Follows: 5}
	got, err := encodeSlot(41, r)
	if err != nil {
		t.Fatal(err)
	}
	got = bytes.TrimRight(got, "\x00")
	golden := filepath.Join("testdata", "promise-slot-v1")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("a slot is written as\n%q, want\n%q", got, want)
	}
	turn, back, err := decodeSlot(append(want, make([]byte, slotSize-len(want))...))
	if err != nil || turn != 41 || back != r {
		t.Errorf("read back turn %d %+v: %v", turn, back, err)
	}
}

func TestARecordThatDoesNotFitIsRefused(t *testing.T) {
	if _, err := encodeSlot(1, Record{Holds: string(bytes.Repeat([]byte("a"), slotSize))}); err == nil {
		t.Error("it was written")
	}
}

func FuzzDecodeSlot(f *testing.F) {
	b, err := encodeSlot(3, Record{File: "a", Promise: 3, Whole: "p"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:40])
	f.Add(make([]byte, slotSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		turn, r, err := decodeSlot(b)
		if err != nil {
			if !errors.Is(err, ErrLost) {
				t.Errorf("error %v is not ErrLost", err)
			}
			return
		}
		again, err := encodeSlot(turn, r)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, back, err := decodeSlot(again); err != nil || back != r {
			t.Errorf("read %+v, then %+v: %v", r, back, err)
		}
	})
}

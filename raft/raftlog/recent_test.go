package raftlog

import (
	"testing"
)

func TestRecentHoldsNoMoreThanItsBytes(t *testing.T) {
	var r Recent
	const size, last = 1 << 20, 200
	for i := uint64(1); i <= last; i++ {
		r.Add(Committed{Index: i, Bytes: make([]byte, size)})
		if _, ok := r.Since(i - 1); !ok {
			t.Fatalf("command %d is not held although it is the newest", i)
		}
	}
	held := 0
	for i := uint64(0); i < last; i++ {
		if all, ok := r.Since(i); ok {
			held = len(all) * size
			break
		}
	}
	if held < recentBytes || held > 2*recentBytes {
		t.Errorf("%d bytes are held, want %d to twice that", held, recentBytes)
	}
}

func TestRecentGivesWhatFollowsOrSaysThatItCannot(t *testing.T) {
	var r Recent
	if got, ok := r.Since(0); !ok || len(got) != 0 {
		t.Fatalf("empty: %v %t", got, ok)
	}
	const last = 20_000
	for i := uint64(3); i <= last; i++ {
		r.Add(Committed{Index: i})
	}
	if _, ok := r.Since(2); ok {
		t.Error("claims to hold what it has dropped")
	}
	got, ok := r.Since(last - 2)
	if !ok || len(got) != 2 || got[0].Index != last-1 || got[1].Index != last {
		t.Errorf("last two: %v %t", got, ok)
	}
	if got, ok := r.Since(last); !ok || len(got) != 0 {
		t.Errorf("nothing new: %v %t", got, ok)
	}
	r.Forget(last + 10)
	if _, ok := r.Since(last); ok {
		t.Error("after a snapshot: claims to hold what was never there")
	}
	if _, ok := r.Since(last + 10); !ok {
		t.Error("after a snapshot: does not know that nothing follows")
	}
}

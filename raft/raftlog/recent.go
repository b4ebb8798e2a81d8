package raftlog

import (
	"cmp"
	"slices"
	"sync"
)

// How many applied commands are kept for those who follow the state by stream, and how many bytes of them at most. What
// is dropped is dropped in one go, so up to twice as much is held.
const (
	recentLength = 4096
	recentBytes  = 32 << 20
)

// Committed is one applied command as the registry encodes it.
type Committed struct {
	Index uint64
	Bytes []byte
}

// Recent is the last commands that changed the state. One goroutine adds, any may ask; the zero
// Recent is empty.
type Recent struct {
	mu   sync.Mutex
	held []Committed
	size int    // of held, in bytes
	gone uint64 // everything up to here is not held
}

// Add takes the next command, of a higher index than the last.
func (r *Recent) Add(c Committed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.size = append(r.held, c), r.size+len(c.Bytes)
	if len(r.held) <= 2*recentLength && r.size <= 2*recentBytes {
		return
	}
	cut := 0
	for len(r.held)-cut > recentLength || r.size > recentBytes {
		r.gone, r.size = r.held[cut].Index, r.size-len(r.held[cut].Bytes)
		cut++
	}
	r.held = slices.Clone(r.held[cut:])
}

// Forget drops everything up to index: the state came from a snapshot.
func (r *Recent) Forget(index uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.size, r.gone = nil, 0, index
}

// Since returns the commands after index after, in order, and true; false when some of them are no longer held.
func (r *Recent) Since(after uint64) ([]Committed, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if after < r.gone {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(r.held, after+1, func(c Committed, i uint64) int { return cmp.Compare(c.Index, i) })
	return slices.Clone(r.held[i:]), true
}

package raftlog

import (
	"cmp"
	"slices"
	"sync"
)

// recentLength is how many applied commands are kept for those who follow the state by stream.
const recentLength = 4096

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
	gone uint64 // everything up to here is not held
}

// Add takes the next command, of a higher index than the last.
func (r *Recent) Add(c Committed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cut := len(r.held) - recentLength; cut >= recentLength {
		r.gone = r.held[cut-1].Index
		r.held = slices.Clone(r.held[cut:])
	}
	r.held = append(r.held, c)
}

// Forget drops everything up to index: the state came from a snapshot.
func (r *Recent) Forget(index uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.gone = nil, index
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

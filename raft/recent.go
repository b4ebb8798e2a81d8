package raft

import (
	"slices"
	"sync"

	"github.com/baton-db/baton/registry"
)

// recentLength is how many applied commands are kept for those who follow the state by stream. Who is further behind
// takes the whole state.
const recentLength = 4096

// Committed is one applied command as registry.Encode wrote it.
type Committed struct {
	Index registry.Index
	Bytes []byte
}

// recent is the last commands that changed the state. One goroutine adds, any may ask.
type recent struct {
	mu   sync.Mutex
	held []Committed
	gone registry.Index // everything up to here is not held
}

func (r *recent) add(c Committed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) >= 2*recentLength {
		cut := len(r.held) - recentLength
		r.gone = r.held[cut-1].Index
		r.held = slices.Clone(r.held[cut:])
	}
	r.held = append(r.held, c)
}

// forget drops everything up to index: the state came from a snapshot.
func (r *recent) forget(index registry.Index) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.gone = nil, index
}

func (r *recent) since(after registry.Index) ([]Committed, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if after < r.gone {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(r.held, after+1, func(c Committed, want registry.Index) int {
		switch {
		case c.Index < want:
			return -1
		case c.Index > want:
			return 1
		}
		return 0
	})
	return slices.Clone(r.held[i:]), true
}

// Since returns the commands that changed the state after index after, in order, and true; false when some of them are
// no longer held. A command that State contains is there by the time Changed wakes.
func (r *Replica) Since(after registry.Index) ([]Committed, bool) {
	return r.machine.recent.since(after)
}

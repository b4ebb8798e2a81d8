package raft

import (
	"cmp"
	"slices"
	"sync"

	"github.com/baton-db/baton/registry"
)

// recentLength is how many applied commands are kept for those who follow the state by stream.
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
	if cut := len(r.held) - recentLength; cut >= recentLength {
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
	i, _ := slices.BinarySearchFunc(r.held, after+1, func(c Committed, i registry.Index) int { return cmp.Compare(c.Index, i) })
	return slices.Clone(r.held[i:]), true
}

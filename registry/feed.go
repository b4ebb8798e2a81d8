package registry

import (
	"sync"
	"sync/atomic"
)

// Feed hands the newest State to any number of readers. A server's replica and a client's follower both publish into
// one, so that DNS, hosts files and guards read the same way everywhere.
type Feed struct {
	state   atomic.Pointer[State]
	mu      sync.Mutex
	changed chan struct{}
}

// NewFeed returns a feed that holds s.
func NewFeed(s *State) *Feed {
	f := &Feed{changed: make(chan struct{})}
	f.state.Store(s)
	return f
}

// Publish makes s the newest State and wakes everyone who waits. One goroutine publishes; it never blocks.
func (f *Feed) Publish(s *State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Store(s)
	close(f.changed)
	f.changed = make(chan struct{})
}

// State is the newest State, never nil; it may be kept.
func (f *Feed) State() *State { return f.state.Load() }

// Changed returns a channel that is closed at the next Publish. Take it before State, so that no change is missed.
func (f *Feed) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

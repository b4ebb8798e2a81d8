package sim

import (
	"context"
	"iter"
	"time"
)

// hand does the steps of one guard, and stands still before each of its calls: a coroutine, in which nothing happens
// until somebody asks for more. It is used again for the next step and the next schedule.
type hand struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	job   func()
	busy  bool
}

func newHand() *hand {
	h := &hand{}
	h.next, h.stop = iter.Pull(func(yield func(struct{}) bool) {
		h.yield = yield
		for yield(struct{}{}) {
			h.job()
			h.busy = false
		}
	})
	h.next()
	return h
}

// begin runs job up to its first pause.
func (h *hand) begin(job func()) {
	h.job, h.busy = job, true
	h.next()
}

// resume goes on to the next pause or to the end.
func (h *hand) resume() { h.next() }

// pause is called by the job.
func (h *hand) pause() { h.yield(struct{}{}) }

// fate is the context of a step: it has no clock, and ends when the schedule says so.
type fate struct{ over bool }

func (f *fate) Deadline() (time.Time, bool) { return time.Time{}, false }
func (f *fate) Done() <-chan struct{}       { return nil }
func (f *fate) Value(any) any               { return nil }
func (f *fate) Err() error {
	if f.over {
		return context.Canceled
	}
	return nil
}

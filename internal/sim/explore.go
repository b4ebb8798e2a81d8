package sim

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// Walk is which schedules are played: those of the seeds First, First+1 and so on.
type Walk struct {
	First     uint64
	Schedules uint64
	Workers   int
	// Enough is after how many violations the walk ends; 0: never.
	Enough int
}

// Failure is a schedule that broke a guarantee.
type Failure struct {
	Seed uint64
	*Violation
}

// Go plays the schedules, and returns what was counted and what failed, by seed. What a schedule does depends on its
// seed alone; with Enough, the failure of the lowest seed is always among those that are returned.
func (w Walk) Go() (*Tally, []Failure) {
	var (
		mu     sync.Mutex
		all    = newTally()
		failed []Failure
		bound  atomic.Uint64 // no seed from here on is played any more
		group  sync.WaitGroup
	)
	bound.Store(w.First + w.Schedules)
	for i := range uint64(max(w.Workers, 1)) {
		group.Go(func() {
			p := newPlayer()
			defer p.close()
			for seed := w.First + i; seed < bound.Load(); seed += uint64(max(w.Workers, 1)) {
				_, v := p.play(seed, nil, nil)
				if v == nil {
					continue
				}
				mu.Lock()
				failed = append(failed, Failure{seed, v})
				if w.Enough > 0 && len(failed) >= w.Enough {
					bound.Store(min(bound.Load(), seed))
				}
				mu.Unlock()
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(p.tally)
		})
	}
	group.Wait()
	slices.SortFunc(failed, func(a, b Failure) int { return cmp.Compare(a.Seed, b.Seed) })
	return all, failed
}

// Tell plays the schedule of a seed and returns its story, and what it broke or nil.
func Tell(seed uint64) ([]string, *Violation) {
	p := newPlayer()
	defer p.close()
	var s story
	shape, v := p.play(seed, &s, nil)
	return append([]string{"shape " + shape.String()}, s.lines...), v
}

// Short returns the case of a seed that fails, without what is not needed to fail, and its story.
func Short(seed uint64) (Case, *Violation, []string) {
	p := newPlayer()
	defer p.close()
	var events []Event
	shape, v := p.play(seed, nil, &events)
	c := Case{Shape: shape, Events: events}
	if v == nil {
		return c, nil, nil
	}
	c = p.shrink(c, v.Guarantee)
	var s story
	v = p.replay(c.Shape, c.Events, &s)
	return c, v, s.lines
}

package health

import "time"

// The disk is looked at while a canary is under way for longer than suspicious, every diskEvery.
const (
	suspicious = 250 * time.Millisecond
	diskEvery  = 100 * time.Millisecond
)

// watchDisk tells a server that waits for its disk from one that is only slow, until the canary is done. A thread of an
// overloaded one waits too, again and again: what counts is one wait that does not end.
func (c *Checker) watchDisk(done <-chan struct{}) {
	next := time.NewTimer(suspicious)
	defer next.Stop()
	for {
		select {
		case <-done:
			return
		case <-next.C:
		}
		c.mu.Lock()
		p := c.seen.process
		c.mu.Unlock()
		waits, full := p.Waits(), p.DiskFull()
		c.update(func(s *seen) bool {
			now := time.Now()
			s.awake(now)
			s.waiting(waits, now)
			s.full = full
			return false
		})
		next.Reset(diskEvery)
	}
}

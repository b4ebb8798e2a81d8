package health

import (
	"time"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/process"
)

// seen is what the checker knows, in points of this process's own time. How long something has lasted is counted from when it
// was first known to be so, and never from when it was last known to be otherwise: a pause of one second is never seen as a
// longer one, however seldom is looked.
type seen struct {
	process     process.Run
	state       Process
	stoppedAt   time.Time // zero: it is not stopped
	incarnation string
	status      mysqld.Status
	good        bool
	lastGood    time.Time // when the server last answered, or was first asked
	askedAt     time.Time // the first question since then that it has not answered
	err         error
	heard       string // changes with every event and heartbeat
	heardAt     time.Time
	movedAt     time.Time // when more was seen to be committed
	canarySince time.Time // zero: no canary is under way
	canary      Canary
	lockedAt    time.Time                  // when a canary was last seen to wait for a lock
	waits       map[process.Wait]time.Time // what threads wait for while a canary is blocked, and since when
	full        bool                       // the disk, while a canary is blocked
	turned      time.Time                  // when anything was last seen or said
}

// nap is how long the checker does nothing at most. It asks every 250 ms and waits 300 ms for an answer: more is a pause of this
// process, or it was starved.
const nap = 450 * time.Millisecond

// awake takes out of all durations what this process has slept through. It cannot say what the server did meanwhile, which
// may have been paused with it.
func (s *seen) awake(now time.Time) {
	if slept := now.Sub(s.turned); slept > nap {
		for _, at := range []*time.Time{&s.stoppedAt, &s.askedAt, &s.heardAt, &s.movedAt, &s.canarySince, &s.lockedAt} {
			if !at.IsZero() {
				*at = at.Add(slept)
				if at.After(now) {
					*at = now
				}
			}
		}
		s.waits = nil
	}
	s.turned = now
}

// unanswered notes that a question that was put at began has failed.
func (s *seen) unanswered(began, now time.Time) {
	if s.askedAt.IsZero() {
		s.askedAt = began
		if s.lastGood.After(began) {
			s.askedAt = s.lastGood
		}
		if now.Sub(began) > nap {
			s.askedAt = now // this process slept
		}
	}
}

// becomes notes the state of the process and reports whether it is another one.
func (s *seen) becomes(state Process, now time.Time) bool {
	s.awake(now)
	was := s.state
	if s.state = state; state != ProcessStopped {
		s.stoppedAt = time.Time{}
	} else if s.stoppedAt.IsZero() {
		s.stoppedAt = now
	}
	return was != state
}

// waiting notes which threads wait for a disk. Who still waits as before has waited since then.
func (s *seen) waiting(all []process.Wait, now time.Time) {
	before := s.waits
	s.waits = map[process.Wait]time.Time{}
	for _, w := range all {
		if s.waits[w] = now; !before[w].IsZero() {
			s.waits[w] = before[w]
		}
	}
}

// observe is what is seen at a moment.
func (s *seen) observe(now time.Time) Observation {
	s.awake(now)
	o := Observation{Process: s.state, Incarnation: s.incarnation, Status: s.status, Good: s.good, Err: s.err, Canary: s.canary}
	if s.err != nil {
		o.Unreachable = max(now.Sub(s.askedAt), time.Millisecond)
	}
	if !s.stoppedAt.IsZero() {
		// It answers nothing, asked or not. That it was slow just before is no part of the pause: of one second it would make more.
		if stopped := max(now.Sub(s.stoppedAt), time.Millisecond); o.Unreachable < stopped+doubtful {
			o.Unreachable = stopped
		}
	}
	if !s.heardAt.IsZero() {
		o.Silence = now.Sub(s.heardAt)
	}
	if s.canarySince.IsZero() {
		return o
	}
	if now.Sub(s.lockedAt) > lockHolds {
		o.Canary.Lock = Lock{}
	}
	still := s.canarySince
	if s.movedAt.After(still) {
		still = s.movedAt
	}
	o.Canary.BlockedMillis, o.Canary.StillMillis = now.Sub(s.canarySince).Milliseconds(), now.Sub(still).Milliseconds()
	for _, since := range s.waits {
		o.Canary.DiskMillis = max(o.Canary.DiskMillis, now.Sub(since).Milliseconds())
	}
	if s.full {
		o.Canary.DiskMillis = o.Canary.StillMillis
	}
	return o
}

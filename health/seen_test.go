package health

import (
	"errors"
	"testing"
	"time"

	"github.com/baton-db/baton/mysqld/process"
)

// at is a moment, in milliseconds.
func at(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }

// watched is a server that runs and answered when the checker began to watch, at 0.
func watched() *seen {
	return &seen{state: ProcessRunning, good: true, lastGood: at(0), turned: at(0)}
}

// looks keeps the checker awake, as its questions do every 250 ms.
func (s *seen) looks(from, to int) *seen {
	for ms := from; ms <= to; ms += 250 {
		s.awake(at(ms))
	}
	return s
}

func (s *seen) fails(began, now int) *seen {
	s.err = errors.New("no answer")
	s.awake(at(began))
	s.unanswered(at(began), at(now))
	return s
}

func TestAServerIsUnreachableSinceTheFirstQuestionThatItHasNotAnswered(t *testing.T) {
	s := watched().looks(0, 240).fails(250, 550).fails(560, 860)
	if got := s.observe(at(1000)).Unreachable; got != 750*time.Millisecond {
		t.Errorf("unreachable for %s, want 750 ms: before it was asked nobody knows", got)
	}
	answered := watched().looks(0, 250)
	answered.lastGood = at(400)
	if got := answered.fails(250, 550).observe(at(600)).Unreachable; got != 200*time.Millisecond {
		t.Errorf("unreachable for %s, want 200 ms: it has answered another question since", got)
	}
}

func TestAStoppedServerIsUnreachableUntilItGoesOn(t *testing.T) {
	s := watched()
	s.becomes(ProcessStopped, at(100))
	s.looks(250, 1000)
	if got := s.observe(at(1100)); got.Unreachable != time.Second || got.Calm() {
		t.Errorf("stopped for a second: unreachable for %s, calm %t", got.Unreachable, got.Calm())
	}
	slow := watched().fails(20, 320)
	slow.becomes(ProcessStopped, at(100))
	if got := slow.looks(250, 1000).observe(at(1150)).Unreachable; got != 1050*time.Millisecond {
		t.Errorf("stopped for 1.05 s, and slow before: unreachable for %s", got)
	}
	hung := watched().fails(20, 320)
	hung.looks(250, 2000).becomes(ProcessStopped, at(2000))
	if got := hung.observe(at(2100)).Unreachable; got != 2080*time.Millisecond {
		t.Errorf("stopped after it had not answered for two seconds: unreachable for %s", got)
	}
	s.becomes(ProcessRunning, at(1120))
	if got := s.observe(at(1130)).Unreachable; got != 0 {
		t.Errorf("it goes on, and no question has failed: unreachable for %s", got)
	}
}

func TestWhatTheCheckerSleptThroughIsNotHeldAgainstItsServer(t *testing.T) {
	s := watched().fails(200, 500)
	s.becomes(ProcessStopped, at(400))
	s.canarySince, s.heardAt, s.movedAt = at(300), at(350), at(300)
	s.waiting([]process.Wait{{Thread: 7}}, at(500))
	s.awake(at(500))
	o := s.observe(at(10_500)) // the host was paused
	if o.Unreachable > 300*time.Millisecond || o.Silence > 150*time.Millisecond || o.Canary.BlockedMillis > 200 || o.Canary.StillMillis > 200 || o.Canary.DiskMillis != 0 {
		t.Errorf("after 10 s of sleep: unreachable %s, silence %s, canary %+v", o.Unreachable, o.Silence, o.Canary)
	}
	if late := watched().fails(0, 5000).observe(at(5000)).Unreachable; late > time.Millisecond {
		t.Errorf("a question that waited because nobody was there to read the answer counts for %s", late)
	}
}

func TestADiskHangsWhileOneWaitDoesNotEnd(t *testing.T) {
	s := watched()
	s.canarySince = at(0)
	for ms := 250; ms <= 1050; ms += 100 {
		s.awake(at(ms))
		s.waiting([]process.Wait{{Thread: 7, Switches: 3}, {Thread: 8, Switches: uint64(ms)}}, at(ms))
	}
	if got := s.observe(at(1050)).Canary; got.DiskMillis != 800 || got.BlockedMillis != 1050 || got.StillMillis != 1050 {
		t.Errorf("%+v, want 800 ms of waiting in 1050 ms", got)
	}
	s.waiting([]process.Wait{{Thread: 7, Switches: 4}, {Thread: 8, Switches: 9}}, at(1150))
	if got := s.observe(at(1160)).Canary.DiskMillis; got != 10 {
		t.Errorf("every wait has ended and others began: %d ms, want 10", got)
	}
	s.movedAt = at(1100)
	if got := s.observe(at(1160)).Canary.StillMillis; got != 60 {
		t.Errorf("something was committed 60 ms ago: still for %d ms", got)
	}
	s.full = true
	if got := s.observe(at(1400)).Canary.DiskMillis; got != 300 {
		t.Errorf("a full disk counts while nothing is committed: %d ms, want 300", got)
	}
}

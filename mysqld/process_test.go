package mysqld_test

import (
	"slices"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

func TestWatchFollowsAServerToItsEnd(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		n := nodes(t, bin, 1)[0]
		p, err := n.Process(t.Context())
		n.must(err)
		if p.PID() != n.lab.Pid() {
			t.Fatalf("process %d, the server is %d", p.PID(), n.lab.Pid())
		}
		var seen []mysqld.ProcessState
		for state := range p.Watch(t.Context()) {
			seen = append(seen, state)
			switch {
			case state == mysqld.ProcessRunning && len(seen) == 1:
				n.must(n.lab.Freeze())
			case state == mysqld.ProcessStopped:
				n.must(n.lab.Thaw())
			case state == mysqld.ProcessRunning:
				n.must(p.Kill())
			}
		}
		seen = slices.DeleteFunc(seen, func(s mysqld.ProcessState) bool { return s == mysqld.ProcessDying }) // it may be too short to be seen
		want := []mysqld.ProcessState{mysqld.ProcessRunning, mysqld.ProcessStopped, mysqld.ProcessRunning, mysqld.ProcessExited}
		if !slices.Equal(seen, want) {
			t.Errorf("states %v, want %v", seen, want)
		}
		n.must(p.Kill()) // nothing is left to do, and nobody else is hit
		for state := range p.Watch(t.Context()) {
			if state != mysqld.ProcessExited {
				t.Errorf("a gone process is %s", state)
			}
		}
		if _, err := n.Process(t.Context()); err == nil {
			t.Error("a dead server has a process")
		}
	})
}

func TestKilledWhileStoppedEndsAndNeverCountsAsStopped(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		n := nodes(t, bin, 1)[0]
		p, err := n.Process(t.Context())
		n.must(err)
		n.must(n.lab.Freeze())
		n.must(p.Kill())
		var last mysqld.ProcessState
		for state := range p.Watch(t.Context()) {
			if last = state; state == mysqld.ProcessStopped { // it has taken the signal and may not have begun to exit: running
				t.Errorf("after SIGKILL it is %s", state)
			}
		}
		if last != mysqld.ProcessExited {
			t.Errorf("in the end it is %s", last)
		}
	})
}

func TestNoProcessIsHarmless(t *testing.T) {
	var none mysqld.Process
	if none.Incarnation() != "" {
		t.Errorf("incarnation %q", none.Incarnation())
	}
	if err := none.Kill(); err != nil {
		t.Error(err)
	}
	for state := range none.Watch(t.Context()) {
		if state != mysqld.ProcessExited {
			t.Errorf("state %s", state)
		}
	}
}

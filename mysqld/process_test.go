package mysqld_test

import (
	"slices"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld/process"
)

func TestWatchFollowsAServerToItsEnd(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		n := nodes(t, bin, 1)[0]
		p, err := n.Process(t.Context())
		n.must(err)
		if p.PID() != n.lab.Pid() {
			t.Fatalf("process %d, the server is %d", p.PID(), n.lab.Pid())
		}
		var seen []process.State
		for state := range p.Watch(t.Context()) {
			seen = append(seen, state)
			switch {
			case state == process.Running && len(seen) == 1:
				n.must(n.lab.Freeze())
			case state == process.Stopped:
				n.must(n.lab.Thaw())
			case state == process.Running:
				n.must(p.Kill())
			}
		}
		seen = slices.DeleteFunc(seen, func(s process.State) bool { return s == process.Dying }) // it may be too short to be seen
		want := []process.State{process.Running, process.Stopped, process.Running, process.Exited}
		if !slices.Equal(seen, want) {
			t.Errorf("states %v, want %v", seen, want)
		}
		n.must(p.Kill()) // nothing is left to do, and nobody else is hit
		for state := range p.Watch(t.Context()) {
			if state != process.Exited {
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
		var last process.State
		for state := range p.Watch(t.Context()) {
			if last = state; state == process.Stopped { // it has taken the signal and may not have begun to exit: running
				t.Errorf("after SIGKILL it is %s", state)
			}
		}
		if last != process.Exited {
			t.Errorf("in the end it is %s", last)
		}
	})
}

func TestNoProcessIsHarmless(t *testing.T) {
	var none process.Run
	if none.Incarnation() != "" {
		t.Errorf("incarnation %q", none.Incarnation())
	}
	if err := none.Kill(); err != nil {
		t.Error(err)
	}
	for state := range none.Watch(t.Context()) {
		if state != process.Exited {
			t.Errorf("state %s", state)
		}
	}
}

package lab

import (
	"errors"
	"os/exec"
	"syscall"
)

// Child is a program that dies with us, however we end.
type Child struct{ p *process }

// StartChild starts cmd in a process group of its own.
func StartChild(cmd *exec.Cmd) (*Child, error) {
	p, err := spawn(cmd)
	if err != nil {
		return nil, err
	}
	return &Child{p}, nil
}

// Pid is the child's process id.
func (c *Child) Pid() int { return c.p.pid }

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.p.done }

// Outcome says how an ended child ended, for people.
func (c *Child) Outcome() string { return c.p.outcome() }

// Signal sends sig, and nothing to a child that has ended: its pid may be another's by now.
func (c *Child) Signal(sig syscall.Signal) error {
	if c.p.ended() {
		return nil
	}
	if err := syscall.Kill(c.p.pid, sig); !errors.Is(err, syscall.ESRCH) { // it may end meanwhile
		return err
	}
	return nil
}

// Wait waits until the child has ended and been reaped.
func (c *Child) Wait() { c.p.wait.Wait() }

package lab

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// process is one run of a program that dies with us.
type process struct {
	cmd  *exec.Cmd
	pid  int
	wait sync.WaitGroup

	// done is closed when the process has ended and has been reaped. err may be read after that: nil for exit status 0.
	done chan struct{}
	err  error
}

// spawn starts a command that the kernel kills when this process ends in any way.
//
// The kernel's promise is about the thread that forked, not about the process, so the goroutine that starts the command
// keeps its thread until the command has ended. Signals that a terminal sends to our group do not reach it: the lab ends
// its servers itself.
func spawn(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	p.wait.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	})
	if err := <-started; err != nil {
		p.wait.Wait()
		return nil, err
	}
	return p, nil
}

// ended says whether the process is gone and reaped.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// exitCode returns the exit status of an ended process, -1 when a signal ended it.
func (p *process) exitCode() int { return p.cmd.ProcessState.ExitCode() }

// outcome says how an ended process ended, for people.
func (p *process) outcome() string { return p.cmd.ProcessState.String() }

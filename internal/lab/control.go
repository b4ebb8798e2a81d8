package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// startTimeout is how long Start and Ready wait when the caller sets no deadline: 0.1 s for MariaDB and 0.6 s for MySQL
	// are usual, a crash recovery on a crowded machine takes some more.
	startTimeout = 2 * time.Minute
	// killTimeout is how long a killed process may take to go: 0.1 s is usual; one that sits in a frozen file system
	// never goes.
	killTimeout = 30 * time.Second
	// look is the pause between two looks at a server that is not ready yet.
	look = 5 * time.Millisecond
	// restartMe is the exit status by which a MySQL server asks its parent for a new start, after RESTART and CLONE.
	restartMe = 16
	// tailLines is how much of the server's own log an error carries.
	tailLines = 15
)

// Start starts the server and waits until it accepts connections. Without a data directory it takes a copy of the template
// first. When the process ends or ctx does before that, the server is killed and the error carries the end of its log. ctx
// governs only the wait, not the life of the server. Servers may be started in parallel.
func (s *Server) Start(ctx context.Context) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	p, err := s.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", s.opts.Name, err)
	}
	err = s.await(ctx, func() error {
		if p.ended() {
			return fmt.Errorf("the server ended (%s)", p.outcome())
		}
		return nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", s.opts.Name, err), s.Kill())
	}
	s.log.Debug("server is ready", "addr", s.Addr(), "pid", p.pid)
	return nil
}

// StartAll starts servers in parallel and returns when all are ready, or what failed first.
func StartAll(ctx context.Context, servers ...*Server) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range servers {
		group.Go(func() error { return s.Start(ctx) })
	}
	return group.Wait()
}

// Ready waits until the server accepts connections, also over the restart of a supervised one. It fails when ctx ends, or
// at once when the server does not run and nothing will start it.
func (s *Server) Ready(ctx context.Context) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	err := s.await(ctx, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.quit == nil {
			return errors.New("the server does not run")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w", s.opts.Name, err)
	}
	return nil
}

// await polls for the greeting until it comes, ctx ends, or hopeless says why it never will.
func (s *Server) await(ctx context.Context, hopeless func() error) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := hopeless(); err != nil {
			return fmt.Errorf("%w; its log ends:\n%s", err, s.LogTail(tailLines))
		}
		_, err := greet(ctx, s.Socket())
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, last look: %w; its log ends:\n%s", context.Cause(ctx), err, s.LogTail(tailLines))
		case <-tick.C:
		}
	}
}

// launch starts a process and its supervisor. It takes over from a restart that is still pending.
func (s *Server) launch() (*process, error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	if _, err := os.Stat(s.DataDir()); errors.Is(err, os.ErrNotExist) {
		if err := s.bin.copyTemplate(s.DataDir()); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errors.New("it is closed")
	case s.proc != nil && !s.proc.ended():
		return nil, fmt.Errorf("it runs already, pid %d", s.proc.pid)
	}
	p, err := s.exec()
	if err != nil {
		return nil, err
	}
	s.unwant()
	quit := make(chan struct{})
	s.proc, s.quit = p, quit
	s.wg.Go(func() { s.supervise(p, quit) })
	return p, nil
}

// exec starts the server's process. mu is held.
func (s *Server) exec() (*process, error) {
	out, err := os.OpenFile(s.path("error.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	argv := slices.Concat(s.opts.Enter, s.bin.command, s.flags())
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = out, out
	// With a parent it can name, MySQL ends with status 16 when it wants to be started again.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "MYSQLD_PARENT_PID="+strconv.Itoa(os.Getpid()))
	p, err := spawn(cmd)
	if err := errors.Join(err, out.Close()); err != nil {
		return nil, err
	}
	s.log.Info("server starts", "addr", s.Addr(), "pid", p.pid)
	return p, nil
}

// unwant says that no process should run from now on. mu is held.
func (s *Server) unwant() {
	if s.quit != nil {
		close(s.quit)
		s.quit = nil
	}
}

// supervise starts the server again and again when it ends by itself, until quit is closed.
func (s *Server) supervise(p *process, quit <-chan struct{}) {
	for p != nil {
		<-p.done
		p = s.again(p, quit)
	}
}

// again follows the end of process p: it returns the next process, or nil when there is to be none.
func (s *Server) again(p *process, quit <-chan struct{}) *process {
	delay := s.opts.Supervise
	asked := p.exitCode() == restartMe && s.bin.Family == MySQL
	select {
	case <-quit:
		s.log.Debug("server stopped", "pid", p.pid, "outcome", p.outcome())
		return nil
	default:
		s.log.Info("server ended by itself", "pid", p.pid, "outcome", p.outcome(), "restart_in", delay)
	}
	if asked {
		delay = 0
	} else if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-quit:
			return nil
		case <-timer.C:
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != p || s.quit != quit {
		return nil // stopped, or started by hand, in the meantime
	}
	if !asked && delay == 0 {
		s.unwant()
		return nil
	}
	next, err := s.exec()
	if err != nil {
		s.log.Error("server does not start again", "err", err)
		s.unwant()
		return nil
	}
	s.proc = next
	return next
}

// Kill ends the server with SIGKILL and waits until it is reaped. It stays dead until Start, also when supervised: use
// Crash for a death that supervision answers. It fails when the process does not go, as on a frozen file system, and does
// nothing when no process runs.
func (s *Server) Kill() error {
	s.mu.Lock()
	s.unwant()
	p := s.proc
	s.mu.Unlock()
	return s.sigkill(p)
}

// Crash ends the process that runs now with SIGKILL, as something outside the lab would, and waits until it is reaped. A
// supervised server comes back by itself.
func (s *Server) Crash() error {
	s.mu.Lock()
	p := s.proc
	s.mu.Unlock()
	return s.sigkill(p)
}

func (s *Server) sigkill(p *process) error {
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", s.opts.Name, err)
	}
	timer := time.NewTimer(killTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("kill %s: pid %d is still there after %s", s.opts.Name, p.pid, killTimeout)
	}
}

// Stop asks the server to shut down cleanly (SIGTERM) and waits until it is reaped: MariaDB takes 0.1 s, MySQL 1.5 to 3 s.
// When ctx ends first the server goes on stopping by itself. It stays down until Start, also when supervised.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.unwant()
	p := s.proc
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", s.opts.Name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", s.opts.Name, context.Cause(ctx))
	}
}

// Freeze stops the server's process with SIGSTOP and returns when all its threads stand still. The kernel goes on
// accepting connections for it; only read timeouts tell.
func (s *Server) Freeze() error {
	p, err := s.signal(syscall.SIGSTOP)
	if err == nil {
		err = awaitStopped(p)
	}
	if err != nil {
		return fmt.Errorf("freeze %s: %w", s.opts.Name, err)
	}
	return nil
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error {
	if _, err := s.signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("thaw %s: %w", s.opts.Name, err)
	}
	return nil
}

func (s *Server) signal(sig syscall.Signal) (*process, error) {
	s.mu.Lock()
	p := s.proc
	s.mu.Unlock()
	if p == nil {
		return nil, errors.New("it was never started")
	}
	return p, p.cmd.Process.Signal(sig)
}

// awaitStopped waits until a process that got SIGSTOP has stopped: the signal returns before the last thread stands still.
// The process must not have been reaped, which a parent that is about to be told of its death can still see as a pid.
func awaitStopped(p *process) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timer := time.NewTimer(killTimeout)
	defer timer.Stop()
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if err == nil && info.Signo == int32(unix.SIGCHLD) {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("it ended")
		case <-timer.C:
			return fmt.Errorf("pid %d still runs after %s", p.pid, killTimeout)
		case <-tick.C:
		}
	}
}

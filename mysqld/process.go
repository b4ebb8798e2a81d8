package mysqld

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errExited: the process is gone; its number may belong to another one by now.
var errExited = errors.New("the process has exited")

// Process is one run of the server's program on this machine. The zero value is no process.
type Process struct {
	pid     int
	started uint64 // in clock ticks since the machine's boot
	boot    string // of this boot of the machine
}

// Incarnation tells one run of the server from every other, over reboots too: "<pid>-<start time>-<boot>". It is empty for
// no process.
func (p Process) Incarnation() string {
	if p.pid == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%d-%s", p.pid, p.started, p.boot)
}

// PID is the number of the process, 0 for none.
func (p Process) PID() int { return p.pid }

// Process returns the process at the other end of the connection that Status uses: the kernel says who it is, nobody else.
// The server has to answer.
func (s *Server) Process(ctx context.Context) (Process, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ProbeTimeout)
	defer cancel()
	var p Process
	err := s.session(ctx, s.probe, func(c *session) (err error) {
		if err = c.conn.PingContext(ctx); err == nil {
			p, err = processOf(int(s.pid.Load()))
		}
		return err
	})
	if err != nil {
		return Process{}, fmt.Errorf("process of the server at %s: %w", s.cfg.Socket, err)
	}
	return p, nil
}

// peerPID asks the kernel who listens at the other end of a unix socket.
func peerPID(conn net.Conn) (int32, error) {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("peer of %T: not a socket", conn)
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("peer of socket: %w", err)
	}
	var peer *unix.Ucred
	var failed error
	err = control.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("peer of socket: %w", err)
	}
	return peer.Pid, nil
}

func processOf(pid int) (Process, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Process{}, fmt.Errorf("boot of this machine: %w", err)
	}
	st, err := readStat(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{pid: pid, started: st.started, boot: fmt.Sprintf("%.8s", boot)}, nil
}

// Kill sends SIGKILL, to this process, if it is still there, and to no other that got its number. No thread of it returns to user code, so
// nothing that waits in it is answered any more, even if the process itself cannot end because a disk hangs.
func (p Process) Kill() error {
	fd, err := p.open()
	if errors.Is(err, errExited) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill process %d: %w", p.pid, err)
	}
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	if errors.Is(err, unix.ESRCH) { // it exited in between
		err = nil
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("kill process %d: %w", p.pid, err)
	}
	return nil
}

// open returns a descriptor of this very process, or errExited.
func (p Process) open() (int, error) {
	if p.pid == 0 {
		return 0, errExited
	}
	fd, err := unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return 0, errExited
	}
	if err != nil {
		return 0, err
	}
	// The descriptor holds the number: what is read now belongs to the process that it is open for.
	st, err := readStat(p.pid)
	if err == nil && st.started != p.started {
		err = errExited
	}
	if err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// ProcessState is what the kernel says of a process.
type ProcessState string

// The states of a process.
const (
	// ProcessRunning: it may run user code.
	ProcessRunning ProcessState = "running"
	// ProcessStopped: a signal or a debugger has stopped it; it may go on at any moment.
	ProcessStopped ProcessState = "stopped"
	// ProcessDying: it has been killed or is exiting, and none of its threads answers a client again. Its sockets may
	// stay open for a while: they are closed after its memory is given back, measured 80 to 240 ms later with small
	// buffers, and as long as a hanging disk holds one of its threads.
	ProcessDying ProcessState = "dying"
	// ProcessExited: it is gone. This is the last state.
	ProcessExited ProcessState = "exited"
)

// watchEvery is the pause between two looks; the end of a process is reported without one.
const watchEvery = 20 * time.Millisecond

// Watch yields the state of the process, first the present one and then every change, until it has exited or ctx ends.
// It blocks in between.
func (p Process) Watch(ctx context.Context) iter.Seq[ProcessState] {
	return func(yield func(ProcessState) bool) {
		fd, err := p.open()
		if err != nil {
			yield(ProcessExited)
			return
		}
		defer unix.Close(fd) // nothing was written to it
		var last ProcessState
		for wait := time.Duration(0); ctx.Err() == nil; wait = watchEvery {
			now := ProcessExited // also when its parent has not asked for it yet
			if !awaitExit(fd, wait) {
				now = p.state()
			}
			if now != last && !yield(now) || now == ProcessExited {
				return
			}
			last = now
		}
	}
}

// awaitExit waits so long and says whether the process has exited.
func awaitExit(fd int, wait time.Duration) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, int(wait.Milliseconds()))
	return err == nil && n > 0
}

// state looks once. What cannot be read has gone in the meantime.
func (p Process) state() ProcessState {
	st, err := readStat(p.pid)
	switch {
	case err != nil || st.started != p.started:
		return ProcessExited
	case st.exiting || strings.ContainsRune("ZXx", st.state) || p.killed():
		return ProcessDying
	case strings.ContainsRune("Tt", st.state):
		return ProcessStopped
	}
	return ProcessRunning
}

// stat is what /proc/PID/stat says of the main thread.
type stat struct {
	state   rune
	exiting bool
	started uint64
}

// exitingFlag is PF_EXITING of linux/sched.h.
const exitingFlag = 0x4

func readStat(pid int) (stat, error) {
	name := filepath.Join("/proc", strconv.Itoa(pid), "stat")
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return stat{}, fmt.Errorf("process %d: %w", pid, errExited)
	}
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return parseStat(text)
}

// parseStat reads what follows the program's name, which may itself contain spaces and parentheses: the state is field
// 3 of the line, the flags field 9, the start time field 22.
func parseStat(text []byte) (stat, error) {
	_, rest, ok := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 20 {
		return stat{}, fmt.Errorf("process status %q: too short", clipped(string(text)))
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 32)
	if err != nil {
		return stat{}, fmt.Errorf("process status: flags: %w", err)
	}
	started, err := strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("process status: start time: %w", err)
	}
	return stat{state: rune(fields[0][0]), exiting: flags&exitingFlag != 0, started: started}, nil
}

// killed says whether SIGKILL is pending: the earliest hard evidence there is, because a process with one never returns to
// user code.
func (p Process) killed() bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "status"))
	return err == nil && killPending(text)
}

func killPending(status []byte) bool {
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if n := string(name); n != "SigPnd" && n != "ShdPnd" {
			continue
		}
		pending, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
		if err == nil && pending&(1<<(unix.SIGKILL-1)) != 0 {
			return true
		}
	}
	return false
}

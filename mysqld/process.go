package mysqld

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessState is what the operating system says of a server's process.
type ProcessState string

// The states. A dying process has a SIGKILL pending or its main thread gone: no thread of it returns to user code, though
// its sockets stay open until its memory is torn down, 80 to 240 ms later and more with large buffers.
const (
	ProcessRunning ProcessState = "running"
	ProcessStopped ProcessState = "stopped"
	ProcessDying   ProcessState = "dying"
	ProcessExited  ProcessState = "exited"
)

// Process is the one process that listens on the server's socket.
type Process struct {
	Pid int
	// Start is when it started, in clock ticks since the machine did: with the pid it names one process for ever.
	Start uint64
}

// Incarnation names this run of the server.
func (p Process) Incarnation() string {
	if p.Pid == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%d", p.Pid, p.Start)
}

// Process asks the kernel who listens on the socket.
func (s *Server) Process(ctx context.Context) (Process, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", s.cfg.Socket)
	if err != nil {
		return Process{}, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }() // nothing was said
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return Process{}, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return Process{}, err
	}
	if credErr != nil {
		return Process{}, fmt.Errorf("ask who listens on %s: %w", s.cfg.Socket, credErr)
	}
	st, err := readStat(int(cred.Pid))
	if err != nil {
		return Process{}, err
	}
	return Process{Pid: int(cred.Pid), Start: st.start}, nil
}

// stat is what /proc/PID/stat says that matters here.
type stat struct {
	state byte
	start uint64
	flags uint64
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest) // from field 3 on
	if !ok || len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("process %d: unreadable stat", pid)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return stat{state: fields[0][0], start: start, flags: flags}, nil
}

// exiting is PF_EXITING in the flags of a task.
const exiting = 0x4

// lookEvery is how often a process is looked at while it lives.
const lookEvery = 20 * time.Millisecond

// Watch yields the state of the process now and whenever it changes, until ProcessExited or the end of ctx.
func (p Process) Watch(ctx context.Context) iter.Seq[ProcessState] {
	return func(yield func(ProcessState) bool) {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		var was ProcessState
		for {
			now := p.state()
			if now != was && !yield(now) || now == ProcessExited {
				return
			}
			was = now
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}
}

// state looks once.
func (p Process) state() ProcessState {
	st, err := readStat(p.Pid)
	if err != nil || st.start != p.Start {
		return ProcessExited
	}
	switch {
	case st.state == 'Z', st.state == 'X', st.flags&exiting != 0, killPending(p.Pid):
		return ProcessDying
	case st.state == 'T', st.state == 't':
		return ProcessStopped
	}
	return ProcessRunning
}

// killPending reports whether a SIGKILL waits for the process.
func killPending(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "SigPnd" && name != "ShdPnd" {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err == nil && set&(1<<(syscall.SIGKILL-1)) != 0 {
			return true
		}
	}
	return false
}

// Kill ends this process and no other, whatever has happened to its pid.
func (p Process) Kill() error {
	if p.Pid == 0 {
		return errors.New("no process is known")
	}
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.Pid, err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	if st, err := readStat(p.Pid); err != nil || st.start != p.Start {
		return nil // it has ended
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.Pid, err)
	}
	return nil
}

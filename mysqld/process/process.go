package process

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// errExited: the process is gone; its number may belong to another one by now.
var errExited = errors.New("the process has exited")

// Run is one run of the server's program on this machine. The zero value is no process.
type Run struct {
	pid     int
	started uint64 // in clock ticks since the machine's boot
	boot    string // of this boot of the machine
	model   Model  // nil: a process of this machine
}

// Incarnation tells one run of the server from every other, over reboots too: "<pid>-<start time>-<boot>". It is empty for
// no process.
func (p Run) Incarnation() string {
	if p.model != nil {
		return p.model.Incarnation()
	}
	if p.pid == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%d-%s", p.pid, p.started, p.boot)
}

// PID is the number of the process, 0 for none.
func (p Run) PID() int { return p.pid }

// Peer asks the kernel who listens at the other end of a unix socket.
func Peer(conn net.Conn) (int32, error) {
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

// Of returns the run that has this number now.
func Of(pid int) (Run, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Run{}, fmt.Errorf("boot of this machine: %w", err)
	}
	st, err := readStat(pid)
	if err != nil {
		return Run{}, err
	}
	return Run{pid: pid, started: st.started, boot: fmt.Sprintf("%.8s", boot)}, nil
}

// Kill sends SIGKILL, to this process, if it is still there, and to no other that got its number. No thread of it returns to user code, so
// nothing that waits in it is answered any more, even if the process itself cannot end because a disk hangs.
func (p Run) Kill() error {
	if p.model != nil {
		return p.model.Kill()
	}
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
func (p Run) open() (int, error) {
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

// State is what the kernel says of a process.
type State string

// The states of a process.
const (
	// Running: it may run user code.
	Running State = "running"
	// Stopped: a signal or a debugger has stopped it; it may go on at any moment.
	Stopped State = "stopped"
	// Dying: it has been killed or is exiting, and none of its threads answers a client again. Its sockets may
	// stay open for a while: they are closed after its memory is given back, measured 80 to 240 ms later with small
	// buffers, and as long as a hanging disk holds one of its threads.
	Dying State = "dying"
	// Exited: it is gone. This is the last state.
	Exited State = "exited"
)

// stat is what the kernel says of the main thread of a process.
type stat struct {
	state   rune
	exiting bool
	// killed: SIGKILL is pending, the earliest hard evidence there is, because a thread with one never returns to user code.
	// The kernel puts it on every thread of a process that it kills, and takes it off the thread when that begins to exit.
	killed  bool
	started uint64
}

// exitingFlag is PF_EXITING of linux/sched.h.
const exitingFlag = 0x4

// statFile is where the kernel says how the main thread of a process is. The file of the process itself has the same fields,
// and costs several times as much, because it adds up the times of all threads.
func statFile(pid int) string {
	number := strconv.Itoa(pid)
	return filepath.Join("/proc", number, "task", number, "stat")
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(statFile(pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return stat{}, fmt.Errorf("process %d: %w", pid, errExited)
	}
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return parseStat(text)
}

// parseStat reads what follows the program's name, which may itself contain spaces and parentheses: the state is field
// 3 of the line, the flags field 9, the start time field 22, the pending signals of the thread field 31.
func parseStat(text []byte) (stat, error) {
	_, rest, ok := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 29 {
		return stat{}, fmt.Errorf("process status %.80q: too short", text)
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 32)
	if err != nil {
		return stat{}, fmt.Errorf("process status: flags: %w", err)
	}
	started, err := strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("process status: start time: %w", err)
	}
	pending, err := strconv.ParseUint(string(fields[28]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("process status: pending signals: %w", err)
	}
	return stat{state: rune(fields[0][0]), exiting: flags&exitingFlag != 0, killed: pending&(1<<(unix.SIGKILL-1)) != 0, started: started}, nil
}

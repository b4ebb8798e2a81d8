package offline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/binlog"
)

// Program is how a server was started: enough to start its program again, for a moment and aside. It may be kept on a disk.
type Program struct {
	Argv []string `json:"argv"`
	Dir  string   `json:"dir"`
	UID  uint32   `json:"uid"`
	GID  uint32   `json:"gid"`
}

// Running returns how the process with this number was started.
func Running(pid int) (Program, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil {
		return Program{}, fmt.Errorf("see how the server was started: %w", err)
	}
	out := Program{Argv: strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")}
	exe, errExe := os.Readlink(filepath.Join(proc, "exe"))
	dir, errDir := os.Readlink(filepath.Join(proc, "cwd"))
	info, err := os.Stat(proc)
	if err := errors.Join(err, errExe, errDir); err != nil {
		return Program{}, fmt.Errorf("see how the server was started: %w", err)
	}
	if !filepath.IsAbs(out.Argv[0]) {
		out.Argv[0] = exe
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Program{}, errors.New("see as whom the server was started: not told")
	}
	out.Dir, out.UID, out.GID = dir, st.Uid, st.Gid
	return out, nil
}

// asReplica makes the recovery of a crashed MariaDB server take back what was not acknowledged, and keeps everybody out.
func asReplica(dir string) []string {
	return []string{
		"--init-rpl-role=SLAVE", "--rpl-semi-sync-slave-enabled=1", "--rpl-semi-sync-master-enabled=0",
		"--skip-networking", "--extra-port=0", "--skip-slave-start", "--event-scheduler=OFF", "--read-only=1",
		"--socket=" + filepath.Join(dir, "sock"), "--pid-file=" + filepath.Join(dir, "pid"),
	}
}

// Recover makes a dead MariaDB server take back unwanted. ErrCommitted: its recovery has kept some of it.
func Recover(ctx context.Context, prog Program, p mysqld.Places, unwanted mysqld.GTIDSet) (err error) {
	if p.Flavor != mysqld.MariaDB {
		return fmt.Errorf("recover %s as a replica: only MariaDB knows that role", p.Flavor)
	}
	if err := Free(p); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "baton-recover-")
	if err != nil {
		return fmt.Errorf("recover as a replica: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, int(prog.UID), int(prog.GID)); err != nil {
			return fmt.Errorf("recover as a replica: %w", err)
		}
	}
	if err := aside(ctx, prog, dir); err != nil {
		return fmt.Errorf("recover as a replica: %w", err)
	}
	return gone(p, unwanted)
}

// gone proves that the newest logs hold nothing of what is unwanted.
func gone(p mysqld.Places, unwanted mysqld.GTIDSet) error {
	logs, err := binlog.Index(p.BinlogIndex)
	if err != nil {
		return err
	}
	for _, path := range logs[max(0, len(logs)-3):] {
		t, err := tailOf(p.Flavor, path)
		if err != nil {
			return err
		}
		for _, x := range t.all {
			one, err := mysqld.ParseGTIDSet(p.Flavor, x.GTID)
			if err == nil && !one.IsEmpty() && unwanted.Contains(one) {
				return fmt.Errorf("%s of %s %w", one, path, ErrCommitted)
			}
		}
	}
	return nil
}

// aside runs the program until it greets, and stops it in good order.
func aside(ctx context.Context, prog Program, dir string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, prog.Argv[0], slices.Concat(prog.Argv[1:], asReplica(dir))...)
	cmd.Dir, cmd.Env = prog.Dir, []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	said := &lastBytes{}
	cmd.Stdout, cmd.Stderr = said, said
	// It must not outlive us: it would keep the server itself from starting.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if os.Geteuid() == 0 && prog.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: prog.UID, Gid: prog.GID}
	}
	ended := make(chan error, 1)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel() // kills it, if it is still there
	started := make(chan error, 1)
	wait.Go(func() { // the thread that starts it must live as long as it does, for the kernel's promise
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	})
	if err := <-started; err != nil {
		return err
	}
	if err := greeted(ctx, filepath.Join(dir, "sock"), ended); err != nil {
		return fmt.Errorf("%w; it said: %s", err, said)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-ended; err != nil {
		return fmt.Errorf("%w; it said: %s", err, said)
	}
	return nil
}

// greeted waits for the first bytes that a server says to a client: its recovery is over then.
func greeted(ctx context.Context, socket string, ended <-chan error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if greets(ctx, socket) {
			return nil
		}
		select {
		case err := <-ended:
			return errors.Join(errors.New("it ended before it was ready"), err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func greets(ctx context.Context, socket string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if conn.SetReadDeadline(deadline) != nil {
		return false
	}
	_, err = io.ReadFull(conn, make([]byte, 5))
	return err == nil
}

// lastBytes keeps the end of what a program says.
type lastBytes struct {
	mu   sync.Mutex
	tail []byte
}

// Write never fails.
func (l *lastBytes) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, b...)
	l.tail = bytes.Clone(l.tail[max(0, len(l.tail)-1500):])
	return len(b), nil
}

func (l *lastBytes) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail)
}

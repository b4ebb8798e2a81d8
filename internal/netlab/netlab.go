package netlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrCannot is in the chain of every error that is due to what this machine lacks: rights, programs, the kernel.
var ErrCannot = errors.New("no network laboratory on this machine")

// inside is set in the environment of a process that Command made.
const inside = "BATON_NETLAB"

// toolTime bounds one call of ip, nft, mount and the like; each takes some 10 ms.
const toolTime = 30 * time.Second

// tools are the programs that are called.
var tools = []string{"ip", "nft", "tc", "nsenter", "unshare", "mount", "umount", "mkfs.ext4", "fsfreeze"}

// Inside says whether this process has the namespaces that Command gives.
func Inside() bool { return os.Getenv(inside) != "" }

// Check says what this machine lacks; such an error wraps ErrCannot and says how to get it.
func Check() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: namespaces, nft and mounts need root", ErrCannot)
	}
	var missing []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %s not found: run scripts/get-netlab", ErrCannot, strings.Join(missing, ", "))
	}
	return nil
}

// Command returns a command that runs this program again with the same arguments in private mount and network
// namespaces. It gets SIGTERM when this process dies, so that it can clean up.
func Command(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Setpgid: true, Pdeathsig: syscall.SIGTERM}
	return cmd
}

// Claim makes a directory below parent that is ours while this process lives, and removes those whose owners are dead.
// release removes it.
func Claim(parent string) (dir string, release func() error, err error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, fmt.Errorf("claim a directory: %w", err)
	}
	gate, err := lock(filepath.Join(parent, ".gate"), unix.LOCK_EX)
	if err != nil {
		return "", nil, fmt.Errorf("claim a directory: %w", err)
	}
	defer func() { err = errors.Join(err, gate.Close()) }()
	old, _ := filepath.Glob(filepath.Join(parent, "run-*"))
	for _, d := range old {
		if f, err := lock(filepath.Join(d, ".owner"), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			_ = os.RemoveAll(d) // what cannot be removed now is found again
			_ = f.Close()
		}
	}
	if dir, err = os.MkdirTemp(parent, "run-"); err != nil {
		return "", nil, fmt.Errorf("claim a directory: %w", err)
	}
	owner, err := lock(filepath.Join(dir, ".owner"), unix.LOCK_EX)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("claim %s: %w", dir, err), os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), owner.Close()) }, nil
}

func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// tool runs one command with text on its standard input.
func tool(input string, argv ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

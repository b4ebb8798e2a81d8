package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// roomy is the free space a file system needs before the lab uses it: three MySQL servers and their template take about
// 600 MB, and containers often have a /dev/shm of 64 MB.
const roomy = 2 << 30

// root returns the lab's directory for this user and makes it. It must be ours alone: servers run from what is in it.
func root() (string, error) {
	dir := os.Getenv("BATON_LAB_DIR")
	if dir == "" {
		name := fmt.Sprintf("baton-lab-%d", os.Getuid())
		dir = filepath.Join("/dev/shm", name)
		if !usable("/dev/shm", dir) {
			dir = filepath.Join(os.TempDir(), name)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the lab directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("make the lab directory: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return "", fmt.Errorf("lab directory %s is not a directory of user %d; remove it or set BATON_LAB_DIR", dir, os.Getuid())
	}
	return dir, nil
}

// usable says whether the lab may live in dir on file system fs. A directory that already exists stays in use, so that a
// template is not built twice when space runs low.
func usable(fs, dir string) bool {
	if _, err := os.Stat(dir); err == nil {
		return true
	}
	var stat unix.Statfs_t
	if unix.Access(fs, unix.W_OK) != nil || unix.Statfs(fs, &stat) != nil {
		return false
	}
	return stat.Bavail*uint64(stat.Bsize) > roomy
}

// lockFile opens a file and takes its lock, waiting for it. Closing the file, or dying, gives it up. flock and not a
// process-wide lock, because two servers of one process must exclude each other too.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// workDir makes a fresh directory for one server and locks it for as long as the server is in use. parent "" means the
// lab's own place; there directories of processes that died are removed first.
func workDir(parent, name string) (dir string, lock *os.File, err error) {
	if parent == "" {
		base, err := root()
		if err != nil {
			return "", nil, err
		}
		parent = filepath.Join(base, "run")
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, err
	}
	// The gate keeps a sweeper away from a directory that is made but not yet locked.
	gate, err := lockFile(filepath.Join(parent, ".gate"))
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, gate.Close()) }()
	sweep(parent)
	dir, err = os.MkdirTemp(parent, name+"-")
	if err != nil {
		return "", nil, err
	}
	lock, err = lockFile(filepath.Join(dir, lockName))
	return dir, lock, err
}

// lockName is the file in a server's directory whose lock says that its owner lives.
const lockName = "owner.lock"

// sweep removes server directories whose owner is gone. It is best effort: what cannot be removed now is found again.
func sweep(parent string) {
	locks, _ := filepath.Glob(filepath.Join(parent, "*", lockName))
	for _, path := range locks {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		_ = f.Close()
	}
}

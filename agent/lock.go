package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockDir claims the data directory for this process: two guards with one promise file would each believe to be the one
// that promised (G3). The claim ends with the file, or with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &FieldError{"data_dir", fmt.Errorf("claim: %w", err)}
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%s is in use by %s. Stop that process, or give this node a data directory of its own", dir, holder(f))
	case err == nil:
		_, err = f.WriteAt([]byte(fmt.Sprintf("%-20d\n", os.Getpid())), 0)
	}
	if err != nil {
		return nil, errors.Join(&FieldError{"data_dir", err}, f.Close())
	}
	return f, nil
}

// holder names the process that wrote its number into a lock.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 64))
	pid, bad := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || bad != nil {
		return "another process"
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("another process (it was %d)", pid)
	}
	return fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), pid)
}

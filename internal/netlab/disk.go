package netlab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Disk is a file system on an image file. One goroutine uses it.
type Disk struct {
	image, mount string
	thaw         io.Closer // not nil while frozen
	frozen       *exec.Cmd
}

// NewDisk makes a disk of that many bytes and mounts it below dir. The image is sparse: it takes what is used.
func NewDisk(dir, name string, size int64) (*Disk, error) {
	d := &Disk{image: filepath.Join(dir, name+".img"), mount: filepath.Join(dir, name)}
	if err := d.make(size); err != nil {
		return nil, fmt.Errorf("make disk %s: %w", name, err)
	}
	return d, nil
}

func (d *Disk) make(size int64) error {
	if err := os.Mkdir(d.mount, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(d.image, size); err != nil {
		return err
	}
	if err := tool("", "mkfs.ext4", "-q", "-F", "-m", "0", d.image); err != nil {
		return err
	}
	return d.Mount()
}

// Mount mounts the disk; the journal is replayed as after a power cut.
func (d *Disk) Mount() error { return tool("", "mount", "-o", "loop", d.image, d.mount) }

// Unmount needs that nobody uses it.
func (d *Disk) Unmount() error { return tool("", "umount", d.mount) }

// Path is where the disk is mounted.
func (d *Disk) Path() string { return d.mount }

// Fill leaves no byte free.
func (d *Disk) Fill() error {
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("fill %s: %w", d.mount, err)
	}
	var stat unix.Statfs_t
	err = unix.Statfs(d.mount, &stat)
	// What is taken meanwhile by others makes a large piece fail, so the pieces become smaller.
	offset, piece := int64(0), int64(stat.Bavail)*stat.Bsize
	for err == nil && piece >= stat.Bsize {
		switch failed := unix.Fallocate(int(f.Fd()), 0, offset, piece); {
		case failed == nil:
			offset += piece
		case errors.Is(failed, unix.ENOSPC):
			piece /= 2
		case !errors.Is(failed, unix.EINTR):
			err = failed
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("fill %s: %w", d.mount, err)
	}
	return nil
}

// Free takes back what Fill did.
func (d *Disk) Free() error { return os.Remove(d.filler()) }

func (d *Disk) filler() string { return filepath.Join(d.mount, "filler") }

// Sync makes all that was written to disks durable. What was installed within the half minute in which the kernel would do so
// is lost with a disk that dies, system tables too, and no server can be started on it again.
func Sync(disks ...*Disk) error {
	var errs []error
	for _, d := range disks {
		f, err := os.Open(d.mount)
		if err == nil {
			err = errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sync %s: %w", d.mount, err))
		}
	}
	return errors.Join(errs...)
}

// Freeze stalls every write until Thaw, or until this process is gone: a child waits for its end. A process that sits in
// such a write cannot be killed.
func (d *Disk) Freeze() error {
	cmd := exec.Command("sh", "-c", `fsfreeze -f "$0" && echo frozen && read -r line; fsfreeze -u "$0"`, d.mount)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("freeze %s: %w", d.mount, err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("freeze %s: %w", d.mount, errors.Join(err, in.Close()))
	}
	d.thaw, d.frozen = in, cmd
	if said, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(said) != "frozen" {
		return fmt.Errorf("freeze %s: %w", d.mount, errors.Join(err, d.Thaw()))
	}
	return nil
}

// Thaw takes back what Freeze did, and does nothing to a disk that is not frozen.
func (d *Disk) Thaw() error {
	if d.frozen == nil {
		return nil
	}
	err := errors.Join(d.thaw.Close(), ignoreExit(d.frozen.Wait()))
	d.thaw, d.frozen = nil, nil
	return err
}

// ignoreExit: read fails at the end of its input, which is how it is told to go on.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// Abort makes the file system read only at once, as after an error of the medium, also for files that are open. Only
// Unmount and Mount bring it back.
func (d *Disk) Abort() error { return tool("", "mount", "-o", "remount,abort", d.mount) }

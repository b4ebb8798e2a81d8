package hostsgen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/baton-db/baton/internal/durable"
)

// renameOver replaces target by next: a temporary file in the same directory gets the owner, mode and attributes of the
// old one, is made durable and renamed. Whatever fails, target is as it was. Without an old one it replaces what is there.
// It is not durable.Replace: target belongs to others too, may be a trap in a directory that they can write, and may have
// been changed meanwhile.
func renameOver(target, temp string, old *snapshot, next []byte) (err error) {
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an earlier write left: %w", err)
	}
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		_ = file.Close()
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	if _, err := file.Write(next); err != nil {
		return err
	}
	if old != nil {
		if err := dress(file, target, old); err != nil {
			return err
		}
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if old != nil {
		if err := unmoved(target, old); err != nil {
			return err
		}
	}
	if err := os.Rename(temp, target); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(target))
}

// dress gives file the owner, mode and attributes of target and a later modification time.
func dress(file *os.File, target string, old *snapshot) error {
	if !old.exists {
		return file.Chmod(0o644)
	}
	var own unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &own); err != nil {
		return err
	}
	if own.Uid != old.stat.Uid || own.Gid != old.stat.Gid {
		if err := file.Chown(int(old.stat.Uid), int(old.stat.Gid)); err != nil {
			return fmt.Errorf("keep the owner: %w", err)
		}
	}
	if err := file.Chmod(fs.FileMode(old.stat.Mode & 0o777)); err != nil {
		return fmt.Errorf("keep the mode: %w", err)
	}
	if err := copyAttributes(file, target); err != nil {
		return err
	}
	return later(file, old)
}

// copyAttributes copies the extended attributes of target: ACLs and security labels are among them.
func copyAttributes(file *os.File, target string) error {
	names := make([]byte, 65536) // XATTR_LIST_MAX
	n, err := unix.Llistxattr(target, names)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the attributes of %s: %w", target, err)
	}
	value := make([]byte, 65536) // XATTR_SIZE_MAX
	for _, name := range splitZero(names[:n]) {
		size, err := unix.Lgetxattr(target, name, value)
		if err != nil {
			return fmt.Errorf("read attribute %s of %s: %w", name, target, err)
		}
		if err := unix.Fsetxattr(int(file.Fd()), name, value[:size], 0); err != nil {
			return fmt.Errorf("keep attribute %s: %w", name, err)
		}
	}
	return nil
}

// splitZero returns the strings in b, each of which ends with a zero byte.
func splitZero(b []byte) []string {
	var all []string
	start := 0
	for i, c := range b {
		if c == 0 {
			all = append(all, string(b[start:i]))
			start = i + 1
		}
	}
	return all
}

// later makes the modification time of file later than the old one, by a nanosecond or, on a file system that counts
// seconds, by up to two of them.
func later(file *os.File, old *snapshot) error {
	before := time.Unix(old.stat.Mtim.Unix())
	for _, step := range []time.Duration{1, time.Second, 2 * time.Second} {
		at := time.Now()
		if floor := before.Add(step); at.Before(floor) {
			at = floor
		}
		times := []unix.Timespec{unix.NsecToTimespec(at.UnixNano()), unix.NsecToTimespec(at.UnixNano())}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", file.Fd()), times, 0); err != nil {
			return fmt.Errorf("set the modification time: %w", err)
		}
		var now unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &now); err != nil {
			return err
		}
		if time.Unix(now.Mtim.Unix()).After(before) {
			return nil
		}
	}
	return fmt.Errorf("the modification time stays at %s, so readers would keep what they have", before)
}

// unmoved returns errMoved when target is not the file any more that was read.
func unmoved(target string, old *snapshot) error {
	var now unix.Stat_t
	err := unix.Lstat(target, &now)
	switch {
	case errors.Is(err, unix.ENOENT) && !old.exists:
		return nil
	case err != nil && !errors.Is(err, unix.ENOENT):
		return err
	case err != nil || !old.same(&now):
		return errMoved
	}
	return nil
}

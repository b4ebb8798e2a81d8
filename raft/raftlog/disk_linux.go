package raftlog

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// preallocate gives f its full size in blocks of zeros, so that a full disk shows here and not in the middle of a batch.
func preallocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.Truncate(size)
	}
	return err
}

// syncFile makes the bytes of f durable; its times may lag, which saves a journal commit per batch.
func syncFile(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

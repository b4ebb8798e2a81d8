package promise

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes the contents of f durable; its size does not change, so no metadata is needed.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

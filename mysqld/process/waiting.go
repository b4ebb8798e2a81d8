package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Wait is one wait of one thread that no signal ends, as for a disk. The same thread in another wait is another Wait.
type Wait struct {
	Thread int
	// Switches is how often the thread has given up its processor by itself: once more with every wait.
	Switches uint64
}

// Waits are the threads that wait for a device at this moment. It reads a file for each thread, so it is for a server that may
// be stuck, and not for every moment. What cannot be read has gone in the meantime.
func (p Run) Waits() []Wait {
	var all []Wait
	names, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.pid), "task"))
	for _, n := range names {
		dir := filepath.Join("/proc", strconv.Itoa(p.pid), "task", n.Name())
		text, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue
		}
		if st, err := parseStat(text); err != nil || st.state != 'D' {
			continue
		}
		text, err = os.ReadFile(filepath.Join(dir, "status"))
		tid, failed := strconv.Atoi(n.Name())
		if switches, ok := voluntary(text); ok && err == nil && failed == nil {
			all = append(all, Wait{tid, switches})
		}
	}
	return all
}

// voluntary reads how often a thread gave up its processor out of its status file.
func voluntary(text []byte) (uint64, bool) {
	_, rest, ok := bytes.Cut(text, []byte("\nvoluntary_ctxt_switches:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 10, 64)
	return n, ok && err == nil
}

// full is how little space, in bytes, no server can work with.
const full = 1 << 20

// DiskFull reports whether the file system that the process works in, a server's data directory, has no space for it.
func (p Run) DiskFull() bool {
	var st unix.Statfs_t
	err := unix.Statfs(filepath.Join("/proc", strconv.Itoa(p.pid), "cwd"), &st)
	return p.pid != 0 && err == nil && st.Bavail*uint64(st.Bsize) < full
}

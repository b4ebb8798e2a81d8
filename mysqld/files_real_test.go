package mysqld_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

// A server that may open no file any more greets nobody. What baton has open goes on, so it is no failure; or, as MySQL does when
// InnoDB gets no file, it ends itself, and that is one.
func TestAServerWithoutAFreeFileDescriptorIsStillLookedAt(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		p := reign(t, bin, 2)[0]
		p.must(p.Warm(t.Context()))
		p.must(p.Canary(t.Context(), "db1"))
		p.status()
		pid := p.lab.Pid()
		var was unix.Rlimit
		p.must(unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was))
		t.Cleanup(func() { _ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &was, nil) })
		until(t, "it greets nobody", func() bool {
			free := uint64(0)
			for { // a file gets the lowest number that is free
				if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", pid, free)); err != nil {
					break
				}
				free++
			}
			_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: free, Max: was.Max}, nil) // it may have ended
			return mysqld.Probe(shortly(t), p.lab.Addr().String()) != nil
		})
		_, looked := p.Status(t.Context())
		if err := errors.Join(looked, p.Canary(t.Context(), "db1")); err != nil {
			until(t, "a server that does not answer has ended: "+err.Error(), func() bool {
				select {
				case <-p.lab.Exited():
					return true
				default:
					return false
				}
			})
		}
	})
}

package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/baton-db/baton/internal/portuse"
)

// portInUse explains why a TCP port could not be bound, naming the process that has it.
func portInUse(field, addr string, err error) error {
	ap, parseErr := netip.ParseAddrPort(addr)
	if parseErr != nil || !errors.Is(err, syscall.EADDRINUSE) {
		return &FieldError{field, err}
	}
	who := portuse.Holder("tcp", ap)
	if who == "" {
		who = "another process"
	}
	return &FieldError{field, fmt.Errorf("%s is in use by %s. Stop that process, or give another port", addr, who)}
}

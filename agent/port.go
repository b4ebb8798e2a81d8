package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/baton-db/baton/internal/portuse"
)

// listen opens the TCP port. What a node before this one in the same process had open is held on, by nobody whom /proc knows,
// by a child that was forked and has not yet become another program: that lasts milliseconds and is waited for.
func listen(open func(network, address string) (net.Listener, error), addr string) (net.Listener, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		l, err := open("tcp", addr)
		ap, parseErr := netip.ParseAddrPort(addr)
		if parseErr != nil || !errors.Is(err, syscall.EADDRINUSE) || portuse.Holder("tcp", ap) != "" || wait > 250*time.Millisecond {
			return l, err
		}
		time.Sleep(wait)
	}
}

// portInUse explains why a TCP port could not be bound, naming the process that has it.
func portInUse(field, addr string, err error) error {
	ap, parseErr := netip.ParseAddrPort(addr)
	switch {
	case parseErr != nil:
	case errors.Is(err, syscall.EADDRINUSE):
		return held(field, addr, portuse.Holder("tcp", ap))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return &FieldError{field, fmt.Errorf("%s is not an address of this machine. Give one that it has", ap.Addr())}
	}
	return &FieldError{field, err}
}

// gossipInUse is portInUse for the gossip port, which is one of each kind and whose error has only a text.
func gossipInUse(addr string, err error) error {
	const field = "listen.gossip"
	ap, parseErr := netip.ParseAddrPort(addr)
	if parseErr != nil || !strings.Contains(err.Error(), "in use") {
		return &FieldError{field, err}
	}
	who := portuse.Holder("tcp", ap)
	if who == "" {
		who = portuse.Holder("udp", ap)
	}
	return held(field, addr, who)
}

func held(field, addr, who string) error {
	if who == "" {
		who = "another process"
	}
	return &FieldError{field, fmt.Errorf("%s is in use by %s. Stop that process, or give another port", addr, who)}
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// DefaultPort is where lab servers listen unless told otherwise. It is the same on all addresses of a Subnet, because DNS
// A records and hosts files carry no port.
const DefaultPort = 3306

// Subnet is a /24 of loopback addresses that nobody else in the lab uses until Close, so that tests of many packages and
// processes run side by side with the same port on every address.
type Subnet struct {
	prefix netip.Prefix
	claim  net.Listener
}

// ClaimSubnet finds and claims a free 127.A.B.0/24. The search starts at this process's pid, so that the processes of one
// test run seldom meet. A claim is an abstract unix socket: it belongs to the network namespace, as loopback does, and goes
// with the process.
func ClaimSubnet() (*Subnet, error) {
	const slots = 254 * 256 // 127.1.0 to 127.254.255: the two ends of 127/8 are other people's favourites
	var last error
	for i := range slots {
		slot := (os.Getpid() + i*257) % slots // 257 shares no factor with slots: every slot is tried once
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(1 + slot/256), byte(slot % 256), 0}), 24)
		s, err := claim(prefix)
		if err == nil {
			return s, nil
		}
		last = err
		if i == 1000 {
			break // not a matter of luck any more
		}
	}
	return nil, fmt.Errorf("claim a loopback /24 with port %d free (does a server listen there on all addresses?): %w", DefaultPort, last)
}

func claim(prefix netip.Prefix) (*Subnet, error) {
	var config net.ListenConfig
	ctx := context.Background() // listening on a local name does not block
	listener, err := config.Listen(ctx, "unix", "@baton-lab/"+prefix.String())
	if err != nil {
		return nil, err
	}
	s := &Subnet{prefix: prefix, claim: listener}
	// Someone who knows nothing of claims may listen there.
	for n := range 9 {
		probe, err := config.Listen(ctx, "tcp4", netip.AddrPortFrom(s.IP(n+1), DefaultPort).String())
		if err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		if err := probe.Close(); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	return s, nil
}

// Prefix returns the claimed 127.A.B.0/24.
func (s *Subnet) Prefix() netip.Prefix { return s.prefix }

// IP returns host n of the subnet, 127.A.B.n, for n from 1 to 254. Servers of a trio are 1, 2 and 3 by custom.
func (s *Subnet) IP(n int) netip.Addr {
	ip := s.prefix.Addr().As4()
	ip[3] = byte(n)
	return netip.AddrFrom4(ip)
}

// Close gives the subnet back. Nothing of the caller may listen on it any more.
func (s *Subnet) Close() error { return s.claim.Close() }

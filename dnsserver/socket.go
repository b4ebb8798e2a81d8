package dnsserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/baton-db/baton/internal/portuse"
)

// socket is one address, by UDP and TCP.
type socket struct {
	addr netip.AddrPort
	udp  *net.UDPConn
	tcp  *net.TCPListener
	// wildcard sockets must be told from which of the machine's addresses to answer.
	wildcard bool
}

// bind adds the sockets of ap.
func (s *Server) bind(ap netip.AddrPort) error {
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(ap))
	if err != nil {
		return bindError("tcp", ap, err)
	}
	bound := netip.AddrPortFrom(ap.Addr(), uint16(tcp.Addr().(*net.TCPAddr).Port))
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(bound))
	if err != nil {
		return errors.Join(bindError("udp", bound, err), tcp.Close())
	}
	k := &socket{addr: bound, udp: udp, tcp: tcp, wildcard: ap.Addr().IsUnspecified()}
	s.socks = append(s.socks, k)
	if k.wildcard {
		// Either fails on a socket of the other family; the one that matters does not.
		_ = ipv4.NewPacketConn(udp).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
		_ = ipv6.NewPacketConn(udp).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	return nil
}

// bindError says what is in the way.
func bindError(network string, ap netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if who := portuse.Holder(network, ap); who != "" {
			return fmt.Errorf("listen for DNS on %s %s: the port is in use by %s: %w", network, ap, who, err)
		}
		return fmt.Errorf("listen for DNS on %s %s: the port is in use: %w", network, ap, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen for DNS on %s %s: ports below 1024 need CAP_NET_BIND_SERVICE: %w", network, ap, err)
	}
	return fmt.Errorf("listen for DNS on %s %s: %w", network, ap, err)
}

// Close closes what Listen has bound, of a server that will not Serve. It may be called twice.
func (s *Server) Close() {
	for _, k := range s.socks {
		_ = k.udp.Close()
		_ = k.tcp.Close()
	}
}

// replyFrom returns the control message with which an answer leaves from the address that the question came to, given
// the control message of the question. It is false when that address was a multicast one.
func replyFrom(oob []byte) ([]byte, bool) {
	var m6 ipv6.ControlMessage
	if m6.Parse(oob) == nil && m6.Dst != nil {
		if m6.Dst.IsMulticast() {
			return nil, false
		}
		if v4 := m6.Dst.To4(); v4 == nil {
			return (&ipv6.ControlMessage{Src: m6.Dst, IfIndex: m6.IfIndex}).Marshal(), true
		}
	}
	var m4 ipv4.ControlMessage
	if m4.Parse(oob) == nil && m4.Dst != nil {
		if m4.Dst.IsMulticast() || m4.Dst.Equal(net.IPv4bcast) {
			return nil, false
		}
		return (&ipv4.ControlMessage{Src: m4.Dst}).Marshal(), true
	}
	return nil, true
}

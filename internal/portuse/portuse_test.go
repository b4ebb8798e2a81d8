package portuse_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/portuse"
)

func TestHolderIsTheProcessThatListens(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = udp.Close() }()
	tcp, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tcp.Close() }()
	name, _ := os.ReadFile("/proc/self/comm")
	want := fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), os.Getpid())
	for network, addr := range map[string]string{"udp": udp.LocalAddr().String(), "tcp": tcp.Addr().String()} {
		bound := netip.MustParseAddrPort(addr)
		for _, ip := range []netip.Addr{bound.Addr(), netip.IPv4Unspecified(), netip.MustParseAddr("127.0.0.1")} {
			if who := portuse.Holder(network, netip.AddrPortFrom(ip, bound.Port())); who != want {
				t.Errorf("holder of %s %s is %q, want %q", network, ip, who, want)
			}
		}
	}
	if err := tcp.Close(); err != nil {
		t.Fatal(err)
	}
	if who := portuse.Holder("tcp", netip.MustParseAddrPort(tcp.Addr().String())); who == want {
		t.Errorf("a closed port is held by %q", who)
	}
}

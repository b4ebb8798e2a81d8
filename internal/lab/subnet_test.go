package lab_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

func TestSubnetsOfOneProcessDiffer(t *testing.T) {
	seen := map[netip.Prefix]bool{}
	for range 20 {
		p := labtest.Subnet(t).Prefix()
		if seen[p] {
			t.Errorf("%s was given out twice", p)
		}
		seen[p] = true
		if !p.Addr().IsLoopback() || p.Bits() != 24 {
			t.Errorf("%s is no loopback /24", p)
		}
	}
}

func TestSubnetWithAListenerOnItIsPassedOver(t *testing.T) {
	first, err := lab.ClaimSubnet()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", netip.AddrPortFrom(first.IP(3), lab.DefaultPort).String())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if next := labtest.Subnet(t); next.Prefix() == first.Prefix() {
		t.Errorf("%s was given out while somebody listens there", next.Prefix())
	}
}

func TestClosedSubnetIsFreeAgain(t *testing.T) {
	first, err := lab.ClaimSubnet()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if next := labtest.Subnet(t); next.Prefix() != first.Prefix() {
		t.Errorf("claimed %s, want %s again", next.Prefix(), first.Prefix())
	}
}

package registry_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/baton-db/baton/registry"
)

func TestOnlyAddressesThatCanBePublishedAreTaken(t *testing.T) {
	for _, c := range []struct {
		address, port string // of a node or service, and with brackets of a member
		ok            bool
	}{
		{"10.0.0.1", "10.0.0.1:3306", true},
		{"127.0.0.1", "127.0.0.1:3306", true},
		{"2001:db8::1", "[2001:db8::1]:3306", true},
		{"", ":3306", false},
		{"db1.example", "db1.example:3306", false},
		{"10.0.0.1:1", "10.0.0.1", false},
		{"0.0.0.0", "0.0.0.0:3306", false},
		{"::", "[::]:3306", false},
		{"224.0.0.1", "224.0.0.1:3306", false},
		{"::ffff:10.0.0.1", "[::ffff:10.0.0.1]:3306", false},                            // a second spelling of 10.0.0.1
		{"fe80::1%eth0", "[fe80::1%eth0]:3306", false},                                  // means something on one machine only
		{"fe80::1%\n10.0.0.9 primary.orders.db", "[fe80::1%\n10.0.0.9 db]:3306", false}, // a line of its own in a hosts file
	} {
		t.Run(c.address, func(t *testing.T) {
			s := with(t, registry.New("test"), node("n1", "10.0.0.9"), &registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()})
			m := member("db1")
			m.Address = c.port
			for _, cmd := range []registry.Command{
				&registry.PutNode{Node: registry.Node{ID: "n2", Address: c.address, Role: registry.RoleServer}},
				&registry.PutService{Instance: registry.ServiceInstance{Service: "web", ID: "a", Node: "n1", Address: c.address, Port: 80}},
				&registry.PutMember{Database: "orders", Member: m},
			} {
				if _, err := cmd.Apply(s); (err == nil) != c.ok || err != nil && !errors.Is(err, registry.ErrInvalid) {
					t.Errorf("%T: %v, want accepted %t", cmd, err, c.ok)
				}
			}
		})
	}
}

func TestTwoMembersCannotShareAnAddressHoweverItIsWritten(t *testing.T) {
	s := with(t, registry.New("test"), &registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()})
	a, b := putMember("db1"), putMember("db2")
	a.Member.Address, b.Member.Address = "[2001:db8::a]:3306", "[2001:DB8:0::A]:3306"
	if _, err := b.Apply(with(t, s, a)); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("put member with the address of another: %v, want ErrInvalid", err)
	}
}

func TestAMemberCannotTakeANameThatTheDatabasePublishes(t *testing.T) {
	for _, id := range []registry.InstanceID{"primary", "replicas", "why"} {
		m := putMember("db4")
		m.Member.ID = id
		if _, err := m.Apply(forming(t)); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("put member %s: %v, want ErrInvalid", id, err)
		}
	}
}

func TestAServiceNameLeavesRoomForTheUnderscoreOfItsSRVName(t *testing.T) {
	s := with(t, registry.New("test"), node("n1", "10.0.0.1"))
	for length, ok := range map[int]bool{62: true, 63: false} {
		c := &registry.PutService{Instance: registry.ServiceInstance{
			Service: registry.ServiceName(strings.Repeat("a", length)), ID: "a", Node: "n1", Address: "10.0.0.1", Port: 80}}
		if _, err := c.Apply(s); (err == nil) != ok {
			t.Errorf("a service name of %d letters: %v, want accepted %t", length, err, ok)
		}
	}
}

package agent_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/discovery"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

// The registry says where a member is, its replicas say whom they follow, and the two are compared as texts.
func TestAnAddressOfADatabaseHasOneSpelling(t *testing.T) {
	for given, want := range map[string]string{
		"10.0.0.11:3306": "10.0.0.11:3306", "[2001:DB8:0::1]:3306": "[2001:db8::1]:3306", "[2001:db8::1]:03306": "[2001:db8::1]:3306",
	} {
		cfg := agent.Config{Database: &agent.Database{Address: given}}.WithDefaults()
		if cfg.Database.Address != want {
			t.Errorf("%s became %s, want %s", given, cfg.Database.Address, want)
		}
	}
}

// What the registry would refuse for ever is refused at the start, with the setting's name.
func TestAnAddressOfADatabaseThatTheRegistryRefusesIsRefusedAtOnce(t *testing.T) {
	state, err := registry.New("prod").Next(1, &registry.PutDatabase{Name: "orders", Policy: registry.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	for addr, good := range map[string]bool{
		"10.0.0.11:3306": true, "[2001:db8::1]:3306": true,
		"": false, "db1:3306": false, "10.0.0.11": false, "10.0.0.11:0": false, "0.0.0.0:3306": false, "[::]:3306": false,
		"224.0.0.1:3306": false, "[ff02::1]:3306": false, "[fe80::1%eth0]:3306": false, "[::ffff:10.0.0.11]:3306": false,
	} {
		cfg := agent.Config{Node: "db1", Advertise: netip.MustParseAddr("10.0.0.11"), Database: &agent.Database{Name: "orders", Address: addr}}.WithDefaults()
		member := registry.Member{ID: "db1", Node: "db1", Address: cfg.Database.Address, Flavor: registry.MySQL, ServerUUID: "u", Preference: registry.Normal}
		_, refused := state.Next(2, &registry.PutMember{Database: "orders", Member: member})
		found := strings.Contains(cfg.Validate().Error(), "mysql.address: ")
		if (refused == nil) != good || found == good {
			t.Errorf("%q: the registry says %v, the agent refuses %t", addr, refused, found)
		}
	}
}

// Each of these rooms checks names for itself, because none imports another; the names are the same.
func TestEveryRoomTakesTheSameNames(t *testing.T) {
	for _, name := range []string{"a", "db1", "d-b", "0", strings.Repeat("a", 63), "", "-a", "a-", "A", "a.b", "a_b", "ä", "a b", "a\n", strings.Repeat("a", 64)} {
		want := registry.ValidName(name) == nil
		if got := (identity.Name{Cluster: "c", Role: identity.RoleServer, Node: name}).Validate() == nil; got != want {
			t.Errorf("%q: registry %t, identity %t", name, want, got)
		}
		gossip := discovery.Config{Name: name, Cluster: "c", Timing: discovery.LAN()}.Validate(nil)
		if got := !strings.Contains(gossip.Error(), "node name"); got != want { // something else is always missing
			t.Errorf("%q: registry %t, discovery: %v", name, want, gossip)
		}
		err := agent.Config{Cluster: "c", Node: registry.NodeID(name)}.Validate()
		var field *agent.FieldError
		if got := !strings.Contains(err.Error(), "node: name"); got != want || !errors.As(err, &field) {
			t.Errorf("%q: registry %t, agent: %v", name, want, err)
		}
	}
}

package promote

import (
	"testing"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// TestAServerThatLostItsOwnTransactionsDoesNotFollow: MySQL would skip them in silence, and the server would count as a
// member that holds everything.
func TestAServerThatLostItsOwnTransactionsDoesNotFollow(t *testing.T) {
	const me, other = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
	d := &registry.Database{Name: "orders", Epoch: 7, Base: me + ":1-435," + other + ":1-9",
		Members: []registry.Member{{ID: "db1", ServerUUID: me, ServerID: 1, Flavor: registry.MySQL}}}
	for executed, want := range map[string]string{
		me + ":1-428," + other + ":1-9": me + ":429-435",
		me + ":1-435," + other + ":1-3": "", // what others wrote still comes
		me + ":1-440," + other + ":1-9": "",
	} {
		set, err := mysqld.ParseGTIDSet(mysqld.MySQL, executed)
		if err != nil {
			t.Fatal(err)
		}
		lost, err := lostOwn(d, "db1", mysqld.Status{Flavor: mysqld.MySQL, Executed: set})
		if err != nil || lost.String() != want {
			t.Errorf("with %s it has lost %q, %v, want %q", executed, lost, err, want)
		}
	}
	set, err := mysqld.ParseGTIDSet(mysqld.MariaDB, "0-1-428")
	if err != nil {
		t.Fatal(err)
	}
	d.Base, d.Members[0].Flavor = "0-1-435", registry.MariaDB
	if lost, err := lostOwn(d, "db1", mysqld.Status{Flavor: mysqld.MariaDB, Executed: set}); err != nil || !lost.IsEmpty() {
		t.Errorf("MariaDB is not judged: %q, %v", lost, err)
	}
}

func TestASourceIsWrittenAsMembersAre(t *testing.T) {
	for host, want := range map[string]string{"10.0.0.1": "10.0.0.1:3306", "fd00::1": "[fd00::1]:3306", "db1.example": "db1.example:3306"} {
		if got := sourceAddress(&mysqld.Replication{SourceHost: host, SourcePort: 3306}); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

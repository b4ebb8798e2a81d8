package recall_test

import (
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/recall"
)

func TestMemoryLastsAsLongAsAThreadDoes(t *testing.T) {
	at := func(flavor mysqld.Flavor, process string, receiver, applier uint64) health.Observation {
		return health.Observation{Incarnation: process, Good: true, Status: mysqld.Status{Flavor: flavor,
			Replication: &mysqld.Replication{ReceiverThread: receiver, ApplierThread: applier}}}
	}
	source := health.Observation{Incarnation: "p1", Good: true, Status: mysqld.Status{Flavor: mysqld.MariaDB}}
	before := recall.Memory(at(mysqld.MariaDB, "p1", 5, 6))
	for _, c := range []struct {
		name   string
		before string
		now    health.Observation
		want   bool
	}{
		{"nothing happened", before, at(mysqld.MariaDB, "p1", 5, 6), true},
		{"the receiver was fenced", before, at(mysqld.MariaDB, "p1", 0, 6), true},
		{"the receiver was started again", before, at(mysqld.MariaDB, "p1", 7, 6), true},
		{"the applier was started again", before, at(mysqld.MariaDB, "p1", 5, 7), true},
		{"both are stopped", before, at(mysqld.MariaDB, "p1", 0, 0), false},
		{"both were started again", before, at(mysqld.MariaDB, "p1", 7, 8), false},
		{"the applier was started again while the receiver was fenced", recall.Memory(at(mysqld.MariaDB, "p1", 0, 6)), at(mysqld.MariaDB, "p1", 0, 8), false},
		{"the server was restarted", before, at(mysqld.MariaDB, "p2", 5, 6), false},
		{"the source was reset", before, source, false},
		{"a primary follows somebody", recall.Memory(source), at(mysqld.MariaDB, "p1", 5, 6), false},
		{"a primary goes on", recall.Memory(source), source, true},
		{"nothing is known", "", health.Observation{}, false},
		{"MySQL keeps what it received", recall.Memory(at(mysqld.MySQL, "p1", 0, 0)), at(mysqld.MySQL, "p1", 0, 0), true},
		{"also when its source is reset", recall.Memory(at(mysqld.MySQL, "p1", 0, 0)), health.Observation{Incarnation: "p1", Status: mysqld.Status{Flavor: mysqld.MySQL}}, true},
		{"an agent has just begun and the server has not answered", before, health.Observation{Incarnation: "p1"}, false},
		{"but not in a restart", recall.Memory(at(mysqld.MySQL, "p1", 0, 0)), at(mysqld.MySQL, "p2", 0, 0), false},
	} {
		if got := recall.Lasts(c.before, c.now); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

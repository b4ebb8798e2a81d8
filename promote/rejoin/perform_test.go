package rejoin

import (
	"testing"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

func TestNobodyIsComparedWithAPrimaryThatLacksWhatItsReignBeganWith(t *testing.T) {
	const a, b = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "3e11fa47-71ca-11e1-9e33-c80aa9429563"
	for _, c := range []struct {
		flavor       mysqld.Flavor
		base, theirs string
		ok           bool
	}{
		{mysqld.MySQL, a + ":1-9", a + ":1-9", true},
		{mysqld.MySQL, a + ":1-9", a + ":1-9," + b + ":1-3", true},
		{mysqld.MySQL, a + ":1-9", a + ":1-8," + b + ":1-3", false},
		{mysqld.MySQL, a + ":1-9", "", false},
		{mysqld.MySQL, "", a + ":1", true},
		{mysqld.MySQL, "what is this", a + ":1-9", false},
		{mysqld.MariaDB, "0-1-9", "0-1-9,0-2-12", true},
		{mysqld.MariaDB, "0-1-9", "0-1-8", false},
	} {
		theirs, err := mysqld.ParseGTIDSet(c.flavor, c.theirs)
		if err != nil {
			t.Fatal(err)
		}
		d := &registry.Database{Name: "orders", Primary: "db2", Epoch: 2, Reign: registry.Reign{Base: c.base}}
		if err := reigned(d, c.flavor, theirs); (err == nil) != c.ok {
			t.Errorf("base %q, and it has %q: %v", c.base, c.theirs, err)
		}
	}
}

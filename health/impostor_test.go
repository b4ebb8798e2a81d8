package health_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

func TestAServerWithTheIdentityOfAnotherIsTold(t *testing.T) {
	const a, b = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"
	of := func(flavor registry.Flavor, uuid string, number uint32) registry.Member {
		if flavor == registry.MariaDB {
			uuid = ""
		}
		return registry.Member{Flavor: flavor, ServerUUID: uuid, ServerID: number}
	}
	for _, flavor := range []registry.Flavor{registry.MySQL, registry.MariaDB} {
		other := map[registry.Flavor]registry.Flavor{registry.MySQL: registry.MariaDB, registry.MariaDB: registry.MySQL}[flavor]
		one, two := of(flavor, a, 1), of(flavor, b, 2)
		one.ID, two.ID = "db1", "db2"
		d := &registry.Database{Name: "orders", Phase: registry.Serving, Primary: "db1", Members: []registry.Member{one, two}}
		for name, c := range map[string]struct {
			id   registry.InstanceID
			is   registry.Member
			want string
		}{
			"itself":                                  {"db2", of(flavor, b, 2), ""},
			"it was never asked":                      {"db2", registry.Member{}, ""},
			"a copy with everything of the primary":   {"db2", of(flavor, a, 1), map[registry.Flavor]string{registry.MySQL: "auto.cnf", registry.MariaDB: "server_id 1 of db1"}[flavor]},
			"a number twice":                          {"db2", of(flavor, b, 1), "server_id 1 of db1"},
			"a stranger with the identity of another": {"db3", of(flavor, b, 2), "of db2"},
			"a server of the other family":            {"db2", of(other, b, 2), "registered as one of " + string(flavor)},
		} {
			h := health.Heard{Report: health.Report{Boot: "b", Instance: c.id, Member: c.is}}
			got := strings.Join(health.View{c.id: h}.Troubles(d), "\n")
			if got == "" != (c.want == "") || !strings.Contains(got, c.want) || got != "" && !strings.Contains(got, "Way out") {
				t.Errorf("%s, %s: %q, want %q", flavor, name, got, c.want)
			}
		}
	}
}

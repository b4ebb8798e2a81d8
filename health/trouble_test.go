package health_test

import (
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

func TestAReplicaThatDoesNotGetOnIsTold(t *testing.T) {
	d := &registry.Database{Name: "orders", Phase: registry.Serving, Primary: "db1", Members: []registry.Member{{ID: "db1"}, {ID: "db2"}}}
	replicating := func(change func(*mysqld.Replication)) health.Heard {
		rep := &mysqld.Replication{SourceHost: "10.0.0.1", SourcePort: 3306, Receiver: mysqld.ReceiverRunning, Applier: true}
		change(rep)
		h := health.Heard{Report: health.Report{Boot: "b"}, Age: time.Millisecond}
		health.Describe(health.Observation{Good: true, Process: health.ProcessRunning, Status: mysqld.Status{Flavor: mysqld.MySQL, Replication: rep}}, &h.Report)
		return h
	}
	stuck := replicating(func(*mysqld.Replication) {})
	stuck.Guard.Stuck = "measure: still lacks 0-1-9, for longer than 10s"
	for name, c := range map[string]struct {
		h    health.Heard
		want []string
	}{
		"it is well": {replicating(func(*mysqld.Replication) {}), nil},
		"its applier cannot go on": {replicating(func(r *mysqld.Replication) {
			r.Applier, r.ApplierErrorNumber, r.ApplierError, r.ReceiverError = false, 1062, "Duplicate entry '7' for key 't.PRIMARY'", "of long ago"
		}), []string{"db2", "error 1062: Duplicate entry '7'", "Way out"}},
		"somebody stopped its applier": {replicating(func(r *mysqld.Replication) { r.Applier = false }), []string{"db2", "applies nothing", "no error", "Way out"}},
		"both are stopped":             {replicating(func(r *mysqld.Replication) { r.Applier, r.Receiver = false, mysqld.ReceiverStopped }), []string{"neither receives nor applies"}},
		"it is still measured":         {stuck, []string{"db2 does not acknowledge yet", "0-1-9"}},
	} {
		got := strings.Join(health.View{"db2": c.h}.Troubles(d), "\n")
		if c.want == nil && got != "" {
			t.Errorf("%s: %q", name, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if got := (health.View{"db1": c.h}).Troubles(d); got != nil {
			t.Errorf("%s, the primary: %q", name, got)
		}
	}
}

package mysqld_test

import (
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

func TestAnApplierIsStartedOnlyBesideARunningReceiver(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		replication := func() *mysqld.Replication { return r.status().Replication }
		r.exec("STOP REPLICA SQL_THREAD")
		if rep := replication(); !rep.ApplierIdle() {
			t.Fatalf("stopped by hand: %+v", rep)
		}
		p.exec("INSERT INTO app.t VALUES (7, 7)") // acknowledged, and not applied
		r.must(r.StartApplier(t.Context()))
		until(t, "it is applied", func() bool { return r.ask("SELECT COUNT(*) FROM app.t WHERE id = 7") == "1" })

		r.exec("STOP REPLICA")
		r.must(r.StartApplier(t.Context()))
		if replication().Applier {
			t.Error("started while neither ran: MariaDB deletes its relay log then")
		}
		r.exec("SET GLOBAL read_only = OFF", "SET sql_log_bin = 0", "INSERT INTO app.t VALUES (8, 0)", "SET sql_log_bin = 1", "SET GLOBAL read_only = ON", "START REPLICA")
		p.exec("INSERT INTO app.t VALUES (8, 8)")
		until(t, "it stops by an error", func() bool { rep := replication(); return !rep.Applier && rep.ApplierErrorNumber == 1062 })
		if rep := replication(); rep.ApplierIdle() || rep.ApplierError == "" {
			t.Errorf("%+v", rep)
		}
		r.must(r.StartApplier(t.Context()))
		if replication().Applier {
			t.Error("started although an error had stopped it")
		}
	})
}

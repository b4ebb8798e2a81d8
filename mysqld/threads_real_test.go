package mysqld_test

import (
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

// Somebody says STOP REPLICA and START REPLICA by hand. MariaDB deletes what was received then, and only the numbers of its
// threads tell.
func TestARestartOfBothThreadsShowsInTheirNumbers(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		first := r.status().Replication
		if first == nil || (r.status().Flavor == mysqld.MariaDB) != (first.ReceiverThread > 0 && first.ApplierThread > 0) {
			t.Fatalf("threads %+v", first)
		}
		r.exec("STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD")
		second := r.status().Replication
		if second.ApplierThread != first.ApplierThread {
			t.Errorf("the applier went on: %d, then %d", first.ApplierThread, second.ApplierThread)
		}
		r.exec("STOP REPLICA SQL_THREAD")
		want := r.receive(p, 10)
		p.must(p.lab.Kill())
		r.exec("STOP REPLICA IO_THREAD")
		if st := r.status(); st.Replication.ReceiverThread != 0 || st.Replication.ApplierThread != 0 || !st.Position().Contains(want) {
			t.Errorf("both are stopped: %+v", st.Replication)
		}
		r.exec("START REPLICA")
		st := r.status()
		kept := st.Position().Contains(want)
		ran := func(before, now uint64) bool { return now != 0 && now == before }
		seen := first.ApplierThread > 0 && !ran(second.ApplierThread, st.Replication.ApplierThread) && !ran(second.ReceiverThread, st.Replication.ReceiverThread)
		if maria := st.Flavor == mysqld.MariaDB; kept == maria || seen != maria {
			t.Errorf("kept %t, seen %t: %+v, before %+v", kept, seen, st.Replication, second)
		}
	})
}

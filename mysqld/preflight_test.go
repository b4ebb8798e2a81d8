package mysqld_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld"
)

func TestPreflightFindsNothingFatalOnAServerAsItShouldBe(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		n := nodes(t, bin, 1)[0]
		found, err := n.Preflight(t.Context())
		n.must(err)
		for _, f := range found {
			t.Errorf("found %+v", f)
		}
	})
}

func TestPreflightNamesWhatIsWrongAndItsFixWorks(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		n := nodes(t, bin, 1)[0]
		spelled := "source"
		if bin.Family == lab.MariaDB {
			spelled = "master"
		}
		n.exec("SET GLOBAL sync_binlog = 0", "SET GLOBAL rpl_semi_sync_"+spelled+"_timeout = 10000", "SET GLOBAL rpl_semi_sync_"+spelled+"_wait_point = AFTER_COMMIT",
			"SET GLOBAL read_only = 0", "DROP TABLE baton.canary", "CREATE TABLE app.plain (id INT PRIMARY KEY) ENGINE = MyISAM")
		found, err := n.Preflight(t.Context())
		n.must(err)
		fatal := map[string]bool{}
		for _, f := range found {
			if f.Code == "" || f.Why == "" || f.Fix == "" || f.Want == "" {
				t.Errorf("it says too little: %+v", f)
			}
			fatal[f.Setting] = f.Fatal
			for statement := range strings.SplitSeq(f.Fix, ";") {
				if text := strings.TrimSpace(statement); text != "" && !strings.HasPrefix(text, "and in") {
					n.exec(text)
				}
			}
		}
		for _, want := range []string{"sync_binlog", "rpl_semi_sync_" + spelled + "_timeout", "rpl_semi_sync_" + spelled + "_wait_point", "baton.canary"} {
			if !fatal[want] {
				t.Errorf("%s is not found fatal: %v", want, fatal)
			}
		}
		if found, err = n.Preflight(t.Context()); err != nil || len(found) != 0 {
			t.Errorf("after the fixes: %+v, %v", found, err)
		}
		if bin.Family == lab.MySQL {
			n.exec("SET PERSIST_ONLY log_replica_updates = OFF", "RESET PERSIST")
		}
	})
}

func TestPreflightRefusesSeveralSources(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := nodes(t, bin, 2)
		n := all[0]
		second := "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_AUTO_POSITION = 1 FOR CHANNEL 'other'"
		if bin.Family == lab.MariaDB {
			second = "CHANGE MASTER 'other' TO MASTER_HOST = '127.0.0.1', MASTER_USE_GTID = slave_pos"
		}
		n.exec(second)
		found, err := n.Preflight(t.Context())
		n.must(err)
		if len(found) != 1 || !found[0].Fatal || !strings.Contains(found[0].Have, "other") {
			t.Errorf("found %+v", found)
		}
		if err := n.Follow(t.Context(), all[1].source(true)); err == nil {
			t.Error("a server with a channel of somebody else was made to follow")
		}
	})
}

func TestTablesCanBeMadeTwice(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		n := nodes(t, bin, 1)[0]
		n.exec("SET GLOBAL read_only = 0", "DROP DATABASE baton")
		n.exec(mysqld.Tables()...)
		n.exec(mysqld.Tables()...)
		found, err := n.Preflight(t.Context())
		n.must(err)
		if len(found) != 0 {
			t.Errorf("found %+v", found)
		}
	})
}

func TestPreflightAsksForTheRightToEndAWait(t *testing.T) {
	n := nodes(t, labtest.Require(t, lab.MySQL), 1)[0]
	n.exec("SET GLOBAL read_only = 0", "REVOKE SYSTEM_USER ON *.* FROM 'baton'@'localhost'")
	again := opened(t, n.lab)
	found, err := again.Preflight(t.Context())
	n.must(err)
	if len(found) != 1 || found[0].Setting != "SYSTEM_USER" || found[0].Fatal {
		t.Errorf("found %+v", found)
	}
}

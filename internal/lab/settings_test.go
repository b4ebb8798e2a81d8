package lab_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// gtids returns everything a server has executed.
func gtids(t *testing.T, s *lab.Server) string {
	t.Helper()
	if s.Binaries().Family == lab.MySQL {
		return sql(t, s, "SELECT @@global.gtid_executed")
	}
	return strings.TrimSpace(sql(t, s, "SELECT @@global.gtid_binlog_pos, @@global.gtid_slave_pos, @@global.gtid_current_pos"))
}

func TestTemplateHasNoGTIDAndNoBinaryLog(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.New(t, bin, lab.Options{Name: "fresh", IP: labtest.Subnet(t).IP(1), ServerID: 1})
		if err := s.Wipe(); err != nil {
			t.Fatal(err)
		}
		for _, pattern := range []string{"bin*", "*-bin*", "binlog*", "auto.cnf", "*relay*"} {
			if found, _ := filepath.Glob(filepath.Join(s.DataDir(), pattern)); len(found) > 0 {
				t.Errorf("template holds %v", found)
			}
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := gtids(t, s); got != "" {
			t.Errorf("a fresh server has GTIDs %q", got)
		}
		if bin.Family == lab.MySQL {
			if got := sql(t, s, "SELECT COUNT(*) FROM mysql.gtid_executed"); got != "0" {
				t.Errorf("a fresh server has %s rows of GTIDs", got)
			}
		}
		if got, want := sql(t, s, "SHOW TABLES FROM baton"), "canary\nepoch"; got != want {
			t.Errorf("tables of baton = %q, want %q", got, want)
		}
		if got := sql(t, s, "SELECT (SELECT COUNT(*) FROM baton.epoch) + (SELECT COUNT(*) FROM baton.canary)"); got != "0" {
			t.Errorf("baton's tables hold %s rows", got)
		}
	})
}

func TestBootsWithTheSettingsOfProduction(t *testing.T) {
	common := map[string]string{
		"read_only": "1", "sync_binlog": "1", "innodb_flush_log_at_trx_commit": "1", "sync_relay_log": "1",
		"relay_log_recovery": "0", "binlog_format": "ROW", "log_bin": "1", "innodb_doublewrite": "1",
	}
	perFamily := map[lab.Family]map[string]string{
		lab.MySQL: {
			"super_read_only": "1", "gtid_mode": "ON", "enforce_gtid_consistency": "ON", "log_replica_updates": "1",
			"replica_preserve_commit_order": "1", "skip_replica_start": "1", "offline_mode": "0", "performance_schema": "1",
			"rpl_semi_sync_source_enabled": "0", "rpl_semi_sync_replica_enabled": "0",
			"rpl_semi_sync_source_wait_point": "AFTER_SYNC", "rpl_semi_sync_source_wait_no_replica": "1",
			"rpl_semi_sync_source_timeout": "1000000000000",
		},
		lab.MariaDB: {
			"gtid_strict_mode": "1", "gtid_domain_id": "1", "log_slave_updates": "1", "slave_net_timeout": "4",
			"rpl_semi_sync_slave_kill_conn_timeout": "1", "performance_schema": "0",
			"rpl_semi_sync_master_enabled": "0", "rpl_semi_sync_slave_enabled": "0",
			"rpl_semi_sync_master_wait_point": "AFTER_SYNC", "rpl_semi_sync_master_wait_no_slave": "1",
			"rpl_semi_sync_master_timeout": "1000000000000",
		},
	}
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.Start(t, bin, 1)[0]
		want, got := map[string]string{}, map[string]string{}
		for _, settings := range []map[string]string{common, perFamily[bin.Family], {"report_host": s.Addr().Addr().String(), "server_id": "1"}} {
			for name, value := range settings {
				want[name] = value
				got[name] = sql(t, s, "SELECT @@global."+name)
			}
		}
		if got["innodb_doublewrite"] == "ON" { // MySQL, and MariaDB from 11 on
			got["innodb_doublewrite"] = "1"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("settings (-want +got):\n%s", diff)
		}
		if complaints := s.LogTail(100); strings.Contains(complaints, "ERROR") {
			t.Errorf("a fresh server complains:\n%s", complaints)
		}
	})
}

func TestAccountsCanDoTheirWorkAndNoMore(t *testing.T) {
	type statement struct {
		user, sql string
		allowed   bool
	}
	const yes, no = true, false
	common := []statement{
		{"baton", "INSERT INTO baton.canary VALUES ('x', 1) ON DUPLICATE KEY UPDATE n = n + 1", yes},
		{"baton", "INSERT INTO baton.epoch (id, epoch, instance, base) VALUES (1, 1, 'db1', '') ON DUPLICATE KEY UPDATE epoch = 1", yes},
		{"baton", "SELECT * FROM baton.epoch", yes},
		{"baton", "CREATE TABLE IF NOT EXISTS baton.epoch (id INT)", yes},
		{"baton", "SET GLOBAL read_only=ON", yes},
		{"baton", "SET GLOBAL read_only=OFF", yes},
		{"baton", "SHOW PROCESSLIST", yes},
		{"baton", "SELECT * FROM mysql.user", no},
		{"baton", "CREATE USER x@localhost", no},
		{"baton", "DROP TABLE baton.epoch", no},
		{"app", "CREATE TABLE app.mine (id INT PRIMARY KEY)", yes},
		{"app", "INSERT INTO app.mine VALUES (1)", yes},
		{"app", "SET sql_log_bin=0", no},
		{"app", "SELECT * FROM baton.epoch", yes}, {"app", "DELETE FROM baton.epoch", no},
		{"repl", "SELECT * FROM app.mine", no},
		{"admin", "CREATE USER x@localhost", yes},
	}
	perFamily := map[lab.Family][]statement{
		lab.MySQL: {
			{"baton", "SET GLOBAL super_read_only=OFF", yes},
			{"baton", "SET GLOBAL offline_mode=OFF", yes},
			{"baton", "SET GLOBAL rpl_semi_sync_source_enabled=OFF", yes},
			{"baton", "SHOW BINARY LOG STATUS", yes},
			{"baton", "SHOW REPLICA STATUS", yes},
			{"baton", "SHOW REPLICAS", yes},
			{"baton", "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_AUTO_POSITION=1", yes},
			{"baton", "RESET REPLICA ALL", yes},
		},
		lab.MariaDB: {
			{"baton", "SET GLOBAL rpl_semi_sync_master_enabled=OFF", yes},
			{"baton", "SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout=1", yes},
			{"baton", "SHOW BINLOG STATUS", yes},
			{"baton", "SHOW ALL SLAVES STATUS", yes},
			{"baton", "SHOW SLAVE HOSTS", yes},
			{"baton", "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_USE_GTID=slave_pos", yes},
			{"baton", "RESET SLAVE ALL", yes},
			{"baton", "SET sql_log_bin=0", no},
		},
	}
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.Start(t, bin, 1)[0]
		open(t, s)
		for _, st := range append(append([]statement(nil), perFamily[bin.Family]...), common...) {
			out, err := try(t, s, st.user, st.sql)
			if (err == nil) != st.allowed {
				t.Errorf("%s: %s: allowed=%v, want %v: %s", st.user, st.sql, err == nil, st.allowed, out)
			}
		}
	})
}

// follow points a replica at a source and turns semi-sync on between them.
func follow(t *testing.T, source, replica *lab.Server) {
	t.Helper()
	host := source.Addr().Addr().String()
	if source.Binaries().Family == lab.MySQL {
		sql(t, replica, "SET GLOBAL rpl_semi_sync_replica_enabled=ON; CHANGE REPLICATION SOURCE TO SOURCE_HOST='"+host+
			"', SOURCE_USER='repl', SOURCE_PASSWORD='repl', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_HEARTBEAT_PERIOD=0.2; START REPLICA")
		sql(t, source, "SET GLOBAL rpl_semi_sync_source_enabled=ON")
		return
	}
	sql(t, replica, "SET GLOBAL rpl_semi_sync_slave_enabled=ON; CHANGE MASTER TO MASTER_HOST='"+host+
		"', MASTER_USER='repl', MASTER_PASSWORD='repl', MASTER_USE_GTID=slave_pos, MASTER_HEARTBEAT_PERIOD=0.2; START SLAVE")
	sql(t, source, "SET GLOBAL rpl_semi_sync_master_enabled=ON")
}

func TestFreshTrioReplicatesFromAnEmptyPosition(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		began := time.Now()
		trio := labtest.Start(t, bin, 3)
		t.Logf("three servers ready after %v", time.Since(began))
		open(t, trio[0])
		follow(t, trio[0], trio[1])
		follow(t, trio[0], trio[2])
		sql(t, trio[0], "CREATE TABLE app.t (id INT PRIMARY KEY); INSERT INTO app.t VALUES (7)") // waits for an ack for ever
		for _, replica := range trio[1:] {
			until(t, "the row on "+replica.Name(), func() bool {
				out, err := try(t, replica, "app", "SELECT id FROM app.t")
				return err == nil && out == "7"
			})
		}
		if got, want := gtids(t, trio[1]), gtids(t, trio[0]); bin.Family == lab.MySQL && got != want {
			t.Errorf("replica has %s, source %s", got, want)
		}
		if bin.Family == lab.MySQL {
			const heard = "SELECT COUNT_RECEIVED_HEARTBEATS > 0 FROM performance_schema.replication_connection_status"
			until(t, "a heartbeat counted", func() bool { return sql(t, trio[1], heard) == "1" })
			if sql(t, trio[0], "SELECT @@server_uuid") == sql(t, trio[1], "SELECT @@server_uuid") {
				t.Error("two servers with one UUID")
			}
		}
	})
}

package mysqld

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// kinds are the servers that speak differently: what each of them offers.
func kinds() map[string]features {
	modern := row{"rpl_semi_sync_source_enabled": "OFF", "rpl_semi_sync_source_timeout": "1", "rpl_semi_sync_source_wait_point": "AFTER_SYNC",
		"rpl_semi_sync_source_wait_no_replica": "ON", "rpl_semi_sync_source_wait_for_replica_count": "1", "rpl_semi_sync_replica_enabled": "OFF"}
	builtIn := row{"rpl_semi_sync_source_enabled": "OFF", "rpl_semi_sync_source_timeout": "1", "rpl_semi_sync_source_wait_point": "AFTER_SYNC",
		"rpl_semi_sync_source_wait_no_replica": "ON", "rpl_semi_sync_replica_enabled": "OFF"}
	return map[string]features{
		"mysql-8.0-old-plugins": {flavor: MySQL, version: "8.0.25", has: modern, oldWords: true, beats: true},
		"mysql-8.4":             {flavor: MySQL, version: "8.4.0", has: modern, beats: true},
		"mysql-9.7":             {flavor: MySQL, version: "9.7.4", has: modern, beats: true},
		"mysql-9.7-bare":        {flavor: MySQL, version: "9.7.4", has: row{}},
		"mariadb-10.11":         {flavor: MariaDB, version: "10.11.19-MariaDB", has: builtIn, oldWords: true},
	}
}

func TestStatementsOfEveryKindOfServer(t *testing.T) {
	update := os.Getenv("BATON_UPDATE_GOLDEN") == "1"
	for name, f := range kinds() {
		t.Run(name, func(t *testing.T) {
			got := everyStatement(f)
			file := filepath.Join("testdata", name+".golden")
			if update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; BATON_UPDATE_GOLDEN=1 writes it", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
		})
	}
}

func everyStatement(f features) string {
	f.dialect = f.speak()
	plain := Source{Host: "db1", Port: 3306, User: "repl", Password: `it's a "\"`}.withDefaults()
	secured := plain
	secured.CA, secured.Cert, secured.Key = "/ca.pem", "/cert.pem", "/key.pem"
	var b strings.Builder
	for _, line := range [][2]string{
		{"state", f.state}, {"written", f.written}, {"closed", f.closed}, {"replication", f.replication}, {"counters", f.counters}, {"waiters", f.waiters},
		{"stop receiver", textStopReceiver}, {"start applier", textStartApplier}, {"stop both", textStopBoth},
		{"follow first", f.point(plain, setAutoPosition)}, {"follow next", f.point(plain, keepAutoPosition)}, {"follow by TLS", f.point(secured, keepAutoPosition)},
		{"start both", textStartBoth}, {"forget source", textForgetSource}, {"heed", f.heed}, {"ask for 2", f.askFor(2)}, {"stop asking", f.stopAsking},
		{"unlock", f.unlock}, {"mark", textMark}, {"read mark", textAskMark}, {"canary", textCanary}, {"nudge", textNudge},
		{"tighten", strings.Join(tighten(row{"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "2", "sync_relay_log": "10000"}), "; ")},
		{"sync a replica", textSyncLogs + "; " + textSyncEngines}, {"sync a source", textSyncByCommit}, {"who set it", textWhoSet},
		{"close", f.close}, {"open", f.open}, {"sessions", textSessions}, {"self", textSelf},
	} {
		fmt.Fprintf(&b, "%-14s %s\n", line[0], line[1])
	}
	return b.String()
}

func TestVersionsAreComparedByNumber(t *testing.T) {
	for version, want := range map[string]bool{
		"8.0.23": true, "8.0.36-28": true, "8.4.0": true, "9.7.4-2": true, "10.0.0": true,
		"8.0.22": false, "5.7.44-log": false, "8.0": false, "": false, "x.y.z": false,
	} {
		if got := versionAtLeast(version, 8, 0, 23); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestQuoteKeepsALiteralInItsQuotes(t *testing.T) {
	for in, want := range map[string]string{
		"plain": `'plain'`, `it's`: `'it\'s'`, `back\slash`: `'back\\slash'`, "nul\x00line\n": `'nul\0line\n'`, `\'; DROP`: `'\\\'; DROP'`,
	} {
		if got := quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	src := Source{Host: "db1", Port: 3306, User: "repl", Password: "hunter2", HeartbeatPeriod: time.Second}
	failed := hiding{fmt.Errorf("near 'hunter2' at line 1"), src.Password}
	for _, text := range []string{
		fmt.Sprint(src), fmt.Sprintf("%v %+v %#v", src, src, src), fmt.Sprintf("%s %q %x %d", src.Password, src.Password, src.Password, src.Password),
		fmt.Sprintf("%+v", Config{Password: "hunter2"}), failed.Error(), src.Password.LogValue().String(),
	} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") {
			t.Errorf("shown: %s", text)
		}
	}
	if string(src.Password) != "hunter2" {
		t.Error("the secret itself is lost")
	}
}

func TestRepliesOfOldAndNewServersReadAlike(t *testing.T) {
	lag := 3
	want := Replication{SourceHost: "db1", SourcePort: 3306, SourceUser: "repl", Receiver: ReceiverConnecting, Applier: true, ReceiverError: "gone", ReceiverErrorNumber: 2003,
		Heard: "bin.1 7 99 ", LagSeconds: &lag, Delay: 5, autoPosition: true}
	old := row{"Master_Host": "db1", "Master_Port": "3306", "Master_User": "repl", "Slave_IO_Running": "Preparing", "Slave_SQL_Running": "Yes", "Last_IO_Error": "gone",
		"Last_IO_Errno": "2003", "Master_Log_File": "bin.1", "Read_Master_Log_Pos": "7", "Relay_Log_Space": "99", "Seconds_Behind_Master": "3", "SQL_Delay": "5", "Using_Gtid": "Slave_Pos"}
	today := row{"Auto_Position": "1", "Source_Host": "db1", "Source_Port": "3306", "Source_User": "repl", "Replica_IO_Running": "Connecting", "Replica_SQL_Running": "Yes",
		"Last_IO_Error": "gone", "Last_IO_Errno": "2003", "Source_Log_File": "bin.1", "Read_Source_Log_Pos": "7", "Relay_Log_Space": "99", "Seconds_Behind_Source": "3", "SQL_Delay": "5"}
	renamed := row{}
	for name, value := range old {
		renamed[words(name)] = value
	}
	for name, r := range map[string]row{"old": renamed, "today": today} {
		if diff := cmp.Diff(want, replication(r), cmp.AllowUnexported(Replication{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := replication(row{"Seconds_Behind_Source": "", "Source_Port": "x"}); got.LagSeconds != nil || got.SourcePort != 0 {
		t.Errorf("a reply full of holes: %+v", got)
	}
}

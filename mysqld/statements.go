package mysqld

import (
	"fmt"
	"strconv"
	"strings"
)

// dialect is every text that is not the same for all servers. testdata holds them for each kind of server.
type dialect struct {
	state       string // one row: who and where the server is
	written     string // of that row, what is committed: it is asked in an outage, beside threads that stop and start
	closed      string // of that row, whether writes are refused and whether commits wait
	replication string // one row per channel, none for a server that follows nobody
	counters    string // semi-sync counters
	waiters     string // one of them: commits that wait
	close       string // a bounded refusal of writes; MariaDB's has a %s for the bound in seconds
	open        string
	unlock      string // lets baton alone write on a server that is closed; empty where nothing is needed
	heed        string // the semi-sync replica side, with a %d
	stopAsking  string // the semi-sync source side off
}

// The texts that all servers since MySQL 8.0.23 and MariaDB 10.5 understand.
const (
	textStopReceiver = "STOP REPLICA IO_THREAD"
	textStartApplier = "START REPLICA SQL_THREAD"
	textStopBoth     = "STOP REPLICA"
	textStartBoth    = "START REPLICA"
	textForgetSource = "RESET REPLICA ALL"
	textSessions     = "SHOW PROCESSLIST"
	textWaiting      = "SELECT QUERY_ID AS id FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for semi-sync ACK%'"            // MariaDB
	textThreads      = "SELECT ID AS id, COMMAND AS command FROM information_schema.PROCESSLIST WHERE COMMAND IN ('Slave_IO', 'Slave_SQL')" // MariaDB
	textSelf         = "SELECT CONNECTION_ID() AS id"

	textAskMark = "SELECT epoch, instance FROM baton.epoch WHERE id = 1"
	textMark    = "INSERT INTO baton.epoch (id, epoch, instance, base) VALUES (1, ?, ?, ?) ON DUPLICATE KEY UPDATE " +
		"epoch = VALUES(epoch), instance = VALUES(instance), base = VALUES(base), at = GREATEST(CURRENT_TIMESTAMP(6), at + INTERVAL 1 MICROSECOND)"

	// A canary never writes on a server that is closed, also when it was sent before the server was closed: baton's
	// account may write under read_only, and that row would be a transaction nobody else has.
	textCanary = "INSERT INTO baton.canary (instance, n) SELECT ?, 1 FROM DUAL WHERE @@GLOBAL.read_only = 0 ON DUPLICATE KEY UPDATE n = n + 1"
	// A nudge does: it is sent only beside a marker.
	textNudge = "INSERT INTO baton.canary (instance, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = n + 1"
)

func (f *features) speak() dialect {
	d := dialect{
		counters: `SHOW GLOBAL STATUS LIKE 'Rpl\_semi\_sync%'`,
		waiters:  `SHOW GLOBAL STATUS LIKE '` + strings.ReplaceAll(f.spelled("Rpl_semi_sync_source_wait_sessions"), "_", `\_`) + `'`,
	}
	if f.flavor == MySQL {
		// It computes every status variable there is to show a few: asked by name it takes a third of the time (measured
		// on 9.7.4), and the answer is the same with performance_schema = OFF.
		d.counters, d.waiters = f.statusOf("source_status", "source_clients", "source_wait_sessions", "source_no_tx", "replica_status"), f.statusOf("source_wait_sessions")
	}
	columns := []string{"@@GLOBAL.read_only AS read_only", "@@GLOBAL.server_id AS server_id"}
	committed := "@@GLOBAL.gtid_executed AS executed"
	if f.flavor == MySQL {
		d.replication = "SHOW REPLICA STATUS"
		d.close, d.open, d.unlock = "SET GLOBAL super_read_only = ON", "SET GLOBAL read_only = OFF, GLOBAL offline_mode = OFF", "SET GLOBAL super_read_only = OFF"
		columns = append(columns, "@@GLOBAL.server_uuid AS uuid", "@@GLOBAL.offline_mode AS offline", committed)
		if f.beats {
			columns = append(columns, "(SELECT CONCAT_WS(' ', COUNT_RECEIVED_HEARTBEATS, LAST_HEARTBEAT_TIMESTAMP) FROM performance_schema.replication_connection_status LIMIT 1) AS beats")
		}
	} else {
		d.replication = "SHOW ALL REPLICAS STATUS"
		d.close, d.open = "SET STATEMENT max_statement_time = %s FOR SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF"
		committed = "@@GLOBAL.gtid_binlog_state AS executed, @@GLOBAL.gtid_slave_pos AS applied"
		columns = append(columns, committed)
	}
	for _, name := range []string{"source_enabled", "source_timeout", "source_wait_point", "source_wait_no_replica", "source_wait_for_replica_count", "replica_enabled"} {
		if name = "rpl_semi_sync_" + name; f.offers(name) {
			columns = append(columns, "@@GLOBAL."+f.spelled(name)+" AS "+name)
		}
	}
	for _, name := range lasting() {
		columns = append(columns, "@@GLOBAL."+name+" AS "+name)
	}
	d.closed = "SELECT @@GLOBAL.read_only AS read_only"
	d.state, d.written = "SELECT "+strings.Join(columns, ", "), "SELECT "+committed
	if f.offers("rpl_semi_sync_replica_enabled") {
		d.heed = "SET GLOBAL " + f.spelled("rpl_semi_sync_replica_enabled") + " = %d"
	}
	if f.offers("rpl_semi_sync_source_enabled") {
		d.stopAsking = "SET GLOBAL " + f.spelled("rpl_semi_sync_source_enabled") + " = OFF"
		d.closed += ", @@GLOBAL." + f.spelled("rpl_semi_sync_source_enabled") + " AS rpl_semi_sync_source_enabled"
	}
	return d
}

// statusOf asks MySQL for status variables of semi-sync by name.
func (f *features) statusOf(names ...string) string {
	for i, name := range names {
		names[i] = quote(f.spelled("Rpl_semi_sync_" + name))
	}
	return "SELECT VARIABLE_NAME AS Variable_name, VARIABLE_VALUE AS Value FROM performance_schema.global_status WHERE VARIABLE_NAME IN (" +
		strings.Join(names, ", ") + ")"
}

// never is a semi-sync timeout in milliseconds that does not end: 49.7 days, the most that every documented version takes.
const never = 4294967295

// askFor makes the server wait for k acknowledgements before it answers a commit, for ever.
func (f *features) askFor(k int) string {
	set := []string{"wait_point = AFTER_SYNC", "wait_no_replica = ON", "timeout = " + strconv.Itoa(never)}
	if f.offers("rpl_semi_sync_source_wait_for_replica_count") {
		set = append(set, "wait_for_replica_count = "+strconv.Itoa(k))
	}
	set = append(set, "enabled = ON")
	for i, s := range set {
		set[i] = "GLOBAL " + f.spelled("rpl_semi_sync_source_"+s)
	}
	return "SET " + strings.Join(set, ", ")
}

// point is the statement that names the source. On MySQL the position is left as it is unless auto is asked for: asking
// needs a stopped applier, and a stopped applier loses its relay log here.
func (f *features) point(src Source, auto autoPosition) string {
	set := []string{
		"HOST=" + quote(src.Host), "PORT=" + strconv.Itoa(int(src.Port)),
		"USER=" + quote(src.User), "PASSWORD=" + quote(string(src.Password)),
		fmt.Sprintf("HEARTBEAT_PERIOD=%.3f", src.HeartbeatPeriod.Seconds()),
		fmt.Sprintf("CONNECT_RETRY=%d", max(1, int(src.ConnectRetry.Seconds()))),
	}
	if src.CA != "" {
		set = append(set, "SSL=1", "SSL_CA="+quote(src.CA))
	}
	if src.Cert != "" {
		set = append(set, "SSL_CERT="+quote(src.Cert), "SSL_KEY="+quote(src.Key))
	}
	if f.flavor == MariaDB {
		return "CHANGE MASTER TO MASTER_" + strings.Join(append(set, "USE_GTID=slave_pos"), ", MASTER_")
	}
	set = append(set, fmt.Sprintf("RETRY_COUNT=%d", retries))
	if auto == setAutoPosition {
		set = append(set, "AUTO_POSITION=1")
	}
	text := "CHANGE REPLICATION SOURCE TO SOURCE_" + strings.Join(set, ", SOURCE_")
	if src.CA == "" {
		text += ", GET_SOURCE_PUBLIC_KEY=1"
	}
	return text
}

// autoPosition says whether a CHANGE on MySQL turns GTID positioning on.
type autoPosition string

const (
	keepAutoPosition autoPosition = "keep"
	setAutoPosition  autoPosition = "set"
)

// retries is how often MySQL dials a source before it gives up; its own default, 10, is ten seconds here.
const retries = 86400

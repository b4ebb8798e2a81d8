package mysqld

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Finding is a setting that is not as lossless durability needs it.
type Finding struct {
	Code    string
	Setting string
	Have    string
	Want    string
	Why     string
	Fix     string // a statement, or a line for the server's configuration
	Fatal   bool   // an acknowledged write could be lost
}

// requirement is one setting and why it must be so.
type requirement struct {
	code, name, want, why string
	fatal                 bool
	boot                  bool // cannot be changed while the server runs
}

// requirements of a family; where a name differs between versions, the dialect knows it.
func requirements(d *dialect) []requirement {
	both := []requirement{
		{"BT-3201", "sync_binlog", "1", "a crash could forget acknowledged transactions", true, false},
		{"BT-3202", "innodb_flush_log_at_trx_commit", "1", "a crash could forget acknowledged transactions", true, false},
		{"BT-3203", "binlog_format", "ROW", "statements may give other results on a replica", true, false},
		{"BT-3204", "log_bin", "ON", "nothing can be replicated without it", true, true},
		{"BT-3205", "sync_relay_log", "1", "a replica could forget what it has acknowledged", true, false},
	}
	if d.flavor == MariaDB {
		return append(both,
			requirement{"BT-3207", "log_slave_updates", "ON", "a replica could not become primary", true, true},
			requirement{"BT-3208", "gtid_strict_mode", "ON", "divergent histories would go unnoticed", true, false},
			requirement{"BT-3209", "rpl_semi_sync_slave_kill_conn_timeout", "1", "stopping a receiver whose source is frozen takes this long", false, false})
	}
	return append(both,
		requirement{"BT-3207", "log_replica_updates", "ON", "a replica could not become primary", true, true},
		requirement{"BT-3210", "gtid_mode", "ON", "positions could not be compared", true, false},
		requirement{"BT-3211", "enforce_gtid_consistency", "ON", "gtid_mode needs it", true, false},
		requirement{"BT-3212", "relay_log_recovery", "OFF", "a restart would drop what was acknowledged and not yet applied", true, true},
		requirement{"BT-3213", "replica_preserve_commit_order", "ON", "a replica could show a history that never was", true, false})
}

// Preflight looks at every setting that lossless durability rests on and returns what is wrong, each with the fix.
func (s *Server) Preflight(ctx context.Context) ([]Finding, error) {
	d, err := s.words(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := table(ctx, s.rescue, "SHOW GLOBAL VARIABLES")
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", explain(err))
	}
	have := map[string]string{}
	for _, r := range rows {
		have[strings.ToLower(r["Variable_name"])] = r["Value"]
	}
	var found []Finding
	for _, r := range requirements(d) {
		if is, ok := have[r.name]; !ok || !same(is, r.want) {
			found = append(found, Finding{Code: r.code, Setting: r.name, Have: is, Want: r.want, Why: r.why, Fix: r.fix(d), Fatal: r.fatal})
		}
	}
	if err := d.hasSemiSync(); err != nil {
		found = append(found, Finding{Code: "BT-3206", Setting: "semi-sync", Have: "not loaded", Want: "loaded", Why: "commits could not wait for replicas",
			Fix: "plugin-load-add = semisync_source.so;semisync_replica.so in the server's configuration", Fatal: true})
	}
	return append(found, s.missingTables(ctx)...), nil
}

// fix is how the setting is mended: MySQL can remember a SET, MariaDB needs its configuration file.
func (r requirement) fix(d *dialect) string {
	switch {
	case r.boot:
		return r.name + " = " + r.want + " in the server's configuration, then restart it"
	case d.flavor == MySQL:
		return "SET PERSIST " + r.name + " = " + r.want
	}
	return "SET GLOBAL " + r.name + " = " + r.want + ", and the same in the server's configuration"
}

// same compares values the way the server means them.
func same(have, want string) bool {
	if strings.EqualFold(have, want) {
		return true
	}
	a, errA := strconv.ParseFloat(have, 64)
	b, errB := strconv.ParseFloat(want, 64)
	if errA == nil && errB == nil {
		return a == b
	}
	on := map[string]string{"1": "ON", "0": "OFF"}
	return on[have] == want || have == on[want]
}

// missingTables looks for the two small tables that baton writes.
func (s *Server) missingTables(ctx context.Context) []Finding {
	tables := map[string]string{
		"epoch":  "CREATE TABLE baton.epoch (id TINYINT PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, instance VARCHAR(64) NOT NULL, base LONGTEXT NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB",
		"canary": "CREATE TABLE baton.canary (instance VARCHAR(64) PRIMARY KEY, n BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
	}
	var found []Finding
	for _, name := range []string{"canary", "epoch"} {
		if _, err := table(ctx, s.rescue, "SELECT 1 FROM baton."+name+" LIMIT 1"); err != nil {
			found = append(found, Finding{Code: "BT-3220", Setting: "table baton." + name, Have: err.Error(), Want: "readable by baton's account",
				Why: "baton writes its marker and its canary there", Fix: "on the primary, before semi-sync is on: CREATE DATABASE IF NOT EXISTS baton; " + tables[name], Fatal: true})
		}
	}
	return found
}

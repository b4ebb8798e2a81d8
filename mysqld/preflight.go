package mysqld

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Finding is one thing about a server that does not fit the promises, and the way out.
type Finding struct {
	// Code is the number under which docs explain it, "BT-32xx".
	Code    string
	Setting string // what it is about: a setting, a table
	Have    string
	Want    string
	Why     string
	Fix     string // a statement for an administrator, or lines for the server's configuration file
	// Fatal says that acknowledged transactions can be lost, or a second writer come up, while it is so.
	Fatal bool
	// Volatile says that what this server has acknowledged or committed may be gone, or not be sent on, after it was started again.
	Volatile bool
}

// severity is how bad a wrong setting is.
type severity string

const (
	loses    severity = "loses"    // the promises do not hold
	forgets  severity = "forgets"  // as well, and the server counts for little: Finding.Volatile
	hinders  severity = "hinders"  // failover is slower or blinder than it should be
	optional severity = "optional" // hinders, and only where the server has the setting
)

// rule is one required setting, under today's name.
type rule struct {
	code    string
	setting string
	want    string // a value, or ">=N" or "<=N"
	bad     severity
	static  bool // it needs a restart of the server
	why     string
}

// rules are the settings that every server needs, and those of each family.
func rules(flavor Flavor) []rule {
	common := []rule{
		{"BT-3204", "log_bin", "ON", forgets, true, "commits must be in the binary log to reach a replica"},
		{"BT-3203", "binlog_format", "ROW", loses, false, "replicas must apply rows, not repeat statements"},
		{"BT-3201", "sync_binlog", "1", forgets, false, "a commit must survive a crash of the machine"},
		{"BT-3202", "innodb_flush_log_at_trx_commit", "1", forgets, false, "a commit must survive a crash of the machine"},
		{"BT-3205", "sync_relay_log", "1", forgets, false, "what a replica acknowledges must survive a crash of its machine"},
		{"BT-3214", "rpl_semi_sync_source_wait_point", "AFTER_SYNC", loses, false, "a row must not be seen before it is acknowledged"},
		{"BT-3215", "rpl_semi_sync_source_timeout", ">=" + strconv.Itoa(never), loses, false, "a commit must wait for its acknowledgements and not go on without"},
		{"BT-3216", "rpl_semi_sync_source_wait_no_replica", "ON", loses, false, "a commit must wait also while no replica is connected"},
	}
	if flavor == MariaDB {
		return append(common,
			rule{"BT-3207", "log_slave_updates", "ON", forgets, true, "a replica must have in its binary log what it will send as primary"},
			rule{"BT-3208", "gtid_strict_mode", "ON", loses, false, "a divergence must stop replication instead of passing unseen"},
			rule{"BT-3218", "slave_net_timeout", "<=4", hinders, false, "a receiver must notice a silent source soon"},
			rule{"BT-3209", "rpl_semi_sync_replica_kill_conn_timeout", "1", hinders, false, "stopping a receiver whose source hangs takes this long and more"})
	}
	return append(common,
		rule{"BT-3210", "gtid_mode", "ON", loses, false, "positions are GTID sets"},
		rule{"BT-3211", "enforce_gtid_consistency", "ON", loses, false, "every transaction must have one GTID"},
		rule{"BT-3207", "log_replica_updates", "ON", forgets, true, "a replica must have in its binary log what it will send as primary"},
		rule{"BT-3212", "relay_log_recovery", "OFF", forgets, true, "a restart must not throw away what a replica has acknowledged"},
		rule{"BT-3213", "replica_preserve_commit_order", "ON", loses, false, "a replica must not commit a later transaction before an earlier one"},
		rule{"BT-3217", "skip_replica_start", "ON", loses, true, "a server that restarts must not acknowledge for a primary that was replaced"},
		rule{"BT-3219", "performance_schema", "ON", hinders, true, "heartbeats are not counted without it"},
		rule{"BT-3224", "create_admin_listener_thread", "ON", optional, true, "administrators must get in while connections are exhausted"})
}

// Preflight compares the server with what the promises rest on. skip-slave-start of MariaDB is no variable and cannot be
// seen. It also looks for baton's tables, for tables that are not
// transactional and for replication that is not as baton makes it. It may take longer than the other calls on a server
// with very many tables.
func (s *Server) Preflight(ctx context.Context) ([]Finding, error) {
	var out []Finding
	s.forget()
	err := s.on(ctx, s.side, "preflight", func(ctx context.Context, c *session) error {
		have, err := c.settings(ctx, "SHOW GLOBAL VARIABLES")
		if err != nil {
			return err
		}
		for _, r := range rules(c.flavor) {
			out = append(out, r.check(c.features, have)...)
		}
		out = append(out, c.missingParts()...)
		for _, look := range []func(context.Context) ([]Finding, error){c.ownTables, c.engines, c.channels, c.rights} {
			found, err := look(ctx)
			if err != nil {
				return err
			}
			out = append(out, found...)
		}
		return nil
	})
	if err == nil && s.marker.Stats().OpenConnections == 0 {
		// The first marker is written while everybody waits: its connection is there before.
		if err := s.marker.PingContext(ctx); err != nil {
			s.cfg.Logger.Debug("connect for markers", "err", err)
		}
	}
	return out, err
}

func (r rule) check(f *features, have row) []Finding {
	value, ok := have[words(r.setting)]
	if !ok && (r.bad == optional || strings.HasPrefix(r.setting, "rpl_semi_sync")) {
		return nil // missingParts speaks of absent semi-sync once
	}
	if ok && r.met(value) {
		return nil
	}
	return []Finding{{Code: r.code, Setting: f.spelledIn(r.setting), Have: value, Want: r.want, Why: r.why, Fix: r.fix(f),
		Fatal: r.bad == loses || r.bad == forgets, Volatile: r.bad == forgets}}
}

// spelledIn is the server's own name of any setting.
func (f *features) spelledIn(setting string) string {
	if strings.HasPrefix(setting, "rpl_semi_sync") {
		return f.spelled(setting)
	}
	return setting
}

func (r rule) met(value string) bool {
	for prefix, fits := range map[string]func(have, want uint64) bool{
		">=": func(have, want uint64) bool { return have >= want },
		"<=": func(have, want uint64) bool { return have <= want },
	} {
		if limit, ok := strings.CutPrefix(r.want, prefix); ok {
			have, err := strconv.ParseUint(value, 10, 64)
			want, bad := strconv.ParseUint(limit, 10, 64)
			return err == nil && bad == nil && fits(have, want)
		}
	}
	return strings.EqualFold(value, r.want) || row{"": value}.on("") && r.want == "ON"
}

// fix is a statement that persists on MySQL; MariaDB keeps settings only in its configuration file.
func (r rule) fix(f *features) string {
	name, value := f.spelledIn(r.setting), strings.TrimLeft(r.want, "<>=")
	line := "[mysqld]\n" + name + " = " + value
	switch {
	case r.static && f.flavor == MySQL && r.setting != "log_bin" && r.setting != "performance_schema":
		return fmt.Sprintf("SET PERSIST_ONLY %s = %s; then restart the server", name, value)
	case r.static:
		return line + "\nthen restart the server"
	case f.flavor == MySQL && r.setting == "gtid_mode":
		return "SET PERSIST enforce_gtid_consistency = ON; then gtid_mode = OFF_PERMISSIVE, ON_PERMISSIVE and ON, one after the other, on every server"
	case f.flavor == MySQL:
		return fmt.Sprintf("SET PERSIST %s = %s", name, value)
	}
	return fmt.Sprintf("SET GLOBAL %s = %s; and in a configuration file:\n%s", name, value, line)
}

// missingParts are plugins and grants whose absence hides something from baton.
func (c *session) missingParts() []Finding {
	var out []Finding
	for side, library := range map[string]string{"source": "semisync_source.so", "replica": "semisync_replica.so"} {
		if !c.offers("rpl_semi_sync_" + side + "_enabled") {
			out = append(out, Finding{Code: "BT-3206", Setting: "rpl_semi_sync_" + side, Have: "not installed", Want: "installed", Fatal: true,
				Why: "without semi-sync nothing that is acknowledged is safe", Fix: fmt.Sprintf("INSTALL PLUGIN rpl_semi_sync_%s SONAME '%s'", side, library)})
		}
	}
	if c.flavor == MySQL && !c.beats && c.has.on("performance_schema") {
		out = append(out, Finding{Code: "BT-3221", Setting: "performance_schema.replication_connection_status", Have: "not readable", Want: "readable",
			Why: "a silent source is told from an idle one by its heartbeats", Fix: "GRANT SELECT ON performance_schema.replication_connection_status TO baton's account"})
	}
	return out
}

// Tables are the statements that make what baton writes into a server, in the schema baton.
func Tables() []string {
	return []string{
		"CREATE DATABASE IF NOT EXISTS baton",
		"CREATE TABLE IF NOT EXISTS baton.epoch (id TINYINT PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, instance VARCHAR(64) NOT NULL, " +
			"base LONGTEXT NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB",
		"CREATE TABLE IF NOT EXISTS baton.canary (instance VARCHAR(64) PRIMARY KEY, n BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
	}
}

func (c *session) ownTables(ctx context.Context) ([]Finding, error) {
	all, err := c.rows(ctx, "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'baton' AND TABLE_NAME IN ('epoch', 'canary') AND ENGINE = 'InnoDB'")
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, r := range all {
		there[r["name"]] = true
	}
	var out []Finding
	for _, name := range []string{"epoch", "canary"} {
		if !there[name] {
			out = append(out, Finding{Code: "BT-3220", Setting: "baton." + name, Have: "absent, or not to be seen by baton's account", Want: "an InnoDB table", Fatal: true,
				Why: "baton proves with it that commits are acknowledged", Fix: strings.Join(Tables(), ";\n") + ";"})
		}
	}
	return out, nil
}

// engines warns of tables that semi-sync cannot protect. It sees what baton's account may see.
func (c *session) engines(ctx context.Context) ([]Finding, error) {
	all, err := c.rows(ctx, "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS name, ENGINE AS engine FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' "+
		"AND ENGINE <> 'InnoDB' AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') LIMIT 100")
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, r := range all {
		out = append(out, Finding{Code: "BT-3222", Setting: r["name"], Have: r["engine"], Want: "InnoDB",
			Why: "a table without transactions can be changed without being acknowledged", Fix: "ALTER TABLE " + r["name"] + " ENGINE = InnoDB"})
	}
	return out, nil
}

// channels warns of replication that baton does not touch.
func (c *session) channels(ctx context.Context) ([]Finding, error) {
	rep, _, err := c.follows(ctx)
	if err != nil || rep == nil || rep.Channels == 1 && rep.channel == "" {
		return nil, err
	}
	return []Finding{{Code: "BT-3223", Setting: "replication channels", Have: fmt.Sprintf("%d, the first is %q", rep.Channels, rep.channel), Want: "one without a name",
		Why: "a server that follows several sources has no one primary", Fix: "reset the others", Fatal: true}}, nil
}

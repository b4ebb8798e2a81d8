package mysqld

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// dialect is how this very server spells what baton says. It is found out by what the server offers, not by its version:
// the names of semi-sync depend on which plug-in is loaded.
type dialect struct {
	flavor  Flavor
	version string
	// source and replica are the prefixes of the semi-sync variables; empty where the plug-in is missing.
	source, replica string

	status   string // replica status, one row per channel
	stopIO   string
	startIO  string
	startSQL string
	stop     string
	start    string
	reset    string
}

// detect asks a server what it is.
func detect(ctx context.Context, db *sql.DB) (*dialect, error) {
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return nil, explain(err)
	}
	offered := map[string]bool{}
	rows, err := db.QueryContext(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name LIKE 'rpl_semi_sync%enabled' OR Variable_name IN ('gtid_domain_id', 'super_read_only')")
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = rows.Close() }() // Err is checked
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		offered[strings.ToLower(name)] = true
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return newDialect(version, offered)
}

// newDialect chooses the words for a server that offers these variables.
func newDialect(version string, offered map[string]bool) (*dialect, error) {
	d := &dialect{version: version}
	switch {
	case offered["gtid_domain_id"]:
		d.mariaDB()
	case offered["super_read_only"]:
		d.mySQL()
	default:
		return nil, fmt.Errorf("version %q is neither a MySQL nor a MariaDB that baton knows", version)
	}
	for _, name := range []string{"rpl_semi_sync_source", "rpl_semi_sync_master"} {
		if offered[name+"_enabled"] {
			d.source = name
			break
		}
	}
	for _, name := range []string{"rpl_semi_sync_replica", "rpl_semi_sync_slave"} {
		if offered[name+"_enabled"] {
			d.replica = name
			break
		}
	}
	return d, nil
}

func (d *dialect) mySQL() {
	d.flavor = MySQL
	d.status = "SHOW REPLICA STATUS"
	d.stopIO, d.startIO, d.startSQL = "STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD", "START REPLICA SQL_THREAD"
	d.stop, d.start, d.reset = "STOP REPLICA", "START REPLICA", "RESET REPLICA ALL"
}

func (d *dialect) mariaDB() {
	d.flavor = MariaDB
	d.status = "SHOW ALL SLAVES STATUS"
	d.stopIO, d.startIO, d.startSQL = "STOP SLAVE IO_THREAD", "START SLAVE IO_THREAD", "START SLAVE SQL_THREAD"
	d.stop, d.start, d.reset = "STOP SLAVE", "START SLAVE", "RESET SLAVE ALL"
}

// hasSemiSync reports whether both sides of semi-sync are there.
func (d *dialect) hasSemiSync() error {
	if d.source == "" || d.replica == "" {
		return fmt.Errorf("semi-sync is not loaded. Way out: plugin-load-add=semisync_source.so;semisync_replica.so in the server's configuration")
	}
	return nil
}

// waitPoint, waitNone, ackCount and timeout are the names of the source side's settings.
func (d *dialect) waitPoint() string { return d.source + "_wait_point" }
func (d *dialect) timeout() string   { return d.source + "_timeout" }

func (d *dialect) waitNone() string {
	if strings.HasSuffix(d.source, "master") {
		return d.source + "_wait_no_slave"
	}
	return d.source + "_wait_no_replica"
}

// ackCount is empty on MariaDB, where one acknowledgement is all there is.
func (d *dialect) ackCount() string {
	switch {
	case d.flavor == MariaDB:
		return ""
	case strings.HasSuffix(d.source, "master"):
		return d.source + "_wait_for_slave_count"
	}
	return d.source + "_wait_for_replica_count"
}

package mysqld

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// ReceiverState is what the thread does that receives from the source.
type ReceiverState string

// The states of a receiver. A connecting one is not stopped: it may be connected the next moment.
const (
	ReceiverStopped    ReceiverState = "stopped"
	ReceiverConnecting ReceiverState = "connecting"
	ReceiverRunning    ReceiverState = "running"
)

// Status is what a server says of itself in one round.
type Status struct {
	Flavor   Flavor
	Version  string
	UUID     string // server_uuid; empty on MariaDB, which tells servers apart by ServerID
	ServerID uint32
	// ReadOnly says that accounts of applications cannot write. What it says while a SET that closes the server is
	// under way means nothing: only the statement's return does.
	ReadOnly bool
	Offline  bool // MySQL: offline_mode
	// Executed is what has been committed here, Received what has arrived from a source, applied or not. On MariaDB
	// both include gtid_binlog_state.
	Executed, Received GTIDSet
	Replication        *Replication // nil when the server is not set up as a replica
	SemiSync           SemiSync
}

// Position is everything this server holds: received or executed.
func (st Status) Position() GTIDSet { return st.Executed.Union(st.Received) }

// Replication is how a server follows its source.
type Replication struct {
	SourceHost    string
	SourcePort    uint16
	Receiver      ReceiverState
	Applier       bool
	ReceiverError string
	ApplierError  string
	Channels      int // more than one: several sources
	// Heard changes with every event or heartbeat that arrives.
	Heard string
	// LagSeconds is the server's own estimate, nil when it has none. Never used for safety.
	LagSeconds *int
	Delay      int // seconds by which the applier is held back on purpose
}

// SemiSync is the state of semi-synchronous replication.
type SemiSync struct {
	SourceEnabled, ReplicaEnabled bool
	K                             int // acknowledgements the source waits for
}

// Status asks the server. It is cheap enough to be asked ten times a second.
func (s *Server) Status(ctx context.Context) (Status, error) {
	d, err := s.words(ctx)
	if err != nil {
		return Status{}, err
	}
	st, err := status(ctx, s.probe, d)
	if err != nil {
		s.forget()
		return Status{}, fmt.Errorf("read status: %w", explain(err))
	}
	return st, nil
}

func status(ctx context.Context, db *sql.DB, d *dialect) (Status, error) {
	st := Status{Flavor: d.flavor, Version: d.version}
	read := st.readMySQL
	if d.flavor == MariaDB {
		read = st.readMariaDB
	}
	if err := read(ctx, db, d); err != nil {
		return st, err
	}
	channels, err := table(ctx, db, d.status)
	if err != nil {
		return st, err
	}
	if len(channels) > 0 {
		if err := st.readReplication(channels, d); err != nil {
			return st, err
		}
	}
	if d.flavor == MySQL && st.Replication != nil {
		heard, err := table(ctx, db, "SELECT COUNT_RECEIVED_HEARTBEATS, LAST_HEARTBEAT_TIMESTAMP FROM performance_schema.replication_connection_status")
		if err != nil {
			return st, err
		}
		for _, h := range heard {
			st.Replication.Heard += " " + h["COUNT_RECEIVED_HEARTBEATS"] + " " + h["LAST_HEARTBEAT_TIMESTAMP"]
		}
	}
	return st, nil
}

// semiSyncColumns selects the switches of semi-sync, or their absence.
func semiSyncColumns(d *dialect) string {
	columns := "0, 0"
	if d.hasSemiSync() == nil {
		columns = "@@global." + d.source + "_enabled, @@global." + d.replica + "_enabled"
	}
	if k := d.ackCount(); k != "" && d.source != "" {
		return columns + ", @@global." + k
	}
	return columns + ", 1"
}

func (st *Status) readMySQL(ctx context.Context, db *sql.DB, d *dialect) error {
	var super, read bool
	var executed string
	row := db.QueryRowContext(ctx, "SELECT @@server_uuid, @@server_id, @@global.super_read_only, @@global.read_only, @@global.offline_mode, @@global.gtid_executed, "+semiSyncColumns(d))
	if err := row.Scan(&st.UUID, &st.ServerID, &super, &read, &st.Offline, &executed,
		&st.SemiSync.SourceEnabled, &st.SemiSync.ReplicaEnabled, &st.SemiSync.K); err != nil {
		return err
	}
	st.ReadOnly = super || read
	var err error
	st.Executed, err = ParseGTIDSet(MySQL, executed)
	return err
}

func (st *Status) readMariaDB(ctx context.Context, db *sql.DB, d *dialect) error {
	var state, applied string
	row := db.QueryRowContext(ctx, "SELECT @@server_id, @@global.read_only, @@global.gtid_binlog_state, @@global.gtid_slave_pos, "+semiSyncColumns(d))
	if err := row.Scan(&st.ServerID, &st.ReadOnly, &state, &applied,
		&st.SemiSync.SourceEnabled, &st.SemiSync.ReplicaEnabled, &st.SemiSync.K); err != nil {
		return err
	}
	own, err := ParseGTIDSet(MariaDB, state)
	if err != nil {
		return err
	}
	followed, err := ParseGTIDSet(MariaDB, applied)
	if err != nil {
		return err
	}
	st.Executed = own.Union(followed)
	st.Received = st.Executed
	return nil
}

// readReplication reads by name: columns come and go between versions, and are called two ways.
func (st *Status) readReplication(channels []map[string]string, d *dialect) error {
	c := channels[0]
	get := func(names ...string) string {
		for _, n := range names {
			if v, ok := c[n]; ok {
				return v
			}
		}
		return ""
	}
	r := &Replication{
		SourceHost:    get("Source_Host", "Master_Host"),
		Receiver:      receiver(get("Replica_IO_Running", "Slave_IO_Running")),
		Applier:       get("Replica_SQL_Running", "Slave_SQL_Running") == "Yes",
		ReceiverError: get("Last_IO_Error"),
		ApplierError:  get("Last_SQL_Error"),
		Channels:      len(channels),
	}
	if r.SourceHost == "" {
		return nil // never set up, or RESET
	}
	port, err := strconv.ParseUint(get("Source_Port", "Master_Port"), 10, 16)
	if err != nil {
		return fmt.Errorf("port of the source: %w", err)
	}
	r.SourcePort = uint16(port)
	if lag, err := strconv.Atoi(get("Seconds_Behind_Source", "Seconds_Behind_Master")); err == nil {
		r.LagSeconds = &lag
	}
	r.Delay, _ = strconv.Atoi(get("SQL_Delay")) // absent: none
	r.Heard = strings.Join([]string{get("Source_Log_File", "Master_Log_File"), get("Read_Source_Log_Pos", "Read_Master_Log_Pos"),
		get("Slave_received_heartbeats"), get("Retrieved_Gtid_Set", "Gtid_IO_Pos")}, " ")
	received, err := ParseGTIDSet(d.flavor, get("Retrieved_Gtid_Set", "Gtid_IO_Pos"))
	if err != nil {
		return fmt.Errorf("received set: %w", err)
	}
	st.Received = st.Received.Union(received)
	st.Replication = r
	return nil
}

func receiver(running string) ReceiverState {
	switch running {
	case "Yes":
		return ReceiverRunning
	case "No":
		return ReceiverStopped
	}
	return ReceiverConnecting
}

// table reads all rows of a query as text by column name; NULL is the empty text.
func table(ctx context.Context, db *sql.DB, query string) ([]map[string]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err is checked
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []map[string]string
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make(map[string]string, len(names))
		for i, n := range names {
			row[n] = values[i].String
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

package mysqld

import (
	"context"
	"errors"
	"fmt"
)

// lasting are the settings by which what a server has committed or received survives a loss of power. Each must be 1, and each
// can be set while the server runs.
func lasting() []string {
	return []string{"sync_binlog", "innodb_flush_log_at_trx_commit", "sync_relay_log"}
}

// loosened names those of the settings in r that are not as they must be, as "sync_binlog = 0".
func loosened(r row) (all []string) {
	for _, name := range lasting() {
		if value, ok := r[name]; ok && value != "1" {
			all = append(all, name+" = "+value)
		}
	}
	return all
}

// The statements that make what was committed durable while it was not by itself. A commit is, with all before it; a server on
// which commits wait for acknowledgements cannot close its binary log before these have come.
const (
	textSyncByCommit = "INSERT INTO baton.canary (instance, n) SELECT 'settings', 1 FROM DUAL WHERE @@GLOBAL.read_only = 0 ON DUPLICATE KEY UPDATE n = n + 1"
	textSyncLogs     = "FLUSH NO_WRITE_TO_BINLOG BINARY LOGS"
	textSyncEngines  = "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS"
	textWhoSet       = "SELECT VARIABLE_NAME AS name, SET_USER AS user, SET_HOST AS host, SET_TIME AS at FROM performance_schema.variables_info " +
		"WHERE VARIABLE_NAME IN ('sync_binlog', 'innodb_flush_log_at_trx_commit', 'sync_relay_log') AND SET_TIME IS NOT NULL ORDER BY SET_TIME DESC LIMIT 1" // MySQL
)

// Tightened is what Tighten has found.
type Tightened struct {
	Was []string // the settings that were wrong, as in Status.Loose
	By  string   // user@host and the time of the last change; empty where the server does not know it, as MariaDB
}

// Tighten puts back the settings of Status.Loose, and makes durable what was committed while they were wrong. After an error some
// of them may still be wrong. On MariaDB baton's account needs BINLOG ADMIN for sync_binlog, and SUPER for
// innodb_flush_log_at_trx_commit.
func (s *Server) Tighten(ctx context.Context) (out Tightened, err error) {
	err = s.on(ctx, s.side, "put back the settings by which commits survive a loss of power", func(ctx context.Context, c *session) error {
		r, err := c.one(ctx, c.state)
		if err != nil {
			return err
		}
		if out.Was = loosened(r); len(out.Was) > 0 && c.flavor == MySQL {
			if who, err := c.one(ctx, textWhoSet); err == nil && who["user"] != "" { // of settings from a file nobody is known
				out.By = fmt.Sprintf("%s@%s at %s", who["user"], who["host"], who["at"])
			}
		}
		for _, text := range tighten(r) {
			err = errors.Join(err, c.do(ctx, text))
		}
		switch {
		case err != nil:
			return err
		case !r.on("rpl_semi_sync_source_enabled"):
			return c.do(ctx, textSyncLogs, textSyncEngines)
		}
		done, err := c.conn.ExecContext(ctx, textSyncByCommit)
		if err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(errors.New("it is closed, and a source: what was committed before cannot be seen to be durable"), err)
		}
		return nil
	})
	return out, err
}

// tighten are the statements that put back what is wrong in r.
func tighten(r row) (all []string) {
	for _, name := range lasting() {
		if value, ok := r[name]; ok && value != "1" {
			all = append(all, "SET GLOBAL "+name+" = 1")
		}
	}
	return all
}

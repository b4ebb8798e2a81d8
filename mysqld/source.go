package mysqld

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// lockWait bounds how long closing the server waits for commits under way, in seconds.
const lockWait = 1

// never is a semi-sync timeout that does not come, in milliseconds: falling back to asynchronous is a decision of the
// cluster, not of a server.
const never = "1000000000000"

// BecomeSource makes a server that has applied everything stop being a replica, and makes every commit from now on wait
// for k acknowledgements. It stays closed to applications.
func (s *Server) BecomeSource(ctx context.Context, k int) error {
	d, st, err := s.look(ctx)
	if err != nil {
		return err
	}
	if err := d.hasSemiSync(); err != nil {
		return err
	}
	if d.ackCount() == "" && k != 1 {
		return fmt.Errorf("k = %d: %s waits for one acknowledgement only", k, d.flavor)
	}
	if st.Replication != nil {
		if err := s.exec(ctx, d.stop); err != nil {
			return err
		}
		_, after, err := s.look(ctx)
		if err != nil {
			return err
		}
		if late := after.Received.Minus(after.Executed); !late.IsEmpty() && d.flavor == MySQL {
			return errors.Join(fmt.Errorf("holds %s, received and not applied", late), s.exec(ctx, d.startSQL))
		}
		if err := s.exec(ctx, d.reset); err != nil {
			return err
		}
	}
	set := "SET GLOBAL " + d.replica + "_enabled = 0, GLOBAL " + d.waitPoint() + " = 'AFTER_SYNC', GLOBAL " + d.waitNone() + " = 1, GLOBAL " + d.timeout() + " = " + never
	if name := d.ackCount(); name != "" {
		set += fmt.Sprintf(", GLOBAL %s = %d", name, k)
	}
	return s.exec(ctx, set, "SET GLOBAL "+d.source+"_enabled = 1")
}

// Mark writes the marker of an epoch while the server is closed to applications, and returns once it is acknowledged.
// Without acknowledgements it returns when ctx ends; the statement may then still commit later, which does no harm: the
// marker of a later epoch replaces it.
func (s *Server) Mark(ctx context.Context, epoch uint64, instance, base string) error {
	d, err := s.words(ctx)
	if err != nil {
		return err
	}
	if d.flavor == MySQL {
		// read_only stays on: only accounts with CONNECTION_ADMIN pass it.
		if err := s.exec(ctx, "SET GLOBAL read_only = ON", "SET GLOBAL super_read_only = OFF"); err != nil {
			return err
		}
	}
	_, err = s.control.ExecContext(ctx, "INSERT INTO baton.epoch (id, epoch, instance, base) VALUES (1, ?, ?, ?) "+
		"ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), instance = VALUES(instance), base = VALUES(base), at = CURRENT_TIMESTAMP(6)", epoch, instance, base)
	if err != nil {
		return fmt.Errorf("write baton.epoch: %w", explain(err))
	}
	return nil
}

// ReadMark returns the newest marker, 0 when there is none.
func (s *Server) ReadMark(ctx context.Context) (epoch uint64, instance string, err error) {
	err = s.control.QueryRowContext(ctx, "SELECT epoch, instance FROM baton.epoch WHERE id = 1").Scan(&epoch, &instance)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("read baton.epoch: %w", explain(err))
	}
	return epoch, instance, nil
}

// OpenWrites lets applications in.
func (s *Server) OpenWrites(ctx context.Context) error {
	d, err := s.words(ctx)
	if err != nil {
		return err
	}
	if d.flavor == MySQL {
		return s.exec(ctx, "SET GLOBAL read_only = OFF", "SET GLOBAL offline_mode = OFF")
	}
	return s.exec(ctx, "SET GLOBAL read_only = 0")
}

// CloseWrites refuses every write from now on. nil means that the server's statement has returned, so no commit is under
// way any more; on an error nothing is known, and the server may still be open.
func (s *Server) CloseWrites(ctx context.Context) error {
	d, err := s.words(ctx)
	if err != nil {
		return err
	}
	var id int64
	conn, err := s.control.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", explain(err))
	}
	defer func() { _ = conn.Close() }() // back to the pool
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return fmt.Errorf("connection id: %w", err)
	}
	statements := []string{fmt.Sprintf("SET SESSION lock_wait_timeout = %d", lockWait), "SET GLOBAL super_read_only = ON"}
	if d.flavor == MariaDB {
		statements = []string{fmt.Sprintf("SET STATEMENT max_statement_time = %d FOR SET GLOBAL read_only = 1", lockWait)}
	}
	for _, q := range statements {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			s.stop(id)
			return fmt.Errorf("%s: %w", q, explain(err))
		}
	}
	return nil
}

// stop ends a session whose statement goes on although nobody waits for it.
func (s *Server) stop(id int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.rescue.ExecContext(ctx, fmt.Sprintf("KILL %d", id)); err != nil && number(err) != 1094 {
		s.cfg.Logger.Warn("end a stray statement", "err", err)
	}
}

// CutClients ends every session of others than baton, replication and the server itself, so that clients connect anew
// and look the primary's name up again.
func (s *Server) CutClients(ctx context.Context) error {
	sessions, err := table(ctx, s.control, "SELECT ID, USER, COMMAND FROM information_schema.PROCESSLIST")
	if err != nil {
		return fmt.Errorf("list sessions: %w", explain(err))
	}
	var errs []error
	for _, p := range sessions {
		switch {
		case p["USER"] == s.cfg.User, p["USER"] == "system user", p["USER"] == "event_scheduler", p["USER"] == "unauthenticated user":
		case p["COMMAND"] == "Binlog Dump", p["COMMAND"] == "Binlog Dump GTID", p["COMMAND"] == "Daemon", p["COMMAND"] == "Slave_IO", p["COMMAND"] == "Slave_SQL", p["COMMAND"] == "Slave_worker":
		default:
			if _, err := s.control.ExecContext(ctx, "KILL "+p["ID"]); err != nil && number(err) != 1094 {
				errs = append(errs, fmt.Errorf("end session %s of %s: %w", p["ID"], p["USER"], err))
			}
		}
	}
	return errors.Join(errs...)
}

// Canary commits one small row through the whole write path.
func (s *Server) Canary(ctx context.Context, instance string) error {
	_, err := s.canary.ExecContext(ctx, "INSERT INTO baton.canary (instance, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = n + 1", instance)
	if err != nil {
		return fmt.Errorf("write baton.canary: %w", explain(err))
	}
	return nil
}

// CommitsWaitForAcks counts the sessions whose commit waits for acknowledgements.
func (s *Server) CommitsWaitForAcks(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	var n int
	err := s.rescue.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for semi-sync ACK%'").Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("list sessions: %w", explain(err))
	}
	return n, nil
}

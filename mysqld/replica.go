package mysqld

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Source is where a replica receives from, and as whom.
type Source struct {
	Host     string
	Port     uint16
	User     string
	Password Secret
	// SemiSync says that this replica acknowledges.
	SemiSync bool
}

// heartbeat is how often a silent source says that it lives.
const heartbeat = "0.2"

// StopReceiver stops the receiver, also one that is only trying to connect. What was received stays; on MariaDB the
// applier is made sure to run first, because once both threads are down, starting either one deletes what was received.
func (s *Server) StopReceiver(ctx context.Context) error {
	d, st, err := s.look(ctx)
	if err != nil {
		return err
	}
	if st.Replication == nil || st.Replication.Receiver == ReceiverStopped {
		return nil
	}
	if d.flavor == MariaDB && !st.Replication.Applier {
		if err := s.exec(ctx, d.startSQL); err != nil {
			return err
		}
	}
	return s.exec(ctx, d.stopIO)
}

// FenceReceiver makes the stop outlast a restart and a START by hand: the replica is pointed at a name that cannot
// exist. MySQL keeps what was received only while the applier runs, so without a running applier the source stays as it
// is; MariaDB deletes what was received at any CHANGE, so there the promise of the guard is all there is.
func (s *Server) FenceReceiver(ctx context.Context, tag string) error {
	d, st, err := s.look(ctx)
	if err != nil {
		return err
	}
	if st.Replication == nil || d.flavor == MariaDB || fenced(st.Replication.SourceHost) {
		return nil
	}
	if !st.Replication.Applier {
		if err := s.exec(ctx, d.startSQL); err != nil {
			return nil // the applier cannot run: CHANGE would delete what was received
		}
		if _, st, err = s.look(ctx); err != nil || st.Replication == nil || !st.Replication.Applier {
			return err
		}
	}
	return s.exec(ctx, "CHANGE REPLICATION SOURCE TO SOURCE_HOST="+quote("fenced-"+tag+".invalid"))
}

func fenced(host string) bool {
	return strings.HasPrefix(host, "fenced-") && strings.HasSuffix(host, ".invalid")
}

// WaitApplied returns when everything in base is committed here. The applier is started if it does not run and that
// deletes nothing.
func (s *Server) WaitApplied(ctx context.Context, base GTIDSet) error {
	d, st, err := s.look(ctx)
	if err != nil {
		return err
	}
	if st.Executed.Contains(base) {
		return nil
	}
	if st.Replication == nil {
		return fmt.Errorf("lacks %s and follows nobody", base.Minus(st.Executed))
	}
	if !st.Replication.Applier && (d.flavor == MySQL || st.Replication.Receiver != ReceiverStopped) {
		if err := s.exec(ctx, d.startSQL); err != nil {
			return fmt.Errorf("start the applier (%s): %w", st.Replication.ApplierError, err)
		}
	}
	query := fmt.Sprintf("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, 1)", quote(base.String()))
	if d.flavor == MariaDB {
		query = fmt.Sprintf("SELECT MASTER_GTID_WAIT(%s, 1)", quote(base.last()))
	}
	for {
		var late int
		if err := s.control.QueryRowContext(ctx, query).Scan(&late); err != nil {
			return fmt.Errorf("wait for the applier: %w", err)
		}
		if late == 0 {
			return nil
		}
		if _, st, err = s.look(ctx); err != nil {
			return err
		}
		if r := st.Replication; r == nil || !r.Applier {
			return fmt.Errorf("the applier stopped short of %s: %s", base, st.applierError())
		}
	}
}

func (st Status) applierError() string {
	if st.Replication == nil {
		return "replication was reset"
	}
	return st.Replication.ApplierError
}

// last is a MariaDB set as a position: the newest transaction of each domain.
func (s GTIDSet) last() string {
	newest := map[string]origin{}
	number := map[string]uint64{}
	for o, runs := range s.runs {
		if n := runs[len(runs)-1].last; n > number[o.series] {
			newest[o.series], number[o.series] = o, n
		}
	}
	var all []string
	for domain, o := range newest {
		all = append(all, domain+"-"+o.source+"-"+strconv.FormatUint(number[domain], 10))
	}
	return strings.Join(all, ",")
}

// Follow makes the server receive from src, which must hold everything that this server has received. It may be called
// on a replica, on a fenced one, and on a server that has reigned and is closed.
func (s *Server) Follow(ctx context.Context, src Source) error {
	d, st, err := s.look(ctx)
	if err != nil {
		return err
	}
	if err := d.hasSemiSync(); err != nil {
		return err
	}
	if d.flavor == MariaDB {
		if st.SemiSync.SourceEnabled {
			// An applier on a server whose source side is on would wait for acknowledgements itself.
			if err := s.exec(ctx, "SET GLOBAL "+d.source+"_enabled = 0"); err != nil {
				return err
			}
		}
		return s.followMariaDB(ctx, d, st, src)
	}
	return s.followMySQL(ctx, d, st, src)
}

func (s *Server) followMySQL(ctx context.Context, d *dialect, st Status, src Source) error {
	change := fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST=%s, SOURCE_PORT=%d, SOURCE_USER=%s, SOURCE_PASSWORD=%s, "+
		"SOURCE_HEARTBEAT_PERIOD=%s, SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=1000000, GET_SOURCE_PUBLIC_KEY=1",
		quote(src.Host), src.Port, quote(src.User), quote(string(src.Password)), heartbeat)
	set := fmt.Sprintf("SET GLOBAL %s_enabled = %d", d.replica, digit(src.SemiSync))
	r := st.Replication
	if r != nil && r.Applier {
		// The applier goes on, so that what was received and not yet applied is kept.
		statements := []string{change, set, d.startIO}
		if r.Receiver != ReceiverStopped {
			statements = append([]string{d.stopIO}, statements...)
		}
		return s.exec(ctx, statements...)
	}
	if r != nil {
		if err := s.exec(ctx, d.stop); err != nil {
			return err
		}
	}
	statements := []string{change + ", SOURCE_AUTO_POSITION=1", set, d.startIO}
	if st.SemiSync.SourceEnabled {
		// Between the two threads: the receiver may acknowledge at once, for switching the source side off takes up to a
		// second (its thread looks up that often), but an applier with the source side on would itself wait for
		// acknowledgements.
		statements = append(statements, "SET GLOBAL "+d.source+"_enabled = 0")
	}
	return s.exec(ctx, append(statements, d.startSQL)...)
}

func (s *Server) followMariaDB(ctx context.Context, d *dialect, st Status, src Source) error {
	if r := st.Replication; r != nil {
		if err := s.drainMariaDB(ctx, d, st); err != nil {
			return err
		}
		if err := s.exec(ctx, d.stop); err != nil {
			return err
		}
	}
	var statements []string
	if st.Replication == nil {
		// A server that has reigned has its own transactions in the binary log only: they are where it stands.
		statements = append(statements, "SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos")
		if pos := st.Executed.last(); pos != "" {
			statements = []string{"SET GLOBAL gtid_slave_pos = " + quote(pos)}
		}
	}
	statements = append(statements,
		fmt.Sprintf("CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%d, MASTER_USER=%s, MASTER_PASSWORD=%s, MASTER_USE_GTID=slave_pos, "+
			"MASTER_HEARTBEAT_PERIOD=%s, MASTER_CONNECT_RETRY=1", quote(src.Host), src.Port, quote(src.User), quote(string(src.Password)), heartbeat),
		fmt.Sprintf("SET GLOBAL %s_enabled = %d", d.replica, digit(src.SemiSync)),
		d.start)
	return s.exec(ctx, statements...)
}

// drainMariaDB applies everything received before both threads are stopped, for that deletes the rest.
func (s *Server) drainMariaDB(ctx context.Context, d *dialect, st Status) error {
	r := st.Replication
	if st.Executed.Contains(st.Received) {
		return nil
	}
	if !r.Applier && r.Receiver == ReceiverStopped {
		return nil // deleted already, or by whatever comes next: the source sends it again
	}
	if err := s.StopReceiver(ctx); err != nil {
		return err
	}
	_, now, err := s.look(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return s.WaitApplied(ctx, now.Received)
}

// SourcePosition asks the server that src names what it holds, with the account of replication. Read a replica's own
// set first and this one after: the replica may be ahead of an answer that is older.
func (s *Server) SourcePosition(ctx context.Context, src Source) (GTIDSet, error) {
	db, err := pool("tcp", net.JoinHostPort(src.Host, strconv.Itoa(int(src.Port))), src.User, src.Password)
	if err != nil {
		return GTIDSet{}, err
	}
	defer func() { _ = db.Close() }() // read only
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	d, err := s.words(ctx)
	if err != nil {
		return GTIDSet{}, err
	}
	query := "SELECT @@global.gtid_executed"
	if d.flavor == MariaDB {
		query = "SELECT CONCAT_WS(',', NULLIF(@@global.gtid_binlog_state, ''), NULLIF(@@global.gtid_slave_pos, ''))"
	}
	var text string
	if err := db.QueryRowContext(ctx, query).Scan(&text); err != nil {
		return GTIDSet{}, fmt.Errorf("ask %s: %w", src.Host, explain(err))
	}
	if d.flavor == MariaDB {
		return joinedPositions(text)
	}
	return ParseGTIDSet(MySQL, text)
}

// joinedPositions reads a list of MariaDB positions that may name a domain and server twice.
func joinedPositions(text string) (GTIDSet, error) {
	all := GTIDSet{}
	for one := range strings.SplitSeq(text, ",") {
		p, err := ParseGTIDSet(MariaDB, one)
		if err != nil {
			return all, err
		}
		all = all.Union(p)
	}
	return all, nil
}

// look is the status read on the control connection, together with the dialect.
func (s *Server) look(ctx context.Context) (*dialect, Status, error) {
	d, err := s.words(ctx)
	if err != nil {
		return nil, Status{}, err
	}
	st, err := status(ctx, s.control, d)
	if err != nil {
		s.forget()
		return nil, st, fmt.Errorf("read status: %w", explain(err))
	}
	if st.Replication != nil && st.Replication.Channels > 1 {
		return nil, st, errors.New("receives from several sources: baton looks after servers with one")
	}
	return d, st, nil
}

// quote makes a literal of text that we made or that came from our own configuration.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}

func digit(on bool) int {
	if on {
		return 1
	}
	return 0
}

package demo

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/time/rate"
)

// ledgerTable is where the writers write. The row takes its epoch from the marker row in the same statement.
const ledgerTable = `CREATE TABLE IF NOT EXISTS app.ledger (
  id BIGINT PRIMARY KEY, writer INT NOT NULL, server INT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB`

// The two statements of a write, in one transaction: what is acknowledged is the COMMIT.
const insertRow = `INSERT INTO app.ledger SELECT ?, ?, @@server_id, epoch FROM baton.epoch WHERE id = 1`

// Load is a number of writers that find the primary by asking DNS and know nothing else of baton.
type Load struct {
	// Name is the primary's full name, Servers the DNS servers (host:port) that are asked in turn.
	Name    string
	Servers []string
	Port    uint16
	Writers int
	// PerSecond is how many writes all writers together attempt.
	PerSecond int
	Ledger    *Ledger

	next atomic.Int64
	turn atomic.Int64
}

// Run writes until ctx ends.
func (l *Load) Run(ctx context.Context) error {
	limit := rate.NewLimiter(rate.Limit(l.PerSecond), l.Writers)
	var all sync.WaitGroup
	for w := range l.Writers {
		all.Go(func() { l.write(ctx, w, limit) })
	}
	all.Wait()
	return nil
}

// write is one writer: it connects where the name points, writes until that fails, and looks the name up again.
func (l *Load) write(ctx context.Context, writer int, limit *rate.Limiter) {
	for ctx.Err() == nil {
		db, err := l.connect(ctx)
		if err != nil {
			rest(ctx, 5*time.Millisecond)
			continue
		}
		for limit.Wait(ctx) == nil {
			if err := l.one(ctx, db, writer); err != nil {
				break
			}
		}
		_ = db.Close() // it has failed, or the run is over
	}
}

func (l *Load) one(ctx context.Context, db *sql.DB, writer int) error {
	id := l.next.Add(1)
	var epoch uint64
	var sent time.Time
	err := func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // nothing to roll back after a commit
		if _, err := tx.ExecContext(ctx, insertRow, id, writer); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT epoch FROM app.ledger WHERE id = ?`, id).Scan(&epoch); err != nil {
			return err
		}
		sent = time.Now()
		return tx.Commit()
	}()
	if err != nil {
		l.Ledger.failed()
		return err
	}
	l.Ledger.Record(Ack{ID: id, Epoch: epoch, Sent: sent, At: time.Now()})
	return nil
}

// connect asks DNS where the primary is and opens one connection there.
func (l *Load) connect(ctx context.Context) (*sql.DB, error) {
	addr, err := l.Lookup(ctx)
	if err != nil {
		return nil, err
	}
	return openDatabase(net.JoinHostPort(addr, strconv.Itoa(int(l.Port))), "app", "app")
}

// Lookup resolves the primary's name by the next of the DNS servers.
func (l *Load) Lookup(ctx context.Context) (string, error) {
	server := l.Servers[int(l.turn.Add(1))%len(l.Servers)]
	return lookup(ctx, server, l.Name)
}

func lookup(ctx context.Context, server, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server)
	}}
	addrs, err := resolver.LookupNetIP(ctx, "ip4", name+".")
	if err != nil {
		return "", err
	}
	if len(addrs) != 1 {
		return "", fmt.Errorf("%s has %d addresses", name, len(addrs))
	}
	return addrs[0].String(), nil
}

// openDatabase opens a pool of one connection.
func openDatabase(addr, user, password string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = user, password, "tcp", addr
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = time.Second, 3*time.Second, 3*time.Second
	cfg.Logger = log.New(io.Discard, "", 0)
	cfg.InterpolateParams = true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	return db, nil
}

// rows reads the whole ledger table of one server.
func rows(ctx context.Context, addr string) (map[int64]uint64, error) {
	db, err := openDatabase(addr, "app", "app")
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }() // read only
	found, err := db.QueryContext(ctx, `SELECT id, epoch FROM app.ledger`)
	if err != nil {
		return nil, fmt.Errorf("read the ledger of %s: %w", addr, err)
	}
	defer func() { _ = found.Close() }() // Err is checked
	all := map[int64]uint64{}
	for found.Next() {
		var id int64
		var epoch uint64
		if err := found.Scan(&id, &epoch); err != nil {
			return nil, fmt.Errorf("read the ledger of %s: %w", addr, err)
		}
		all[id] = epoch
	}
	return all, found.Err()
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

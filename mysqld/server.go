package mysqld

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Secret is a password: it prints as stars wherever it is printed by accident.
type Secret string

// String returns stars.
func (Secret) String() string { return "***" }

// GoString returns stars.
func (Secret) GoString() string { return "***" }

// MarshalText returns stars.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Config says how to reach the local server.
type Config struct {
	// Socket is the path of its unix socket: only over it can the process behind the server be known.
	Socket   string
	User     string
	Password Secret
	Logger   *slog.Logger
}

// Server speaks to one local server. Its methods may be called by any goroutine; each purpose has a connection of its
// own, so that a statement that hangs does not starve the others:
//
//	probe    status
//	control  everything that changes the server
//	canary   the commit that tests the write path
//	rescue   short questions while one of the others hangs
type Server struct {
	cfg                            Config
	probe, control, canary, rescue *sql.DB

	mu      sync.Mutex
	dialect *dialect // nil until the server has answered once
}

// Open returns a Server that connects when it is first used.
func Open(cfg Config) (*Server, error) {
	if cfg.Socket == "" || cfg.User == "" {
		return nil, errors.New("mysqld: socket and user are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg}
	for _, db := range []**sql.DB{&s.probe, &s.control, &s.canary, &s.rescue} {
		var err error
		if *db, err = pool("unix", cfg.Socket, cfg.User, cfg.Password); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// pool is a database/sql pool of one connection.
func pool(network, addr, user string, password Secret) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd = network, addr, user, string(password)
	c.Timeout = 300 * time.Millisecond
	c.Logger = log.New(io.Discard, "", 0) // errors come back from the call
	c.MaxAllowedPacket = 1 << 24
	c.InterpolateParams = true // one round trip; no outside text is ever a parameter of ours in a risky charset
	c.Collation = "utf8mb4_general_ci"
	c.Params = map[string]string{"time_zone": "'+00:00'", "autocommit": "1"}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	return db, nil
}

// Close closes the connections; statements under way end with an error.
func (s *Server) Close() error {
	return errors.Join(s.probe.Close(), s.control.Close(), s.canary.Close(), s.rescue.Close())
}

// words returns the dialect, asking the server if it is not known yet.
func (s *Server) words(ctx context.Context) (*dialect, error) {
	s.mu.Lock()
	d := s.dialect
	s.mu.Unlock()
	if d != nil {
		return d, nil
	}
	d, err := detect(ctx, s.rescue)
	if err != nil {
		return nil, fmt.Errorf("find out what the server is: %w", err)
	}
	s.mu.Lock()
	s.dialect = d
	s.mu.Unlock()
	return d, nil
}

// forget makes the next call ask again what the server is: another one may answer after a restart.
func (s *Server) forget() {
	s.mu.Lock()
	s.dialect = nil
	s.mu.Unlock()
}

// exec runs statements one after the other on the control connection.
func (s *Server) exec(ctx context.Context, statements ...string) error {
	for _, q := range statements {
		if _, err := s.control.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", shown(q), explain(err))
		}
	}
	return nil
}

// shown is a statement as it may stand in an error or a log: without what may be a password.
func shown(q string) string {
	for i := range len(q) {
		if q[i] == '\'' || i == 60 {
			return q[:i] + "..."
		}
	}
	return q
}

// number returns the server's error number, 0 when err is not the server's.
func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// explain adds the way out to errors that have one.
func explain(err error) error {
	switch number(err) {
	case 1045, 1044:
		return fmt.Errorf("%w. Way out: check the account and its password file", err)
	case 1227:
		return fmt.Errorf("%w. Way out: grant baton's account what it needs (docs/database-accounts.md)", err)
	case 1146:
		return fmt.Errorf("%w. Way out: create the tables of database baton (docs/database-accounts.md)", err)
	}
	return err
}

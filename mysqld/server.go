package mysqld

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/baton-db/baton/mysqld/process"

	"github.com/baton-db/baton/mysqld/gtid"
)

// Config says how to reach one local server. Socket and User are required; Open fills in the rest.
type Config struct {
	// Socket is the path of the server's unix socket. Nothing else is used: a socket cannot belong to another machine.
	Socket string
	// User is baton's own account on the server; doc.go lists its grants. Sessions of this user are never cut.
	User     string
	Password Secret
	// ProbeTimeout bounds one Status, and each dial; 0 means 300 ms.
	ProbeTimeout time.Duration
	// VerbTimeout bounds every other call whose context has no deadline of its own; 0 means 30 s.
	VerbTimeout time.Duration
	// Logger hears what a verb met and went on from; nil means silence.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.ProbeTimeout == 0 {
		c.ProbeTimeout = 300 * time.Millisecond
	}
	if c.VerbTimeout == 0 {
		c.VerbTimeout = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports what makes the configuration useless.
func (c Config) Validate() error {
	switch {
	case c.Socket == "":
		return errors.New("no socket of the database server")
	case c.User == "":
		return errors.New("no account on the database server")
	case c.ProbeTimeout < 0 || c.VerbTimeout < 0:
		return errors.New("a timeout is negative")
	}
	return nil
}

// canaries is how many canary commits may be under way at once; see Canary.
const canaries = 3

// Server is one local database server. Its methods may be called from any goroutine; those that would disturb each other
// wait for each other. A lost connection is dialed again by the next call.
type Server struct {
	cfg     Config
	probe   *sql.DB // Status and Process
	control *sql.DB // verbs, one after the other
	side    *sql.DB // what must get through while control is stuck: kills, counts of waiters
	marker  *sql.DB
	canary  [canaries]*sql.DB

	dials atomic.Int64             // counts connections: after a new one the server may be another
	pid   atomic.Int32             // process at the other end of the newest probe connection
	wire  atomic.Pointer[net.Conn] // and that connection

	mu       sync.Mutex
	known    *features // of the server as of knownAt dials
	knownAt  int64
	commits  [canaries]*attempt
	sessions sessions
	stray    string // session of a look that was given up
	opener   string // session whose opening of writes was given up, and may come late
	closed   bool
	wg       sync.WaitGroup // canary commits
}

// Open prepares a Server. It does not connect: the first call does, and the server need not run yet.
func Open(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open database server: %w", err)
	}
	s := &Server{cfg: cfg.withDefaults(), sessions: sessions{}}
	lanes := []**sql.DB{&s.probe, &s.control, &s.side, &s.marker}
	for i := range s.canary {
		lanes = append(lanes, &s.canary[i])
	}
	for i, lane := range lanes {
		db, err := s.lane(i == 0)
		if err != nil {
			return nil, fmt.Errorf("open database server at %s: %w", cfg.Socket, err)
		}
		*lane = db
	}
	return s, nil
}

// lane makes one pinned connection: what hangs on it holds up nothing else. The driver closes a connection whose
// statement was canceled, and the next use dials.
func (s *Server) lane(observed bool) (*sql.DB, error) {
	cfg := driverConfig(s.cfg.User, s.cfg.Password, s.cfg.ProbeTimeout)
	cfg.Net, cfg.Addr = "unix", s.cfg.Socket
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if observed {
			pid, err := process.Peer(conn)
			if err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			s.pid.Store(pid)
			s.wire.Store(&conn)
		}
		s.dials.Add(1)
		return conn, nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return pinned(connector), nil
}

// driverConfig is the driver set so that a server can neither read files here nor get the password in clear, and so that
// the defaults a person chose for sessions do not change what a statement means.
func driverConfig(user string, password Secret, timeout time.Duration) *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = user, string(password)
	cfg.Timeout = timeout
	cfg.Logger = &mysql.NopLogger{}
	cfg.InterpolateParams = true // one round trip and not three
	cfg.MaxAllowedPacket = 2 * gtid.MaxText
	cfg.Params = map[string]string{
		"autocommit":               "1",
		"time_zone":                "'+00:00'",
		"sql_mode":                 "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
		"lock_wait_timeout":        "1", // the least there is: it bounds CloseWrites on MySQL
		"innodb_lock_wait_timeout": "50",
		"wait_timeout":             "86400",
	}
	return cfg
}

// Close cuts every connection and waits until nothing of this Server goes on here. A statement that the server has begun
// goes on there.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, a := range s.commits {
		if a != nil {
			a.cancel()
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
	err := errors.Join(s.probe.Close(), s.control.Close(), s.side.Close(), s.marker.Close())
	for _, db := range s.canary {
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		return fmt.Errorf("close database server: %w", err)
	}
	return nil
}

// on runs a verb on a lane of its own choice, with a deadline, and says what was tried when it fails.
func (s *Server) on(ctx context.Context, lane *sql.DB, what string, do func(context.Context, *session) error) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err := s.session(ctx, lane, func(c *session) error { return do(ctx, c) })
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (s *Server) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.cfg.VerbTimeout)
}

// session takes a lane's connection for the duration of do.
func (s *Server) session(ctx context.Context, lane *sql.DB, do func(*session) error) error {
	conn, err := lane.Conn(ctx)
	if err != nil {
		return err
	}
	c := &session{conn: conn, log: s.cfg.Logger}
	if c.features, err = s.features(ctx, c); err == nil {
		err = do(c)
	}
	if again := conn.Close(); again != nil && !errors.Is(again, sql.ErrConnDone) {
		err = errors.Join(err, again)
	}
	return err
}

// features are read again after every new connection: the server may have been replaced by another version.
func (s *Server) features(ctx context.Context, c *session) (*features, error) {
	dials := s.dials.Load()
	s.mu.Lock()
	known, at := s.known, s.knownAt
	s.mu.Unlock()
	if known != nil && at == dials {
		return known, nil
	}
	f, err := detect(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("see what the server offers: %w", err)
	}
	s.mu.Lock()
	s.known, s.knownAt = f, dials
	s.mu.Unlock()
	return f, nil
}

// forget makes the next call look at what the server offers: a plugin may have been loaded.
func (s *Server) forget() {
	s.mu.Lock()
	s.known = nil
	s.mu.Unlock()
}

package mysqld

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/go-sql-driver/mysql"
)

var (
	// ErrRefusing: a server is alive there and does not let anybody in, because it has too many connections or has blocked
	// this host. It is not dead.
	ErrRefusing = errors.New("the server refuses connections")
	// ErrNotMySQL: something answers there, and it does not speak the MySQL protocol.
	ErrNotMySQL = errors.New("not a MySQL or MariaDB server")
)

// probeUser is an account that no server has.
const probeUser = "baton-probe"

// Probe dials addr ("host:port") and waits for the greeting of a MySQL or MariaDB server: nil is a server that answers,
// ErrRefusing one that is alive but lets nobody in, ErrNotMySQL something else. A server that hangs still accepts
// connections, the kernel does that for it, so it is found by ctx ending.
//
// The greeting alone decides. It is answered with a well-formed login of a user that no server has, because a server counts
// connections that are dropped before a login, and blocks the host after 100 of them, for every client on it; a refused
// login does not count.
func Probe(ctx context.Context, addr string) error {
	cfg := driverConfig(probeUser, "", 0)
	cfg.Net, cfg.Addr = "tcp", addr
	var wire *greeting
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		wire = &greeting{Conn: conn}
		return wire, nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return fmt.Errorf("probe %s: %w", addr, err)
	}
	err = login(ctx, sql.OpenDB(connector))
	if wire == nil {
		return fmt.Errorf("probe %s: %w", addr, err)
	}
	if err := wire.verdict(err); err != nil {
		return fmt.Errorf("probe %s: %w", addr, err)
	}
	return nil
}

func login(ctx context.Context, db *sql.DB) error {
	return errors.Join(db.PingContext(ctx), db.Close())
}

// greeting keeps the first bytes that a server sends.
type greeting struct {
	net.Conn
	mu    sync.Mutex
	first []byte
}

// enough is the header of a packet, the version of the protocol or the mark of an error, and its number.
const enough = 7

func (g *greeting) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	g.mu.Lock()
	defer g.mu.Unlock()
	if have := len(g.first); have < enough {
		g.first = append(g.first, p[:min(n, enough-have)]...)
	}
	return n, err
}

// verdict reads the first packet: three bytes of length, a sequence number that is 0, then 10 for the version of the
// protocol, or 255 and the number of an error.
func (g *greeting) verdict(login error) error {
	g.mu.Lock()
	b := g.first
	g.mu.Unlock()
	switch {
	case len(b) < enough && errors.Is(login, context.DeadlineExceeded), len(b) == 0:
		return login
	case len(b) < enough || b[3] != 0:
		return fmt.Errorf("%w: it begins with %q", ErrNotMySQL, b)
	case b[4] == 10:
		return nil
	case b[4] == 255:
		return fmt.Errorf("%w: error %d", ErrRefusing, binary.LittleEndian.Uint16(b[5:7]))
	}
	return fmt.Errorf("%w: it begins with %q", ErrNotMySQL, b)
}

package mysqld

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

// SourcePosition logs in to a source by TCP with the replication account and returns what is committed there. To judge
// whether a replica holds something that the source lacks, read the replica's own position before, and this one after.
func (s *Server) SourcePosition(ctx context.Context, src Source) (GTIDSet, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	set := GTIDSet{}
	err := s.atSource(ctx, src, func(c *session) (err error) {
		set, err = c.where(ctx)
		return err
	})
	if err != nil {
		return GTIDSet{}, fmt.Errorf("position of %s: %w", src, hiding{err, src.Password})
	}
	return set, nil
}

// SourceClosed logs in to a source as SourcePosition does and returns whether it refuses the writes of applications now. It is
// an observation: somebody may open it in the next moment.
func (s *Server) SourceClosed(ctx context.Context, src Source) (bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	closed := false
	err := s.atSource(ctx, src, func(c *session) error {
		r, err := c.one(ctx, c.closed)
		closed = r.on("read_only")
		return err
	})
	if err != nil {
		return false, fmt.Errorf("whether %s takes writes: %w", src, hiding{err, src.Password})
	}
	return closed, nil
}

// atSource asks on a connection of its own.
func (s *Server) atSource(ctx context.Context, src Source, ask func(*session) error) (err error) {
	cfg := driverConfig(src.User, src.Password, s.cfg.ProbeTimeout)
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(src.Host, strconv.Itoa(int(src.Port)))
	if cfg.TLS, err = src.tls(); err != nil {
		return err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := pinned(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	c := &session{conn: conn, log: s.cfg.Logger}
	if c.features, err = detect(ctx, c); err != nil {
		return err
	}
	return ask(c)
}

// tls is nil where src has no CA: the password is then protected by the server's own key exchange, the rest is not.
func (src Source) tls() (*tls.Config, error) {
	if src.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(src.CA)
	if err != nil {
		return nil, err
	}
	out := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: src.Host, MinVersion: tls.VersionTLS12}
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it", src.CA)
	}
	if src.Cert != "" {
		pair, err := tls.LoadX509KeyPair(src.Cert, src.Key)
		if err != nil {
			return nil, err
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

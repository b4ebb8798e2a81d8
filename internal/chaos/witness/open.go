package witness

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Open makes a pool of one connection for an account whose password is its name. Every answer is waited for this long.
func Open(network, addr, user string, patience time.Duration) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = user, user, network, addr
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = time.Second, patience, patience
	cfg.Logger = log.New(io.Discard, "", 0)
	cfg.InterpolateParams = true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return db, nil
}

// ignoreReadOnly makes nothing of a server's refusal to write.
func ignoreReadOnly(err error) error {
	const readOnly = 1290 // ER_OPTION_PREVENTS_STATEMENT
	var refused *mysql.MySQLError
	if errors.As(err, &refused) && refused.Number == readOnly {
		return nil
	}
	return err
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

package mysqld

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// Errors that a server gives a number, as far as a verb goes on from them.
const (
	errUnknownThread   = 1094
	errUnknownQuery    = 1957
	errUnknownVariable = 1193
	errDenied          = 1142
)

// pinned is a pool of one connection that is never retired.
func pinned(c driver.Connector) *sql.DB {
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	return db
}

// session is one connection while one call holds it.
type session struct {
	conn *sql.Conn
	*features
	log *slog.Logger
}

// do runs statements in order until one fails.
func (c *session) do(ctx context.Context, statements ...string) error {
	for _, text := range statements {
		if _, err := c.conn.ExecContext(ctx, text); err != nil {
			verb, _, _ := strings.Cut(text, "'") // what follows may be a password
			return fmt.Errorf("%s: %w", strings.TrimSuffix(strings.TrimSpace(verb), "="), err)
		}
	}
	return nil
}

// row is one row by column name, in today's words: what an older server or MariaDB calls Slave_IO_Running is
// Replica_IO_Running here. A NULL is absent.
type row map[string]string

// words turns the old words of a column or variable into today's.
func words(name string) string {
	if !strings.Contains(name, "lave") && !strings.Contains(name, "aster") {
		return name
	}
	return strings.NewReplacer("Slave", "Replica", "Master", "Source", "slave", "replica", "master", "source").Replace(name)
}

// rows reads a whole result by column name: columns come and go between versions.
func (c *session) rows(ctx context.Context, query string) (all []row, err error) {
	result, err := c.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer func() { err = errors.Join(err, result.Close()) }()
	names, err := result.Columns()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	values, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for result.Next() {
		if err := result.Scan(into...); err != nil {
			return nil, fmt.Errorf("%s: %w", query, err)
		}
		r := row{}
		for i, name := range names {
			if values[i].Valid {
				r[words(name)] = values[i].String
			}
		}
		all = append(all, r)
	}
	if err := result.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	return all, nil
}

// one reads a result of exactly one row.
func (c *session) one(ctx context.Context, query string) (row, error) {
	all, err := c.rows(ctx, query)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%s: %d rows, want 1", query, len(all))
	}
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// settings reads what SHOW VARIABLES or SHOW STATUS prints, names in lower case and today's words.
func (c *session) settings(ctx context.Context, query string) (row, error) {
	all, err := c.rows(ctx, query)
	if err != nil {
		return nil, err
	}
	out := row{}
	for _, r := range all {
		out[words(strings.ToLower(r["Variable_name"]))] = r["Value"]
	}
	return out, nil
}

func (r row) on(name string) bool {
	v := strings.ToUpper(r[name])
	return v == "1" || v == "ON" || v == "YES"
}

// number is 0 for what is absent or not a number: no decision hangs on a counter.
func (r row) number(name string) int {
	n, err := strconv.Atoi(r[name])
	if err != nil {
		return 0
	}
	return n
}

// port is 0 for what is none: a number that is too large must not become another.
func (r row) port(name string) uint16 {
	n, err := strconv.ParseUint(r[name], 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// code is the number that the server gave an error, 0 for every other error.
func code(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

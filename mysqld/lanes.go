package mysqld

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// sessions remembers by which number the server knows a lane's connection, so that it is not asked for in an outage.
type sessions map[*sql.DB]numbered

type numbered struct {
	conn any // the driver's connection: another one has another number
	id   string
}

// id is the server's number of the session that c holds on one of the lanes.
func (s *Server) id(ctx context.Context, lane *sql.DB, c *session) (string, error) {
	var conn any
	if err := c.conn.Raw(func(held any) error { conn = held; return nil }); err != nil {
		return "", err
	}
	s.mu.Lock()
	known := s.sessions[lane]
	s.mu.Unlock()
	if known.conn == conn {
		return known.id, nil
	}
	r, err := c.one(ctx, textSelf)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.sessions[lane] = numbered{conn, r["id"]}
	s.mu.Unlock()
	return r["id"], nil
}

// patience is how long Warm waits for a lane that a verb holds.
const patience = 200 * time.Millisecond

// Warm makes the connections that verbs use, where they are missing: to dial, to log in and to see what the server offers
// takes longer than most verbs, and the first verb after a while is often one of an outage. A lane that is held is left
// alone.
func (s *Server) Warm(ctx context.Context) error {
	var all []error
	for _, lane := range []*sql.DB{s.control, s.side, s.marker} {
		all = append(all, s.warm(ctx, lane))
	}
	return errors.Join(all...)
}

func (s *Server) warm(ctx context.Context, lane *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := s.on(ctx, lane, "keep a connection", func(ctx context.Context, c *session) error {
		if _, err := s.id(ctx, lane, c); err != nil {
			return err
		}
		return c.conn.PingContext(ctx)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

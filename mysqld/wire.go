package mysqld

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"
)

// quietly is session on the lane of Status. The context that do gets never ends: for one that may, the driver and
// database/sql wake a goroutine each at every statement, and that was most of what a look at an idle server cost. When
// ctx ends, the connection is cut under what waits for it.
func (s *Server) quietly(ctx context.Context, do func(context.Context, *session) error) error {
	return s.session(ctx, s.probe, func(c *session) error {
		wire := *s.wire.Load()
		stop := context.AfterFunc(ctx, func() { _ = wire.SetDeadline(time.Unix(1, 0)) }) // it fails on one that is closed
		err := do(context.WithoutCancel(ctx), c)
		if stop() {
			return err
		}
		if err != nil {
			err = errors.Join(ctx.Err(), err)
		}
		_ = c.conn.Raw(func(any) error { return driver.ErrBadConn }) // never used again: it is cut, or will be in a moment
		return err
	})
}

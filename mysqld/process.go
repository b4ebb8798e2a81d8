package mysqld

import (
	"context"
	"fmt"

	"github.com/baton-db/baton/mysqld/process"
)

// Process returns the process at the other end of the connection that Status uses: the kernel says who it is, nobody else.
// The server has to answer.
func (s *Server) Process(ctx context.Context) (process.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ProbeTimeout)
	defer cancel()
	var p process.Run
	err := s.session(ctx, s.probe, func(c *session) (err error) {
		if err = c.conn.PingContext(ctx); err == nil {
			p, err = process.Of(int(s.pid.Load()))
		}
		return err
	})
	if err != nil {
		return process.Run{}, fmt.Errorf("process of the server at %s: %w", s.cfg.Socket, err)
	}
	return p, nil
}

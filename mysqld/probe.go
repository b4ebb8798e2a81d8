package mysqld

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// ErrRefusing is returned by Probe for a server that is alive and lets nobody in: too many connections, a blocked host.
var ErrRefusing = errors.New("alive, but refuses connections")

// ErrNotMySQL is returned by Probe when something else answers on the port.
var ErrNotMySQL = errors.New("not a MySQL or MariaDB server")

// Probe connects to addr (host:port) and reads the greeting. nil means that a server is alive there. A port that accepts
// and says nothing is what a frozen server looks like: that is the error of ctx.
func Probe(ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	defer func() { _ = conn.Close() }() // nothing was said
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("connect to %s: %w", addr, err)
		}
	}
	// A packet: three bytes of length, one of sequence, then the protocol version, or 255 and an error number.
	head := make([]byte, 7)
	if _, err := io.ReadFull(conn, head); err != nil {
		return fmt.Errorf("read the greeting of %s: %w", addr, err)
	}
	length := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	switch {
	case head[3] != 0 || length < 3 || length > 1<<16:
		return fmt.Errorf("%s: %w", addr, ErrNotMySQL)
	case head[4] == 10:
		return nil
	case head[4] == 255:
		return fmt.Errorf("%s: error %d: %w", addr, binary.LittleEndian.Uint16(head[5:]), ErrRefusing)
	}
	return fmt.Errorf("%s: protocol %d: %w", addr, head[4], ErrNotMySQL)
}

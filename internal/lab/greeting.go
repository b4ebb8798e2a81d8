package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// greetTimeout bounds one look at a server's greeting. A server that accepts but does not speak is starting or frozen.
const greetTimeout = time.Second

// maxGreeting is the longest first packet taken seriously; real ones are under 200 bytes.
const maxGreeting = 4096

// greet connects to a unix socket and returns the version in the server's greeting. It does not log in.
func greet(ctx context.Context, socket string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	return readGreeting(conn)
}

// readGreeting reads the first packet a server sends: three bytes of length, a sequence number, then either protocol 10
// and a zero-terminated version, or 255, an error number and a text.
func readGreeting(r io.Reader) (string, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", fmt.Errorf("read greeting: %w", err)
	}
	size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if size < 3 || size > maxGreeting || head[3] != 0 {
		return "", fmt.Errorf("read greeting: packet %d of %d bytes is none", head[3], size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", fmt.Errorf("read greeting: %w", err)
	}
	switch body[0] {
	case 10:
		version, _, ok := bytes.Cut(body[1:], []byte{0})
		if !ok || len(version) == 0 {
			return "", errors.New("read greeting: no version")
		}
		return string(version), nil
	case 255:
		return "", fmt.Errorf("read greeting: server says error %d: %s", binary.LittleEndian.Uint16(body[1:]), body[3:])
	}
	return "", fmt.Errorf("read greeting: protocol %d, want 10", body[0])
}

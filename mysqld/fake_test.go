package mysqld_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fake is a server that speaks just enough of the protocol to be logged in to and asked: it stands in for what a real one
// cannot be made to answer. Everybody may log in. There is no library for this side among those that can be had here.
type fake struct {
	socket string
	// greet is sent instead of the greeting when it is not nil; then nothing more is said.
	greet []byte
	// answer is what is said to a query; nil cuts the connection.
	answer func(query string) *table
	// hear is asked before answer where it is set, also of a SET, with the number of the session; nil leaves it to answer.
	hear func(session int, query string) *table
}

// table is a result: rows of a column's text, nil for NULL. Without columns it is an OK.
type table struct {
	columns []string
	rows    [][]any
	raw     []byte // sent instead, as it is
	hang    bool   // nothing is sent, for ever
}

// serve listens on a socket until the test ends.
func (f *fake) serve(t *testing.T) {
	t.Helper()
	f.socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	sessions := 0
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			sessions++
			session := sessions
			wg.Go(func() {
				defer conn.Close()
				f.talk(&wire{Conn: conn, in: bufio.NewReader(conn), session: session})
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

func (f *fake) talk(c *wire) {
	if f.greet != nil {
		_, _ = c.Write(f.greet)
		_, _ = io.Copy(io.Discard, c.in)
		return
	}
	hello := []byte("\x0a8.4.0\x00\x01\x00\x00\x00abcdefgh\x00\x01\xa2\x21\x02\x00\x08\x00\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ijklmnopqrst\x00mysql_native_password\x00")
	ok := []byte{0, 0, 0, 2, 0, 0, 0}
	if c.send(hello) != nil || c.next() == nil || c.send(ok) != nil {
		return
	}
	for {
		got := c.next()
		var heard *table
		if f.hear != nil && len(got) > 0 && got[0] == 3 {
			heard = f.hear(c.session, string(got[1:]))
		}
		switch {
		case len(got) == 0 || got[0] == 1:
			return
		case heard != nil:
		case got[0] != 3 || strings.HasPrefix(string(got[1:]), "SET "):
			if c.send(ok) != nil {
				return
			}
			continue
		}
		a := heard
		if a == nil {
			a = f.answer(string(got[1:]))
		}
		switch {
		case a == nil:
			return
		case a.hang:
			_, _ = io.Copy(io.Discard, c.in)
			return
		case a.raw != nil:
			if _, err := c.Write(a.raw); err != nil {
				return
			}
		case c.result(a) != nil:
			return
		}
	}
}

// wire is one connection: packets with their sequence numbers.
type wire struct {
	net.Conn
	in      *bufio.Reader
	seq     byte
	session int
}

func (c *wire) next() []byte {
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil
	}
	c.seq = head[3] + 1
	body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return nil
	}
	return body
}

func (c *wire) send(body []byte) error {
	n := len(body)
	head := []byte{byte(n), byte(n >> 8), byte(n >> 16), c.seq}
	c.seq++
	_, err := c.Write(append(head, body...))
	return err
}

func (c *wire) result(t *table) error {
	if len(t.columns) == 0 {
		return c.send([]byte{0, 0, 0, 2, 0, 0, 0})
	}
	if err := c.send([]byte{byte(len(t.columns))}); err != nil {
		return err
	}
	for _, name := range t.columns {
		def := append([]byte{3, 'd', 'e', 'f', 0, 0, 0}, text(name)...)
		def = append(def, 0, 0x0c, 33, 0, 0xff, 0xff, 0, 0, 0xfd, 0, 0, 0, 0, 0)
		if err := c.send(def); err != nil {
			return err
		}
	}
	end := []byte{0xfe, 0, 0, 2, 0}
	if err := c.send(end); err != nil {
		return err
	}
	for _, row := range t.rows {
		var line []byte
		for _, v := range row {
			if v == nil {
				line = append(line, 0xfb)
			} else {
				line = append(line, text(v.(string))...)
			}
		}
		if err := c.send(line); err != nil {
			return err
		}
	}
	return c.send(end)
}

// text is a string with its length before it.
func text(s string) []byte {
	if n := len(s); n > 250 {
		head := binary.LittleEndian.AppendUint32([]byte{0xfd}, uint32(n))[:4]
		return append(head, s...)
	}
	return append([]byte{byte(len(s))}, s...)
}

package mysqld_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

func TestProbeTellsWhatIsThere(t *testing.T) {
	refused := []byte("\x15\x00\x00\x00\xff\x69\x04Host is blocked..")
	for name, c := range map[string]struct {
		says string
		hang bool
		want error
	}{
		"frozen":                {"", true, context.DeadlineExceeded},
		"half a packet":         {"\x4a\x00\x00\x00", true, context.DeadlineExceeded},
		"hangs up at once":      {"", false, io.EOF},
		"hangs up soon":         {"\x4a\x00\x00", false, mysqld.ErrNotMySQL},
		"HTTP":                  {"HTTP/1.1 400 Bad Request\r\n\r\n", false, mysqld.ErrNotMySQL},
		"SSH":                   {"SSH-2.0-OpenSSH_9.2p1\r\n", true, mysqld.ErrNotMySQL},
		"protocol 9":            {"\x4a\x00\x00\x00\x093.20.0\x00", true, mysqld.ErrNotMySQL},
		"in mid-sequence":       {"\x4a\x00\x00\x07\x0a8.0.0\x00", true, mysqld.ErrNotMySQL},
		"16 MiB of greeting":    {"\xff\xff\xff\x00\x0a9.7.4\x00", true, nil},
		"blocked":               {string(refused), false, mysqld.ErrRefusing},
		"too many connections":  {"\x17\x00\x00\x00\xff\x10\x04Too many connections", false, mysqld.ErrRefusing},
		"garbage capabilities":  {"\x1e\x00\x00\x00\x0a9.7.4\x00AAAAaaaaaaaa\x00\xff\xff\xff\xff\xff\xff\xff", true, nil},
		"a greeting cut in two": {"\x4a\x00\x00\x00\x0a9.", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			addr := listen(t, func(conn net.Conn) {
				if _, err := io.WriteString(conn, c.says); err == nil && c.hang {
					_, _ = io.Copy(io.Discard, conn)
				}
			})
			ctx := shortly(t)
			err := mysqld.Probe(ctx, addr)
			if name == "hangs up at once" && err != nil {
				return // by a reset or an end, whichever the kernel chose
			}
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestProbeGivesUpOnADrip(t *testing.T) {
	addr := listen(t, func(conn net.Conn) {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for _, b := range []byte("\x4a\x00\x00\x00") {
			if _, err := conn.Write([]byte{b}); err != nil {
				return
			}
			<-tick.C
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	if err := mysqld.Probe(shortly(t), addr); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestProbeOfAClosedPortIsNoRefusal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	if err := mysqld.Probe(shortly(t), addr); err == nil || errors.Is(err, mysqld.ErrRefusing) {
		t.Errorf("got %v", err)
	}
}

func TestProbeOfRealServers(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		n := nodes(t, bin, 1)[0]
		addr := n.lab.Addr().String()
		for range 120 { // more than max_connect_errors
			n.must(mysqld.Probe(t.Context(), addr))
		}
		if st := n.status(); st.Flavor == "" {
			t.Error("no status")
		}
		n.exec("SET GLOBAL max_connections = 10")
		var crowd []net.Conn
		t.Cleanup(func() {
			for _, c := range crowd {
				_ = c.Close()
			}
		})
		until(t, "the server refuses, alive", func() bool {
			conn, err := net.Dial("tcp", addr)
			n.must(err)
			crowd = append(crowd, conn)
			return errors.Is(mysqld.Probe(t.Context(), addr), mysqld.ErrRefusing)
		})
		n.status() // the connection it holds keeps working
		n.must(n.lab.Freeze())
		if err := mysqld.Probe(shortly(t), addr); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("frozen: %v", err)
		}
		n.must(n.lab.Kill())
		if err := mysqld.Probe(t.Context(), addr); err == nil || errors.Is(err, mysqld.ErrRefusing) {
			t.Errorf("dead: %v", err)
		}
	})
}

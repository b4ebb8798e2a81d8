package simnet_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/baton-db/baton/internal/simnet"
)

func TestConnIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		n := simnet.New()
		ln, err := n.Host("b").Listen(1)
		if err != nil {
			return nil, nil, nil, err
		}
		if c1, err = n.Host("a").Dial("b:1", time.Second); err != nil {
			return nil, nil, nil, err
		}
		if c2, err = ln.Accept(); err != nil {
			return nil, nil, nil, err
		}
		return c1, c2, n.Close, nil
	})
}

// pair is a connection from host a to host b.
func pair(t *testing.T, n *simnet.Net) (a, b net.Conn) {
	t.Helper()
	ln, err := n.Host("b").Listen(1)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = n.Host("a").Dial(n.Host("b").Addr(1), time.Minute); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func readN(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
		t.Fatalf("read %q, %v; want %q", buf, err, want)
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func silent(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	if k, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want silence", k, err)
	}
	_ = c.SetReadDeadline(time.Time{})
}

func TestCutHoldsAStreamAndHealLetsItThrough(t *testing.T) {
	for name, fault := range map[string]struct{ begin, end func(*simnet.Net) }{
		"cut":           {func(n *simnet.Net) { n.Cut("a", "b") }, func(n *simnet.Net) { n.Heal("b", "a") }},
		"cut one way":   {func(n *simnet.Net) { n.CutOneWay("a", "b") }, func(n *simnet.Net) { n.HealAll() }},
		"isolated":      {func(n *simnet.Net) { n.Isolate("a") }, func(n *simnet.Net) { n.Rejoin("a") }},
		"frozen sender": {func(n *simnet.Net) { n.Pause("a") }, func(n *simnet.Net) { n.Resume("a") }},
		"frozen reader": {func(n *simnet.Net) { n.Pause("b") }, func(n *simnet.Net) { n.Resume("b") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simnet.New()
				defer n.Close()
				a, b := pair(t, n)
				write(t, a, "before")
				readN(t, b, "before")
				fault.begin(n)
				write(t, a, "held")
				silent(t, b, time.Hour)
				fault.end(n)
				readN(t, b, "held")
			})
		})
	}
}

func TestCutOneWayLeavesTheOtherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		a, b := pair(t, n)
		n.CutOneWay("a", "b")
		write(t, b, "back")
		readN(t, a, "back")
	})
}

func TestFullWindowBlocksUntilRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		a, b := pair(t, n)
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		sent, err := a.Write(make([]byte, 1<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || sent != 256<<10 {
			t.Fatalf("wrote %d, %v", sent, err)
		}
		if _, err := io.ReadFull(b, make([]byte, sent)); err != nil {
			t.Fatal(err)
		}
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		write(t, a, "more")
		readN(t, b, "more")
	})
}

func TestCloseLetsTheOtherEndReadToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		n.SetDelay(50*time.Millisecond, 0)
		a, b := pair(t, n)
		write(t, a, "last words")
		_ = a.Close()
		start := time.Now()
		got, err := io.ReadAll(b)
		if err != nil || string(got) != "last words" {
			t.Errorf("read %q, %v", got, err)
		}
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("the end took %v", took)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("writing to a closed end: %v", err)
		}
	})
}

func TestCrashResetsConnectionsAndFreesPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		a, b := pair(t, n)
		n.Cut("a", "b")
		n.Host("b").Crash()
		if _, err := b.Read(make([]byte, 1)); err == nil {
			t.Error("the crashed end still reads")
		}
		silent(t, a, time.Minute) // the reset is held by the cut
		n.HealAll()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the other end reads: %v", err)
		}
		if _, err := n.Host("a").Dial("b:1", time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling the crashed host: %v", err)
		}
		if _, err := n.Host("b").Listen(1); err != nil {
			t.Errorf("listening again: %v", err)
		}
	})
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a, b := n.Host("a"), n.Host("b")
		ln, err := b.Listen(7450)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Listen(7450); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second listener: %v", err)
		}
		if _, err := a.Dial("b:1", 0); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a port without listener: %v", err)
		}
		var missing *net.DNSError
		if _, err := a.Dial("c:1", 0); !errors.As(err, &missing) {
			t.Errorf("an unknown host: %v", err)
		}
		n.CutOneWay("b", "a") // the answer does not come back
		start := time.Now()
		_, err = a.Dial("b:7450", 2*time.Second)
		var netErr net.Error
		if !errors.As(err, &netErr) || !netErr.Timeout() || time.Since(start) != 2*time.Second {
			t.Errorf("dialling over a cut: %v after %v", err, time.Since(start))
		}
		time.AfterFunc(3*time.Second, n.HealAll)
		n.SetDelay(10*time.Millisecond, 0)
		start = time.Now()
		conn, err := a.Dial("b:7450", time.Minute)
		if err != nil || time.Since(start) != 3020*time.Millisecond {
			t.Fatalf("dialling until the heal: %v after %v", err, time.Since(start))
		}
		if got := conn.RemoteAddr().String(); got != b.Addr(7450) {
			t.Errorf("remote address %s", got)
		}
		n.Close()
		if _, err := ln.Accept(); err != nil { // the connection was waiting
			if !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
		if _, err := a.Dial("b:7450", 0); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dialling on a closed net: %v", err)
		}
	})
}

func TestLossDelaysAStreamAndKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		defer n.Close()
		a, b := pair(t, n)
		n.SetLoss(0.5, 7)
		n.SetDelay(time.Millisecond, 5*time.Millisecond)
		start := time.Now()
		for i := range 200 {
			write(t, a, string(rune('a'+i%26)))
		}
		for i := range 200 {
			readN(t, b, string(rune('a'+i%26)))
		}
		if took := time.Since(start); took < 200*time.Millisecond {
			t.Errorf("200 segments at 50 %% loss took only %v", took)
		}
	})
}

package rejoin_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/rejoin"
	"github.com/baton-db/baton/registry"
)

// dam is a server whose first copy comes through a proxy that stops in the middle of the data, when what was on it is removed.
type dam struct {
	rejoin.Server
	mu    sync.Mutex
	donor netip.AddrPort   // of the copy that was stopped
	left  int64            // bytes until then
	after []netip.AddrPort // donors of the copies after it
	full  chan struct{}    // closed when it is stopped
	open  chan struct{}    // closed to let everything through
}

func dammed(h *host) *dam {
	d := &dam{left: 8 << 20, full: make(chan struct{}), open: make(chan struct{})}
	h.through = func(s rejoin.Server) rejoin.Server { d.Server = s; return d }
	return d
}

func (d *dam) Clone(ctx context.Context, donor mysqld.Source) error {
	addr := netip.AddrPortFrom(netip.MustParseAddr(donor.Host), donor.Port)
	d.mu.Lock()
	again := d.donor.IsValid()
	if again {
		d.after = append(d.after, addr)
	} else {
		d.donor = addr
	}
	d.mu.Unlock()
	if again {
		return d.Server.Clone(ctx, donor)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all.Go(func() { <-ctx.Done(); _ = l.Close() })
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { d.carry(ctx, in, addr) })
		}
	})
	near := l.Addr().(*net.TCPAddr).AddrPort()
	donor.Host, donor.Port = near.Addr().String(), near.Port()
	return d.Server.Clone(ctx, donor)
}

func (d *dam) carry(ctx context.Context, in net.Conn, donor netip.AddrPort) {
	defer in.Close()
	out, err := net.Dial("tcp", donor.String())
	if err != nil {
		return
	}
	ended := context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })
	defer ended()
	var up sync.WaitGroup
	up.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
	_, _ = io.Copy(&gate{ctx, d, in}, out)
	_, _ = in.Close(), out.Close()
	up.Wait()
}

// gate is the way from the donor, on which the dam stands.
type gate struct {
	ctx context.Context
	*dam
	to io.Writer
}

func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	before := g.left
	g.left -= int64(len(b))
	stop := g.left <= 0
	if before > 0 && stop {
		close(g.full)
	}
	g.mu.Unlock()
	if stop {
		select {
		case <-g.open:
		case <-g.ctx.Done():
		}
	}
	return g.to.Write(b)
}

// halfCopied is a trio whose former primary is being copied from the donor, and has lost what it had.
func halfCopied(t *testing.T) (c *trio, former, donor registry.InstanceID, d *dam) {
	t.Helper()
	dams := map[registry.InstanceID]*dam{}
	c = start(t, lab.MySQL, 50*time.Millisecond, func(h *host) {
		h.cfg.Start, h.cfg.Stop = nil, nil
		dams[h.cfg.Instance] = dammed(h)
	})
	former = c.await("formed", whole).Primary
	c.diverge(former)
	if err := c.hosts[former].lab.Crash(); err != nil {
		t.Fatal(err)
	}
	d = dams[former]
	c.await("half of a copy came", func(*registry.Database) bool {
		select {
		case <-d.full:
			return true
		default:
			return false
		}
	})
	for id, h := range c.hosts {
		if h.lab.Addr() == d.donor {
			donor = id
		}
	}
	if got := c.rows(former); !strings.Contains(got, "Unknown database") {
		t.Fatalf("in the middle of the copy it has %q", got)
	}
	return c, former, donor, d
}

// emptied waits until it is known that the copy did not end, and sees that the server is nothing until it is copied again.
func (c *trio) emptied(former registry.InstanceID) {
	c.t.Helper()
	h := c.hosts[former]
	c.await("it is known that it lost everything", func(d *registry.Database) bool {
		doing, _ := h.returner.Report()
		if g := h.guard.Report(); d.IsAcker(former) || g.Follows == d.Epoch {
			c.t.Fatalf("%s was emptied, and follows: acker %t, %+v", former, d.IsAcker(former), g)
		}
		return doing != nil && doing.Replaced && strings.Contains(doing.Why, "did not end") && h.returner.Busy() != ""
	})
}

// A donor that ends in the middle leaves a server with nothing, which answers and is heard to say no: it is copied from another
// donor, and again when that refuses.
func TestAServerWhoseDonorEndsIsCopiedFromAnother(t *testing.T) {
	c, former, donor, d := halfCopied(t)
	h := c.hosts[donor].lab
	before := h.Pid()
	if err := h.Crash(); err != nil {
		t.Fatal(err)
	}
	c.await("the donor is there again", func(*registry.Database) bool { pid := h.Pid(); return pid != 0 && pid != before })
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.exec(c.database().Primary, "SET SESSION sql_log_bin = 0", "REVOKE BACKUP_ADMIN ON *.* FROM 'repl'@'%'")
	close(d.open)
	c.emptied(former)
	c.await("the other donor refuses", func(*registry.Database) bool {
		doing, _ := c.hosts[former].returner.Report()
		return doing != nil && strings.Contains(doing.Problem, "BACKUP_ADMIN")
	})
	c.emptied(former)
	c.await("whole again", whole)
	c.check(former)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.after) == 0 || d.after[0] == d.donor {
		t.Errorf("after %v it was copied from %v", d.donor, d.after)
	}
}

// A server that is killed in the middle of its copy is not what it was when it comes back.
func TestAServerThatIsKilledWhileItIsCopiedIsCopiedAgain(t *testing.T) {
	c, former, _, d := halfCopied(t)
	if err := c.hosts[former].lab.Crash(); err != nil {
		t.Fatal(err)
	}
	close(d.open)
	c.emptied(former)
	// An agent that comes later knows it as well.
	h := c.hosts[former]
	h.dead()
	<-h.ended
	c.renew(h)
	if doing, _ := h.returner.Report(); h.returner.Busy() == "" || doing == nil || !doing.Replaced {
		t.Errorf("a new agent takes it for whole: %+v", doing)
	}
	c.await("whole again", whole)
	c.check(former)
}

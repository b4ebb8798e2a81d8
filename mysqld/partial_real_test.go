package mysqld_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

// straw is a way to a server that lets through so many bytes of what the server says and then no more.
type straw struct {
	left atomic.Int64
	dry  chan struct{} // closed when something was held back
	cut  chan struct{} // closed to end the connections that are held
}

// sip returns a straw to n and the source that others follow through it.
func sip(t *testing.T, n *node) (*straw, mysqld.Source) {
	t.Helper()
	s := &straw{dry: make(chan struct{}), cut: make(chan struct{})}
	s.left.Store(1 << 40)
	var once sync.Once
	gone := make(chan struct{})
	addr := listen(t, func(conn net.Conn) {
		up, err := net.Dial("tcp", n.lab.Addr().String())
		if err != nil {
			return
		}
		defer up.Close()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(up, conn); _ = up.Close() })
		buf := make([]byte, 4096)
		for {
			got, err := up.Read(buf)
			if err != nil {
				break
			}
			if s.left.Add(-int64(got)) < 0 {
				once.Do(func() { close(s.dry) })
				select {
				case <-s.cut:
				case <-gone:
				}
				break
			}
			if _, err := conn.Write(buf[:got]); err != nil {
				break
			}
		}
		_, _ = up.Close(), conn.Close()
		wg.Wait()
	})
	t.Cleanup(func() { close(gone) })
	src := n.source(false)
	host, port, _ := net.SplitHostPort(addr)
	src.Host = host
	_, _ = fmt.Sscan(port, &src.Port)
	return s, src
}

// The rest of a transaction that is cut in its middle never arrives. Nobody waits for it: not the fence, not the winner, not
// who follows the winner then. MySQL's own STOP REPLICA waits a minute.
func TestNobodyWaitsForTheRestOfATransaction(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		for name, lose := range map[string]func(*node, *straw){
			"stalled": func(*node, *straw) {},
			"killed":  func(p *node, _ *straw) { p.must(p.lab.Kill()) },
			"cut":     func(_ *node, s *straw) { close(s.cut) },
		} {
			t.Run(name, func(t *testing.T) {
				all := nodes(t, bin, 3)
				p, winner, other := all[0], all[1], all[2]
				p.exec("SET GLOBAL read_only = 0", "CREATE TABLE app.t (id INT PRIMARY KEY, v LONGTEXT)")
				s, src := sip(t, p)
				want := p.status().Executed
				for _, r := range []*node{winner, other} {
					r.must(r.Follow(t.Context(), src))
					r.must(r.WaitApplied(t.Context(), want))
				}
				s.left.Store(1 << 20)
				p.exec("INSERT INTO app.t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i+1 FROM n WHERE i < 100) SELECT i, REPEAT('x', 50000) FROM n")
				<-s.dry
				lose(p, s)
				for _, r := range []*node{winner, other} {
					r.must(r.StopReceiver(t.Context()))
					r.must(r.FenceReceiver(t.Context(), "2"))
					if got := r.status().Position(); !got.Equal(want) {
						t.Errorf("%s holds %s, want %s and not what came half", r.lab.Name(), got, want)
					}
				}
				winner.must(winner.WaitApplied(t.Context(), want))
				winner.must(winner.BecomeSource(t.Context(), 1)) // fails by its own timeout, 30 s, where it waits a minute
				other.must(other.Follow(t.Context(), winner.source(true)))
				winner.must(winner.Mark(t.Context(), 2, "db2", want.String()))
				winner.must(winner.OpenWrites(t.Context()))
				winner.exec("INSERT INTO app.t VALUES (1, 'after')") // waits where the half transaction still holds its rows
				other.must(other.WaitApplied(t.Context(), winner.status().Executed))
				if got := other.ask("SELECT v FROM app.t"); got != "after" {
					t.Errorf("rows %q", got)
				}
			})
		}
	})
}

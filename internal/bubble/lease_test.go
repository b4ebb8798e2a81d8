package bubble_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/lease"
	"github.com/baton-db/baton/registry"
)

// An async primary that is cut off goes on by its lease, asked for over the leader's log, and is closed or dead before
// another is established. Acknowledged writes may be lost there, and are not looked at.
func TestALeaseEndsBeforeAnotherReigns(t *testing.T) {
	type scene struct {
		beside bool
		away   time.Duration
	}
	var all []scene
	for _, away := range []time.Duration{lease.Term / 2, lease.Term + lease.Slack, 2 * lease.Wait()} {
		all = append(all, scene{true, away}, scene{false, away})
	}
	for i, s := range some(all) {
		t.Run(fmt.Sprintf("away for %s, the leader beside it %t", s.away, s.beside), func(t *testing.T) {
			t.Parallel()
			inBubbleWorth(t, registry.Async, []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB}[i%2], 3, func(w *world) {
				w.arrange(s.beside)
				was, before, began := w.primary(), w.newest().Epoch, time.Now()
				w.notice(func(_ *node, d *registry.Database) {
					if d.Phase == registry.Serving && d.Epoch > before && was.server.Writable() && d.Primary != registry.InstanceID(was.server.ID) {
						w.broken("G1", "%s takes writes while %s is established in epoch %d", was.server.ID, d.Primary, d.Epoch)
					}
				})
				w.isolate(was)
				time.Sleep(s.away)
				replaced := w.primary() != was
				if long := s.away > lease.Wait()+2*time.Second; replaced != long {
					w.t.Errorf("after %s another reigns: %t", time.Since(began), replaced)
				}
				if s.away > lease.Term+lease.Slack+lease.Fence && was.server.Writable() {
					w.t.Errorf("%s still takes writes", was.server.ID)
				}
				w.healAll()
				w.awaitWithin(settle, "the name is served again", func() string {
					if d := w.newest(); d.Phase != registry.Serving || !w.nodeOf(d.Primary).server.Writable() {
						return string(d.Phase)
					}
					return ""
				})
				w.agree("all agree after the lease")
			})
		})
	}
}

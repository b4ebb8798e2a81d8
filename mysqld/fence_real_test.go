package mysqld_test

import (
	"context"
	"errors"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/mysqld"
)

// Somebody who starts replication on a fenced server gives the former primary no acknowledgement: MySQL reaches nobody, and
// MariaDB receives and says nothing.
func TestAFencedServerThatSomebodyStartsAcknowledgesNothing(t *testing.T) {
	families(t, func(t *testing.T, bin *lab.Binaries) {
		all := reign(t, bin, 2)
		p, r := all[0], all[1]
		p.must(p.Canary(t.Context(), "db1"))
		r.must(r.StopReceiver(t.Context()))
		r.must(r.FenceReceiver(t.Context(), "2"))
		r.exec("START REPLICA")
		if bin.Family == lab.MariaDB {
			until(t, "it receives", func() bool {
				rep := r.status().Replication
				return rep != nil && rep.Receiver == mysqld.ReceiverRunning
			})
		}
		if err := p.Canary(shortly(t), "db1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a commit whose only acker is fenced: %v", err)
		}
		r.must(r.Follow(t.Context(), p.source(true)))
		p.must(p.Canary(t.Context(), "db1"))
	})
}

package witness

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/baton-db/baton/demo"
)

// proberIDs is where the ids of the prober's rows begin, between those of the writers and the sampler's.
const proberIDs = 1 << 39

// Prober writes by the name again and again on a connection of its own, so that an outage is measured and not how long
// a writer waits for a server that is gone.
type Prober struct {
	Load   *demo.Load // finds the primary
	Ledger *demo.Ledger
}

// Run begins an attempt every 50 ms until ctx ends. Some are under way at a time, each for at most a second.
func (p *Prober) Run(ctx context.Context) {
	const every, patience, most = 50 * time.Millisecond, time.Second, 20
	var all sync.WaitGroup
	defer all.Wait()
	under := make(chan struct{}, most)
	for id := int64(proberIDs); ctx.Err() == nil; id++ {
		select {
		case under <- struct{}{}:
			all.Go(func() {
				bounded, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				p.attempt(bounded, id)
				<-under
			})
		default:
		}
		rest(ctx, every)
	}
}

func (p *Prober) attempt(ctx context.Context, id int64) {
	addr, err := p.Load.Lookup(ctx)
	if err != nil {
		return
	}
	db, err := Open("tcp", net.JoinHostPort(addr, strconv.Itoa(int(p.Load.Port))), "app", time.Second)
	if err != nil {
		return
	}
	defer func() { _ = db.Close() }() // nothing is pending
	if ack, err := write(ctx, db, id, 999); err == nil {
		p.Ledger.Record(ack)
	}
}

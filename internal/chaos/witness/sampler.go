package witness

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/baton-db/baton/demo"
)

// SamplerIDs is where the ids of the sampler's rows begin, above those of the writers.
const SamplerIDs = 1 << 40

// maxServers is how many servers there can be.
const maxServers = 8

// Sampler tries to write on every server directly, whatever anything says. What is accepted stands in the same ledger as
// the writers' rows, so that two servers that accept at a time are found by the same comparison.
type Sampler struct {
	Servers []string // host:port
	Ledger  *demo.Ledger
	next    atomic.Int64
	opened  [maxServers]atomic.Bool // by a person: what is accepted is nobody's promise
	strays  atomic.Int64
	tries   atomic.Int64
}

// Foreign says that a person has opened this server, until Closed.
func (s *Sampler) Foreign(host int) { s.opened[host].Store(true) }

// Counts are how often it has tried, and how many rows were accepted by a server that a person had opened.
func (s *Sampler) Counts() (tries, strays int64) { return s.tries.Load(), s.strays.Load() }

// Closed ends what Foreign began, for all servers.
func (s *Sampler) Closed() {
	for i := range s.opened {
		s.opened[i].Store(false)
	}
}

// Run samples every server until ctx ends.
func (s *Sampler) Run(ctx context.Context) {
	var all sync.WaitGroup
	for host, addr := range s.Servers {
		all.Go(func() {
			for ctx.Err() == nil {
				db, err := Open("tcp", addr, "app", time.Second)
				for err == nil && ctx.Err() == nil {
					err = s.try(ctx, db, host)
					rest(ctx, 50*time.Millisecond)
				}
				if db != nil {
					_ = db.Close() // it has failed, or the run is over
				}
				rest(ctx, 50*time.Millisecond)
			}
		})
	}
	all.Wait()
}

// try writes one row. A server that refuses is asked again on the same connection.
func (s *Sampler) try(ctx context.Context, db *sql.DB, host int) error {
	s.tries.Add(1)
	foreign := s.opened[host].Load()
	id := SamplerIDs + s.next.Add(1)
	ack, err := write(ctx, db, id, 1000+host)
	if err != nil {
		return ignoreReadOnly(err)
	}
	if foreign || s.opened[host].Load() {
		s.strays.Add(1)
		return nil
	}
	s.Ledger.Record(ack)
	return nil
}

// write inserts one row of the ledger in a transaction.
func write(ctx context.Context, db *sql.DB, id int64, writer int) (demo.Ack, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return demo.Ack{}, err
	}
	defer func() { _ = tx.Rollback() }() // nothing to roll back after a commit
	if _, err := tx.ExecContext(ctx, "INSERT INTO app.ledger SELECT ?, ?, @@server_id, epoch FROM baton.epoch WHERE id = 1", id, writer); err != nil {
		return demo.Ack{}, err
	}
	ack := demo.Ack{ID: id}
	if err := tx.QueryRowContext(ctx, "SELECT epoch FROM app.ledger WHERE id = ?", id).Scan(&ack.Epoch); err != nil {
		return demo.Ack{}, fmt.Errorf("read row %d: %w", id, err)
	}
	ack.Sent = time.Now()
	err = tx.Commit()
	ack.At = time.Now()
	return ack, err
}

package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/chaos/witness"
	"github.com/baton-db/baton/internal/netlab"
)

func sqlKinds() []Kind {
	on := []Part{SQL}
	hold := lasts(1500*time.Millisecond, 3500*time.Millisecond)
	return []Kind{
		{Name: "connections-full", Role: Primary, Parts: on, Effect: HarmlessBlocking, Weight: 6, Hold: hold, inject: crowd},
		{Name: "overload", Role: Primary, Parts: on, Effect: HarmlessBlocking, Weight: 6, Hold: hold, inject: overload},
		{Name: "long-transaction", Role: Primary, Parts: on, Effect: HarmlessBlocking, Weight: 6, Hold: hold, inject: lockRows},
		{Name: "human-opens-replica", Role: Replica, Parts: on, Effect: Survived, Weight: 6, Hold: lasts(time.Second, 3*time.Second), inject: openReplica},
		{Name: "human-writes-replica", Role: Replica, Parts: on, Effect: Survived, Weight: 3, inject: writeReplica},
		{Name: "human-stops-replica", Role: Replica, Parts: on, Effect: Survived, Weight: 6, Hold: hold, inject: stopReplica},
		{Name: "human-starts-fenced", Role: Primary, Parts: []Part{SQL, Net}, Effect: Blocking, Weight: 9, inject: startFenced},
		{Name: "switchover", Role: Primary, Parts: on, Effect: Survived, Weight: 12, inject: switchover},
	}
}

// crowd takes every connection an application can have.
func crowd(ctx context.Context, f *field, host int) (heal, error) {
	const most = 400 // more than a server has
	var all []*sql.DB
	undo := func(context.Context) error {
		var errs []error
		for _, db := range all {
			errs = append(errs, db.Close())
		}
		return errors.Join(errs...)
	}
	for range most {
		db, err := witness.Open("tcp", f.rig.Databases[host].Addr().String(), "app", 2*time.Second)
		if err != nil {
			return undo, err
		}
		all = append(all, db)
		if db.PingContext(ctx) != nil {
			break // it is full, or it is gone
		}
	}
	return undo, nil
}

// overload keeps the server busy from many connections.
func overload(ctx context.Context, f *field, host int) (heal, error) {
	const workers = 12
	busy, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for busy.Err() == nil {
				db, err := witness.Open("tcp", f.rig.Databases[host].Addr().String(), "app", 20*time.Second)
				if err != nil {
					return
				}
				for err == nil {
					_, err = db.ExecContext(busy, "DO BENCHMARK(2000000, SHA2('overload', 512))")
				}
				_ = db.Close() // it failed, or it is over
				rest(busy, 20*time.Millisecond)
			}
		})
	}
	return func(context.Context) error {
		cancel()
		running.Wait()
		return nil
	}, nil
}

// lockRows is a transaction that has every row of the ledger and does not end.
func lockRows(ctx context.Context, f *field, host int) (heal, error) {
	db, err := witness.Open("tcp", f.rig.Databases[host].Addr().String(), "app", 2*time.Second)
	if err != nil {
		return nothing, err
	}
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	undo := func(context.Context) error {
		end() // which ends the transaction, and only then does Close close its connection
		return db.Close()
	}
	tx, err := db.BeginTx(own, nil)
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM app.ledger WHERE id < 0")
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, "SELECT COUNT(*) FROM app.ledger FOR UPDATE")
	}
	if err != nil {
		return nothing, skip(errors.Join(err, undo(ctx))) // another fault was quicker
	}
	return undo, nil
}

// openReplica lets applications write on a replica, as somebody does who means well. What the sampler writes there from
// now on is foreign: a guard closes the server when it sees it, which is later than a write.
func openReplica(ctx context.Context, f *field, host int) (heal, error) {
	f.sampler.Foreign(host)
	err := f.say(ctx, host, "SET GLOBAL read_only = 0")
	if err != nil {
		err = skip(err)
	}
	return nothing, err
}

func writeReplica(ctx context.Context, f *field, host int) (heal, error) {
	if err := f.say(ctx, host, "CREATE TABLE IF NOT EXISTS app.errant (id INT)", "INSERT INTO app.errant VALUES (1)"); err != nil {
		return nothing, skip(err)
	}
	return nothing, nil
}

func stopReplica(ctx context.Context, f *field, host int) (heal, error) {
	if err := f.say(ctx, host, "STOP REPLICA"); err != nil {
		return nothing, skip(err)
	}
	return nothing, nil
}

// startFenced cuts the primary off from the coordinators, so that its ackers are fenced while it lives and clients and
// ackers reach it, and starts replication on them again and again.
func startFenced(ctx context.Context, f *field, host int) (heal, error) {
	all := links(host, both, servers(host))
	undo := func(context.Context) error { return f.net.Heal(netlab.CutBaton, all...) }
	if err := f.net.Impair(netlab.CutBaton, all...); err != nil {
		return undo, err
	}
	// The server too hears nothing for a moment, else nobody calls it silent.
	if err := f.rig.Databases[host].Freeze(); err != nil {
		return undo, skip(errors.Join(err, undo(ctx)))
	}
	until, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	later := time.AfterFunc(1200*time.Millisecond, func() { _ = f.rig.Databases[host].Thaw() }) // again below
	defer later.Stop()
	for until.Err() == nil {
		for _, h := range servers(host) {
			_ = f.say(until, int(h), "START REPLICA") // it runs already, or it has nobody to follow
		}
		rest(until, 20*time.Millisecond)
	}
	return undo, thaw(f.rig.Databases[host])(ctx)
}

func switchover(ctx context.Context, f *field, _ int) (heal, error) {
	asked, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := f.rig.Client.Switchover(asked, demo.DatabaseName, api.SwitchoverRequest{Reason: "chaos"}, 0)
	if err != nil {
		return nothing, skip(fmt.Errorf("switchover: %w", err)) // refused with a reason, which is an answer
	}
	return nothing, nil
}

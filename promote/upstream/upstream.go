// Package upstream asks the server that this one follows whether it takes writes, once nothing has come from it for a while.
//
// An open primary commits a row of its own every half second for as long as its agent lives. Where nothing comes although the
// receiver hears the source, either nobody writes and the agent is gone, or the source is closed and nobody may be there to open
// it. Who leads cannot tell these apart without asking, and has no account there; whoever follows it has one.
package upstream

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/mysqld"
)

// How often is looked whether anything came, and for how long nothing may before the source is asked at every look.
const (
	every = time.Second
	quiet = 2 * time.Second
)

// Server asks a source. *mysqld.Server is one.
type Server interface {
	SourceClosed(ctx context.Context, src mysqld.Source) (bool, error)
}

// Observer watches the server that follows. *health.Checker is one.
type Observer interface {
	Latest() health.Observation
}

// Watch asks while Run runs. Describe may be called by any goroutine.
type Watch struct {
	server   Server
	observer Observer
	account  mysqld.Source
	log      *slog.Logger
	closed   atomic.Pointer[string] // who said so, host:port; nil: nobody
}

// New returns a Watch that asks with the account of replication; of account only that is used.
func New(server Server, observer Observer, account mysqld.Source, log *slog.Logger) *Watch {
	return &Watch{server: server, observer: observer, account: account, log: log}
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	var last seen
	since := time.Now()
	for ctx.Err() == nil {
		now := look(w.observer.Latest())
		if !now.same(last) {
			last, since = now, time.Now()
			w.closed.Store(nil)
		}
		if now.hears && time.Since(since) >= quiet {
			w.ask(ctx, now)
		}
		timer := time.NewTimer(beat.Until(every))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
	return nil
}

func (w *Watch) ask(ctx context.Context, now seen) {
	ctx, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	src := w.account
	src.Host, src.Port = now.host, now.port
	closed, err := w.server.SourceClosed(ctx, src)
	if err != nil {
		w.log.Debug("ask the source whether it takes writes", "err", err)
	}
	if !closed || err != nil {
		w.closed.Store(nil)
		return
	}
	address := health.Address(now.host, now.port)
	if w.closed.Swap(&address) == nil {
		w.log.Info("nothing comes from the source, and it says that it takes no writes", "source", address)
	}
}

// Describe adds to the report what the source of r has said.
func (w *Watch) Describe(r *health.Report) {
	if said := w.closed.Load(); said != nil && r.Replication != nil {
		r.Replication.SourceClosed = r.Replication.Source == *said
	}
}

// seen is what changes when something comes from a source.
type seen struct {
	hears bool
	host  string
	port  uint16
	holds mysqld.GTIDSet
}

func look(o health.Observation) seen {
	rep := o.Status.Replication
	if !o.Good || o.Err != nil || rep == nil || rep.Receiver != mysqld.ReceiverRunning {
		return seen{}
	}
	return seen{true, rep.SourceHost, rep.SourcePort, o.Status.Position()}
}

func (s seen) same(o seen) bool {
	return s.hears == o.hears && s.host == o.host && s.port == o.port && s.holds.Equal(o.holds)
}

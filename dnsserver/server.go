package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/baton-db/baton/registry"
)

// ErrBackwards is returned by Publish for records that are older than those shown (G6).
var ErrBackwards = errors.New("older than what is published")

// Server answers questions from the records last published. Make one with New, then Listen and Serve.
type Server struct {
	cfg   Config
	now   atomic.Pointer[published]
	mu    sync.Mutex // held by Publish
	held  atomic.Int64
	stale atomic.Int64 // nanoseconds since a leader was heard, 0: a moment ago
	socks []*socket
}

// published is a zone and the news that it has been replaced.
type published struct {
	zone     *zone
	replaced chan struct{} // closed by the next Publish
}

// New returns a server that answers SERVFAIL until the first Publish.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg.withDefaults()}
	z, _ := build(s.cfg, nil, 0)
	z.ready = false
	s.now.Store(&published{zone: z, replaced: make(chan struct{})})
	return s, nil
}

// Publish shows records, which belong to the state at index, from now on, and wakes the questions that are held. It
// returns ErrBackwards, and goes on showing what it showed, when index or the epoch of any name is lower than before
// (G6). Records that cannot be shown are left out and logged. It may be called from any goroutine.
func (s *Server) Publish(records []registry.Record, index registry.Index) error {
	next, problems := build(s.cfg, records, index)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.now.Load()
	if err := old.zone.older(next); err != nil {
		return fmt.Errorf("publish DNS records: %w", err)
	}
	for _, p := range problems {
		s.cfg.Logger.Warn("a record is not shown in DNS", "problem", p, "index", index)
	}
	s.now.Store(&published{zone: next, replaced: make(chan struct{})})
	close(old.replaced)
	return nil
}

// Index is the index of the records that are shown, 0 before the first Publish.
func (s *Server) Index() registry.Index { return s.now.Load().zone.index }

// Stale says how long this node has heard no leader, when that is too long; 0 ends it. Answers go on and carry EDE 3
// with the age (G7).
func (s *Server) Stale(age time.Duration) { s.stale.Store(int64(age)) }

func (s *Server) staleFor() time.Duration {
	return time.Duration(s.stale.Load()).Round(time.Second / 10)
}

// Held is how many questions wait for a primary now.
func (s *Server) Held() int { return int(s.held.Load()) }

// respond returns the answer to packet, or nil and a function that waits for it, or nil twice when there is none. The
// function returns when the answer is known, after Config.Hold, or when ctx ends, and never nothing.
func (s *Server) respond(packet []byte, t transport) ([]byte, func(context.Context) []byte) {
	q, ok := parse(packet)
	if !ok {
		return nil, nil
	}
	r, done := screen(q)
	if !done {
		r = answer(s.now.Load().zone, q.question())
	}
	if !r.pending || s.cfg.Hold < 0 {
		return s.message(q, r, t), nil
	}
	if s.held.Add(1) > int64(s.cfg.MaxHeld) {
		s.held.Add(-1)
		return s.message(q, r, t), nil
	}
	return nil, func(ctx context.Context) []byte {
		defer s.held.Add(-1)
		return s.message(q, s.hold(ctx, q.question()), t)
	}
}

// hold answers q when nothing is pending any more, and as it stands after Config.Hold or when ctx ends.
func (s *Server) hold(ctx context.Context, q question) reply {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Hold)
	defer cancel()
	for {
		p := s.now.Load()
		r := answer(p.zone, q)
		if !r.pending {
			return r
		}
		select {
		case <-p.replaced:
		case <-ctx.Done():
			return r
		}
	}
}

// question returns what answer needs, with a turn drawn by chance.
func (q query) question() question {
	return question{name: q.name, asked: q.asked, qtype: q.qtype, turn: rand.Uint32()}
}

// Listen binds every address of Config.Listen by UDP and TCP, or none. Port 0 takes a free one.
func (s *Server) Listen() error {
	for _, text := range s.cfg.Listen {
		ap, err := parseListen(text)
		if err == nil {
			err = s.bind(ap)
		}
		if err != nil {
			s.Close()
			s.socks = nil
			return err
		}
	}
	return nil
}

// Addrs are the addresses that Listen has bound, in the order of Config.Listen.
func (s *Server) Addrs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, k := range s.socks {
		all = append(all, k.addr)
	}
	return all
}

// Serve answers until ctx ends, calling Listen first when nobody has; then it answers the questions that are held as
// they stand, closes the sockets and returns nil. It returns early with an error when a socket fails.
func (s *Server) Serve(ctx context.Context) error {
	if len(s.socks) == 0 {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	defer s.Close()
	group, ctx := errgroup.WithContext(ctx)
	limits := newDoor()
	for _, k := range s.socks {
		group.Go(func() error { return s.serveUDP(ctx, k) })
		group.Go(func() error { return s.serveTCP(ctx, k, limits) })
	}
	group.Go(func() error {
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}

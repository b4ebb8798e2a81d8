package discovery

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// ErrClosed is what a closed Gossip answers.
var ErrClosed = errors.New("gossip is closed")

// Gossip is this node's part in the gossip of its cluster. Its methods are safe for concurrent use.
type Gossip struct {
	cfg     Config
	life    life
	list    *memberlist.Memberlist
	members *members
	logs    *logQueue
	tell    *delegate
	urgent  urgency

	mu     sync.Mutex // guards closed; held while memberlist is left or shut down
	closed bool
}

// Open begins to listen and to answer; it contacts nobody. tr is nil for sockets on cfg.Bind. A port in use is named in
// the error.
func Open(cfg Config, tr Transport) (*Gossip, error) {
	if err := cfg.Validate(tr); err != nil {
		return nil, err
	}
	lib, err := cfg.library(tr)
	if err != nil {
		return nil, err
	}
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // never fails
	urgent := make(urgency, 1)
	g := &Gossip{cfg: cfg, life: life(binary.BigEndian.Uint64(seed[:])), members: newMembers(), logs: newLogQueue(urgent), urgent: urgent}
	meta, err := cfg.Meta.encode(cfg.Name, g.life)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	notices := &memberlist.TransmitLimitedQueue{NumNodes: g.members.count, RetransmitMult: cfg.Timing.RetransmitMult}
	d := &delegate{name: cfg.Name, meta: meta, members: g.members, logs: g.logs, urgent: urgent, notices: notices}
	g.tell = d
	lib.Delegate, lib.Events, lib.Alive, lib.Conflict = d, d, d, d
	lib.Logger = log.New(g.logs, "", 0)
	if g.list, err = memberlist.Create(lib); err != nil {
		return nil, explainOpen(cfg, err)
	}
	return g, nil
}

// explainOpen recognises a port in use by its text, since memberlist does not wrap the cause.
func explainOpen(cfg Config, err error) error {
	if host, port, splitErr := net.SplitHostPort(cfg.Bind); splitErr == nil && strings.Contains(err.Error(), "address already in use") {
		return fmt.Errorf("gossip: port %s of %s is in use (it is needed for both TCP and UDP); is baton running already? ss -lntup shows by whom: %w",
			port, host, err)
	}
	return fmt.Errorf("gossip: listen on %s: %w", cfg.Bind, err)
}

// Addr is the address under which others reach this node.
func (g *Gossip) Addr() netip.AddrPort {
	self, _ := g.members.find(g.cfg.Name) // memberlist.Create took it in
	return self.Addr
}

// Members is every member known, also this node, and those that failed or left in the time that Timing says, by name.
func (g *Gossip) Members() []Member { return g.members.snapshot() }

// Changed is a channel that is closed at the next change of Members. Take it before reading Members, so that no change
// falls in between.
func (g *Gossip) Changed() <-chan struct{} { return g.members.changes() }

// Events yields what happens to members until ctx ends, beginning with all that are there. A slow caller holds up nobody:
// changes come together, and what began and ended in between is not seen.
func (g *Gossip) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		var before []Member
		for {
			changed := g.Changed()
			after := g.Members()
			for e := range Diff(before, after) {
				if !yield(e) {
					return
				}
			}
			before = after
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Ping asks a member directly whether it is there, without the help of others, and returns the round trip. It takes at
// most Timing.ProbeTimeout.
func (g *Gossip) Ping(name string) (time.Duration, error) {
	m, ok := g.members.find(name)
	if !ok {
		return 0, fmt.Errorf("ping %s: no such member", name)
	}
	rtt, err := g.list.Ping(name, net.UDPAddrFromAddrPort(m.Addr))
	if err != nil {
		return 0, fmt.Errorf("ping %s at %s: %w", name, m.Addr, err)
	}
	return rtt, nil
}

// Leave says goodbye, so that the others see Left and not Failed, and returns when the news is out, or with an error at
// ctx's deadline or after Timing.LeaveTimeout, whichever is sooner. Afterwards only Close makes sense.
func (g *Gossip) Leave(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fmt.Errorf("leave: %w", ErrClosed)
	}
	wait := g.cfg.Timing.LeaveTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline))
	}
	if wait <= 0 { // memberlist would take it for "no limit"
		return fmt.Errorf("leave the gossip: no time left: %w", context.DeadlineExceeded)
	}
	if g.members.goodbye(g.cfg.Name, g.life) {
		g.tell.spread(encodeLeave(g.cfg.Name, g.life))
	}
	ctx, cancel := context.WithCancel(ctx)
	var hurry sync.WaitGroup
	hurry.Go(func() { g.hurry(ctx) }) // Run has often returned by now
	err := g.list.Leave(wait)
	cancel()
	hurry.Wait()
	if err != nil {
		return fmt.Errorf("leave the gossip: %w", err)
	}
	return nil
}

// Close stops listening and answering, without a goodbye: the others will see this node fail, unless it left. It may be
// called twice. See the package comment for what it does not wait for.
func (g *Gossip) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	if err := g.list.Shutdown(); err != nil {
		return fmt.Errorf("close the gossip: %w", err)
	}
	return nil
}

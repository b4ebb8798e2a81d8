package raft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/raft/vendorlog"
	"github.com/baton-db/baton/registry"
)

// StreamLayer carries the bytes between servers. Both ends must already know each other: whoever gets through Accept or
// Dial is trusted as a server of this cluster. Addr is not used; others see Config.Advertise.
type StreamLayer interface {
	net.Listener
	// Dial connects to another server. ctx has a deadline and covers the whole set-up.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// A transport is the vendor's network transport with four differences.
//
// It has no fast path for heartbeats. In the vendor's v1.8.0 that path changes term and state beside the main loop, so
// that a leader which was paused can write entries under its successor's term; without it a heartbeat waits its turn
// behind the disk.
//
// A leader whose own disk is stalled sends nothing. Its heartbeats would keep the others from electing a leader that can
// write.
//
// A follower that has just heard from this leader by other means needs no heartbeat. (How often the vendor sends them to
// others: see Replica.pace.)
//
// Entries for a server that does not answer are held until a heartbeat reaches it. The vendor would wait up to 10 s after
// its return before sending any, while its heartbeats let the leader believe in a majority that cannot commit.
type transport struct {
	*hraft.NetworkTransport
	stalled func() bool
	poll    time.Duration
	// reigns says whether this server leads in a term; set as soon as there is a raft to ask.
	reigns atomic.Pointer[func(term uint64) bool]
	done   chan struct{}
	once   sync.Once
	mu     sync.Mutex
	lost   map[hraft.ServerID]bool // the last call failed
	// pace is the pause between two calls to a server that has nothing to be told.
	pace   time.Duration
	called map[hraft.ServerID]time.Time // when the last call began that was answered
	heard  map[hraft.ServerID]time.Time // when that answer came
}

// errStalled is what calls fail with while the own disk is stalled.
var errStalled = errors.New("this server's disk is stalled")

// errNotReigning ends the wait of a call whose term is over.
var errNotReigning = errors.New("no longer the leader of this term")

func newTransport(c Config, s *streams, stalled func() bool) *transport {
	var addresses hraft.ServerAddressProvider
	if c.AddressOf != nil {
		addresses = addressBook(c.AddressOf)
	}
	return &transport{
		NetworkTransport: hraft.NewNetworkTransportWithConfig(&hraft.NetworkTransportConfig{
			Stream:                s,
			Logger:                vendorlog.New(c.Logger),
			Timeout:               c.Timing.RPC,
			ServerAddressProvider: addresses,
			MaxPool:               3, // heartbeats, entries, votes
			MaxRPCsInFlight:       1, // no pipeline: a call and its sync are over before the next begins
		}),
		stalled: stalled,
		poll:    c.Timing.Heartbeat / 20,
		done:    make(chan struct{}),
		lost:    map[hraft.ServerID]bool{},
		pace:    c.Timing.Heartbeat / 4,
		called:  map[hraft.ServerID]time.Time{},
		heard:   map[hraft.ServerID]time.Time{},
	}
}

// SetHeartbeatHandler drops the handler; see transport.
func (t *transport) SetHeartbeatHandler(func(hraft.RPC)) {}

// AppendEntries sends entries or a heartbeat.
func (t *transport) AppendEntries(id hraft.ServerID, to hraft.ServerAddress, q *hraft.AppendEntriesRequest, a *hraft.AppendEntriesResponse) error {
	heartbeat := q.PrevLogEntry == 0 && q.PrevLogTerm == 0 && len(q.Entries) == 0 && q.LeaderCommitIndex == 0
	if heartbeat {
		t.rest(id)
	} else if err := t.await(id, q.Term); err != nil {
		return err
	}
	if t.stalled() {
		return errStalled
	}
	began := time.Now()
	err := t.NetworkTransport.AppendEntries(id, to, q, a)
	t.note(id, began, err)
	return err
}

// InstallSnapshot sends a snapshot.
func (t *transport) InstallSnapshot(id hraft.ServerID, to hraft.ServerAddress, q *hraft.InstallSnapshotRequest, a *hraft.InstallSnapshotResponse, from io.Reader) error {
	if err := t.await(id, q.Term); err != nil {
		return err
	}
	if t.stalled() {
		return errStalled
	}
	began := time.Now()
	err := t.NetworkTransport.InstallSnapshot(id, to, q, a, from)
	t.note(id, began, err)
	return err
}

// note remembers how a call ended that began then.
func (t *transport) note(id hraft.ServerID, began time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost[id] = err != nil; err == nil {
		t.called[id], t.heard[id] = began, time.Now()
	}
}

// rest waits until a heartbeat to id is due. One that does not answer is tried at the vendor's pace.
func (t *transport) rest(id hraft.ServerID) {
	t.mu.Lock()
	wait := t.pace - time.Since(t.called[id])
	if t.lost[id] {
		wait = 0
	}
	t.mu.Unlock()
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-t.done:
	case <-timer.C:
	}
}

// lastHeard is when id last answered a call of this server; zero: never.
func (t *transport) lastHeard(id hraft.ServerID) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard[id]
}

func (t *transport) isLost(id hraft.ServerID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost[id]
}

// await returns when id may be reachable, or with an error when this server no longer leads in the term.
func (t *transport) await(id hraft.ServerID, term uint64) error {
	for t.isLost(id) {
		select {
		case <-t.done:
			return hraft.ErrTransportShutdown
		case <-time.After(t.poll):
		}
		if reigns := t.reigns.Load(); reigns != nil && !(*reigns)(term) {
			return errNotReigning
		}
	}
	return nil
}

// Close ends everything that is under way.
func (t *transport) Close() error {
	t.once.Do(func() { close(t.done) })
	return t.NetworkTransport.Close()
}

// addressBook asks where a server is now.
type addressBook func(registry.NodeID) (string, bool)

// ServerAddr returns the present address of a server or an error, upon which the vendor takes the stored one.
func (b addressBook) ServerAddr(id hraft.ServerID) (hraft.ServerAddress, error) {
	addr, ok := b(registry.NodeID(id))
	if !ok {
		return "", fmt.Errorf("no newer address of %s", id)
	}
	return hraft.ServerAddress(addr), nil
}

// streams is a StreamLayer as the vendor wants it. It remembers its connections, because the vendor's Close leaves those
// that were accepted, and the goroutines on them, alive.
type streams struct {
	StreamLayer
	advertise string
	dial      func(addr string, timeout time.Duration) (net.Conn, error)
	cancel    context.CancelFunc
	mu        sync.Mutex
	closed    bool
	open      map[*stream]struct{}
}

func newStreams(layer StreamLayer, advertise string) *streams {
	ctx, cancel := context.WithCancel(context.Background())
	s := &streams{StreamLayer: layer, advertise: advertise, cancel: cancel, open: map[*stream]struct{}{}}
	s.dial = func(addr string, timeout time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return layer.Dial(ctx, addr)
	}
	return s
}

// Addr is the advertised address: the vendor puts it into every message.
func (s *streams) Addr() net.Addr { return advertised(s.advertise) }

// Accept waits for a connection.
func (s *streams) Accept() (net.Conn, error) {
	c, err := s.StreamLayer.Accept()
	if err != nil {
		return nil, err
	}
	return s.remember(c)
}

// Dial connects to another server.
func (s *streams) Dial(to hraft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	c, err := s.dial(string(to), timeout)
	if err != nil {
		return nil, err
	}
	return s.remember(c)
}

// Close closes the listener and every connection.
func (s *streams) Close() error {
	s.cancel()
	err := s.StreamLayer.Close()
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = map[*stream]struct{}{}
	s.mu.Unlock()
	for c := range open {
		c.Conn.Close()
	}
	return err
}

func (s *streams) remember(c net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	one := &stream{c, s}
	s.open[one] = struct{}{}
	return one, nil
}

// stream is one connection that forgets itself when it is closed.
type stream struct {
	net.Conn
	of *streams
}

// Close closes the connection.
func (c *stream) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// advertised is an address as the vendor wants it.
type advertised string

// Network is "raft".
func (advertised) Network() string { return "raft" }

// String is the address.
func (a advertised) String() string { return string(a) }

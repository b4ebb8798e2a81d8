package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

const (
	// followSilence is how long a stream may say nothing before the follower goes elsewhere: eight keepalives.
	followSilence = 2 * time.Second
	// followBehind is how long a server may be cut off from the leader, or behind the follower, before the follower goes
	// elsewhere, if there is an elsewhere.
	followBehind = 2 * time.Second
	// followBackoff and followBackoffMax bound the pause between two streams; half of it is chance, so that a thousand
	// followers do not return at once.
	followBackoff    = 50 * time.Millisecond
	followBackoffMax = time.Second
)

var (
	errOtherCluster = errors.New("the state of another cluster")
	errGap          = errors.New("the stream does not continue this state")
	errBehind       = errors.New("the server is cut off from its leader")
	errSilent       = errors.New("the stream is silent")
)

// Follower keeps a State equal to the servers' by their state stream. It is what raft's replica is on a server: the last
// state stays when nobody is heard (G7), and it never goes back (G6).
type Follower struct {
	client  *Client
	cluster registry.ClusterID
	feed    *registry.Feed
	begun   time.Time

	// heard is when the last frame came, since begun; contact is how old it was then.
	heard, contact atomic.Int64
	// amiss says that the next stream must begin with a snapshot; used by Run only.
	amiss bool
}

// NewFollower returns a follower of cluster that holds an empty state until Run has heard a server.
func NewFollower(client *Client, cluster registry.ClusterID) *Follower {
	return &Follower{client: client, cluster: cluster, feed: registry.NewFeed(registry.New(cluster)), begun: time.Now()}
}

// State is the newest state, never nil; at index 0 nothing was ever heard.
func (f *Follower) State() *registry.State { return f.feed.State() }

// Changed returns a channel that is closed at the next change. Take it before State.
func (f *Follower) Changed() <-chan struct{} { return f.feed.Changed() }

// Age is how old the state may be: since the last frame, plus how long before it the server had heard its leader. Before
// the first frame it is the age of the follower.
func (f *Follower) Age() time.Duration {
	return time.Since(f.begun) - time.Duration(f.heard.Load()) + time.Duration(f.contact.Load())
}

// Run follows one server after the other until ctx ends; it returns nil then and has no other end.
func (f *Follower) Run(ctx context.Context) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = followBackoff, followBackoffMax
	var said string
	for {
		progress, err := f.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if progress {
			pause.Reset()
		}
		if msg := err.Error(); msg != said {
			said = msg
			f.client.cfg.Log.Info("state stream lost, going elsewhere", "error", err, "index", f.State().Index(), "age", f.Age())
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
			return nil
		}
	}
}

// follow reads one stream to its end and reports whether it brought anything. The error is never nil.
func (f *Follower) follow(ctx context.Context) (progress bool, err error) {
	addrs := f.client.inTurn()
	if len(addrs) == 0 {
		return false, errors.New("no server address is known")
	}
	addr := addrs[0]
	defer f.client.giveUp(addr)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(followSilence, func() { cancel(errSilent) })
	defer watchdog.Stop()
	body, err := f.open(ctx, addr)
	if err != nil {
		return false, fmt.Errorf("follow %s: %w", addr, errors.Join(err, context.Cause(ctx)))
	}
	defer func() { _ = body.Close() }()
	lively := heeded{body, func() { watchdog.Reset(followSilence) }} // a large frame may take longer
	good := time.Now()                                               // when the server last was in touch with its leader
	for {
		fr, err := ReadFrame(lively)
		if err != nil {
			return progress, fmt.Errorf("follow %s: %w", addr, errors.Join(err, context.Cause(ctx)))
		}
		if err := f.take(fr); err != nil {
			f.amiss = true
			return progress, fmt.Errorf("follow %s: %w", addr, err)
		}
		if fr.Contact < followBehind && fr.Index >= f.State().Index() {
			good, progress = time.Now(), true
		}
		if time.Since(good) > followBehind && len(addrs) > 1 {
			return progress, fmt.Errorf("follow %s: %w", addr, errBehind)
		}
	}
}

// heeded is a reader that tells of every byte.
type heeded struct {
	io.Reader
	tell func()
}

// Read reads.
func (h heeded) Read(b []byte) (int, error) {
	n, err := h.Reader.Read(b)
	if n > 0 {
		h.tell()
	}
	return n, err
}

// open asks addr for the stream from where this follower stands.
func (f *Follower) open(ctx context.Context, addr string) (io.ReadCloser, error) {
	query := "cluster=" + url.QueryEscape(string(f.cluster))
	if i := f.State().Index(); i > 0 && !f.amiss {
		query += "&index=" + IndexText(i)
	}
	transport := f.client.cfg.Transport
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, transport.URL(addr, "/v1/state/stream", query), nil)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody))
		return nil, errors.Join(problemIn(resp.Status, b), err)
	}
	return resp.Body, nil
}

// take makes one frame part of the state.
func (f *Follower) take(fr Frame) error {
	var err error
	switch fr.Kind {
	case FrameSnapshot:
		err = f.replace(fr)
	case FrameCommands:
		err = f.apply(fr)
	}
	if err != nil {
		return err
	}
	f.contact.Store(int64(fr.Contact))
	f.heard.Store(int64(time.Since(f.begun)))
	return nil
}

// replace takes a snapshot, unless it is older than what the follower has (G6).
func (f *Follower) replace(fr Frame) error {
	s, err := codec.DecodeState(fr.State)
	if err != nil {
		return fmt.Errorf("snapshot at %d: %w", fr.Index, err)
	}
	own := f.State().Index()
	switch {
	case s.Cluster() != f.cluster:
		return fmt.Errorf("snapshot of %q, this is %q: %w", s.Cluster(), f.cluster, errOtherCluster)
	case s.Index() != fr.Index:
		return fmt.Errorf("snapshot at %d holds index %d: %w", fr.Index, s.Index(), ErrFrame)
	case fr.Index < own:
		return fmt.Errorf("snapshot at %d, own index is %d: %w", fr.Index, own, errGap)
	}
	f.amiss = false
	if fr.Index > own {
		f.feed.Publish(s)
	}
	return nil
}

// apply takes commands and publishes once, behind the last. A command that Apply refuses changes nothing but the index,
// as on every server. One that cannot be read stops the follower here: a later snapshot may bring it past.
func (f *Follower) apply(fr Frame) error {
	s := f.State()
	if fr.Prev != s.Index() {
		return fmt.Errorf("commands behind %d, own index is %d: %w", fr.Prev, s.Index(), errGap)
	}
	for _, c := range fr.Commands {
		cmd, err := codec.Decode(c.Bytes)
		if err != nil {
			return fmt.Errorf("command %d: %w", c.Index, err)
		}
		s, _ = s.Next(c.Index, cmd) // refused here as everywhere
	}
	f.feed.Publish(s)
	return nil
}

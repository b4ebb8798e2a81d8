package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// enter takes a place among the streams of this server; leave must follow.
func (s *Server) enter() error {
	if s.streams.Add(1) > s.cfg.MaxStreams {
		s.streams.Add(-1)
		return api.NewProblem(api.CodeTooMany, "ask another server", "%d streams are open here", s.cfg.MaxStreams)
	}
	return nil
}

func (s *Server) leave() { s.streams.Add(-1) }

// closing ends when this server stops; it never does where requests do not come through Serve.
func (c *call) closing() context.Context {
	if ctx, ok := c.r.Context().Value(closingKey{}).(context.Context); ok {
		return ctx
	}
	return context.Background()
}

// stateStream sends a snapshot or the commands behind ?index, then whatever is committed, until one side has enough.
func (s *Server) stateStream(c *call) (any, error) {
	at, snapshot, err := s.streamStart(c)
	if err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	rc := http.NewResponseController(c.w)
	c.w.Header().Set("Content-Type", api.FramesType)
	keepalive := time.NewTicker(s.cfg.Keepalive)
	defer keepalive.Stop()
	due := true // the first frame says at once that the stream lives
	for {
		changed := s.cfg.Backend.Changed()
		b, next, err := s.pack(at, snapshot)
		if err != nil {
			return nil, err
		}
		if b == nil && due {
			b = api.AppendFrame(nil, api.Frame{Kind: api.FrameKeepalive, Index: s.cfg.Backend.State().Index(), Contact: s.cfg.Backend.LastContact()})
		}
		if b != nil {
			// WriteTime is for one frame: a follower that stands still is cut off, and nobody waited for it.
			_ = rc.SetWriteDeadline(time.Now().Add(s.cfg.WriteTime))
			if _, err := c.w.Write(b); err != nil || rc.Flush() != nil {
				return nil, nil
			}
			at, snapshot, due = next, false, false
			continue
		}
		select {
		case <-changed:
		case <-keepalive.C:
			due = true
		case <-c.r.Context().Done():
			return nil, nil
		case <-c.closing().Done():
			return nil, nil
		}
	}
}

// streamStart reads where a follower wants to go on.
func (s *Server) streamStart(c *call) (at registry.Index, snapshot bool, err error) {
	q := c.r.URL.Query()
	if q.Has("cluster") {
		if own := s.cfg.Backend.State().Cluster(); q.Get("cluster") != string(own) {
			return 0, false, api.NewProblem(api.CodeCluster, "check the server addresses of the follower", "this is cluster %q, not %q", own, q.Get("cluster"))
		}
	}
	if !q.Has("index") {
		return 0, true, nil
	}
	i, err := strconv.ParseUint(q.Get("index"), 10, 64)
	if err != nil {
		return 0, false, api.NewProblem(api.CodeMalformed, "", "index = %q: want a whole number", q.Get("index"))
	}
	return registry.Index(i), false, nil
}

// pack returns the next frame for a follower that stands at index at, nil when there is nothing new, and where it
// stands then.
func (s *Server) pack(at registry.Index, snapshot bool) ([]byte, registry.Index, error) {
	if !snapshot {
		commands, ok := s.cfg.Backend.Since(at)
		if ok && len(commands) == 0 {
			return nil, at, nil
		}
		if ok {
			commands = commands[:api.Batch(commands)]
			f := api.Frame{Kind: api.FrameCommands, Index: commands[len(commands)-1].Index, Prev: at, Commands: commands}
			return s.packer.pack(f, s.cfg.Backend), f.Index, nil
		}
	}
	st := s.cfg.Backend.State()
	if st.Index() < at {
		return nil, at, nil // this server is behind the follower: nothing goes backwards (G6)
	}
	b, err := s.packer.packState(st, s.cfg.Backend)
	return b, st.Index(), err
}

// packer keeps the newest snapshot and the newest commands frame, so that a change costs one encoding however many
// followers wait for it.
type packer struct {
	mu       sync.Mutex
	snapshot packed
	commands packed
}

type packed struct {
	prev, index registry.Index
	bytes       []byte
}

// pack returns the bytes of a commands frame. Its contact may be as old as the frame.
func (p *packer) pack(f api.Frame, b Backend) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.commands.bytes == nil || p.commands.prev != f.Prev || p.commands.index != f.Index {
		f.Contact = b.LastContact()
		p.commands = packed{prev: f.Prev, index: f.Index, bytes: api.AppendFrame(nil, f)}
	}
	return p.commands.bytes
}

// packState returns the bytes of a snapshot frame of st. Its contact may be as old as the frame.
func (p *packer) packState(st *registry.State, b Backend) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.snapshot.bytes != nil && p.snapshot.index == st.Index() {
		return p.snapshot.bytes, nil
	}
	encoded, err := codec.EncodeState(st)
	if err != nil {
		return nil, fmt.Errorf("state stream: %w", err)
	}
	if len(encoded) > api.MaxState {
		return nil, errors.New("state stream: the state is larger than a frame")
	}
	f := api.Frame{Kind: api.FrameSnapshot, Index: st.Index(), State: encoded, Contact: b.LastContact()}
	p.snapshot = packed{index: f.Index, bytes: api.AppendFrame(nil, f)}
	return p.snapshot.bytes, nil
}

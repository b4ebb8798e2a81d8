package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// Config is what a Server needs.
type Config struct {
	Node    registry.NodeID
	Version string // of this baton, for people
	Backend Backend
	// Identify says who is at the other end; cs is zero for a connection without TLS. A stranger is the zero Peer, not an
	// error; an error refuses the request.
	Identify func(cs tls.ConnectionState) (api.Peer, error)
	// Forward reaches the leader's API with this server's identity.
	Forward *api.Transport
	Log     *slog.Logger

	// RequestTime bounds the work on one request, the wait of a switchover apart.
	RequestTime time.Duration
	// BodyTime is how long a body may take to arrive, and how long a report stream may be silent.
	BodyTime, ReportSilence time.Duration
	// Keepalive is how often a silent state stream says that it lives, and WriteTime how long a follower may take to
	// accept a frame before it is cut off.
	Keepalive, WriteTime time.Duration
	// MaxStreams bounds state and report streams together.
	MaxStreams int64
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&c.RequestTime, 5*time.Second)
	def(&c.BodyTime, 10*time.Second)
	def(&c.ReportSilence, time.Minute)
	def(&c.Keepalive, 250*time.Millisecond)
	def(&c.WriteTime, 10*time.Second)
	if c.MaxStreams == 0 {
		c.MaxStreams = 10_000
	}
	return c
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Node == "" || c.Backend == nil || c.Identify == nil || c.Forward == nil || c.Log == nil {
		return errors.New("api server: Node, Backend, Identify, Forward and Log must be set")
	}
	return nil
}

// Server answers the API of one server node.
type Server struct {
	cfg     Config
	streams atomic.Int64
	packer  packer
}

// New returns a server that nothing reaches yet; see Serve.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{cfg: cfg.withDefaults()}, nil
}

// closingKey finds in a request's context the context of Serve, whose end ends the streams.
type closingKey struct{}

// Serve answers on l, whose connections may be plain or *tls.Conn, until ctx ends or l fails. Then streams end at once,
// other requests have RequestTime to finish, and Serve returns; nil when ctx ended it. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cut := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), closingKey{}, ctx))
	defer cut()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler:           s.handler(),
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		Protocols:         &protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 256,
			SendPingTimeout:      5 * time.Second, PingTimeout: 5 * time.Second, WriteByteTimeout: 10 * time.Second,
		},
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	failed := make(chan error, 1)
	wg.Go(func() { failed <- srv.Serve(l) })
	select {
	case err := <-failed:
		return fmt.Errorf("serve the API on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(base, s.cfg.RequestTime)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		_ = srv.Close() // their requests had their time
	}
	return nil
}

// call is one request on its way through a route.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	peer api.Peer // on whose behalf it comes
	db   registry.DatabaseName
	// stale says that the answer may come from this server's own state.
	stale bool
	// wait is the wait parameter of the query.
	wait time.Duration
	// status of the answer, 200 unless the route says otherwise.
	status int
}

// answer runs one route from permission to response.
func (s *Server) answer(rt Route, w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, db: registry.DatabaseName(r.PathValue("db")), status: http.StatusOK}
	w.Header().Set(api.HeaderIndex, api.IndexText(s.cfg.Backend.State().Index()))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	v, err := s.run(rt, c)
	switch {
	case err != nil:
		s.refuse(w, err)
	case v != nil:
		s.write(w, c.status, "application/json", v)
	}
}

func (s *Server) run(rt Route, c *call) (any, error) {
	if err := s.admit(rt, c); err != nil {
		return nil, err
	}
	if rt.Place == Here {
		return rt.serve(s, c)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), s.cfg.RequestTime+c.wait)
	defer cancel()
	c.r = c.r.WithContext(ctx)
	if c.stale {
		leader, _ := s.cfg.Backend.Leader()
		c.w.Header().Set(api.HeaderLeader, string(leader))
		c.w.Header().Set(api.HeaderContact, strconv.FormatInt(s.cfg.Backend.LastContact().Milliseconds(), 10))
		return rt.serve(s, c)
	}
	leader, apiAddr := s.cfg.Backend.Leader()
	if leader != s.cfg.Node {
		return nil, s.forward(c, leader, apiAddr)
	}
	if rt.Place == Fresh {
		if err := s.barrier(ctx); err != nil {
			return nil, err
		}
	}
	return rt.serve(s, c)
}

// barrier waits until this server's state is fresh (G9).
func (s *Server) barrier(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTime)
	defer cancel()
	if err := s.cfg.Backend.Barrier(ctx); err != nil {
		return fmt.Errorf("read through the log: %w", err)
	}
	return nil
}

// admit refuses what must not reach the route and fills c from the request.
func (s *Server) admit(rt Route, c *call) error {
	var cs tls.ConnectionState
	if c.r.TLS != nil {
		cs = *c.r.TLS
	}
	peer, err := s.cfg.Identify(cs)
	if err != nil {
		return api.NewProblem(api.CodeStranger, "present a valid certificate of this cluster", "%v", err)
	}
	if err := Authorize(peer, rt.Verb, c.db); err != nil {
		return err
	}
	c.peer = peer
	if behalf := c.r.Header.Get(api.HeaderPeer); behalf != "" && peer.Role == registry.RoleServer {
		role, name, _ := strings.Cut(behalf, "/")
		c.peer = api.Peer{Role: registry.Role(role), Name: name}
		if err := Authorize(c.peer, rt.Verb, c.db); err != nil {
			return err
		}
	}
	if http.NewCrossOriginProtection().Check(c.r) != nil {
		return api.NewProblem(api.CodeCrossOrigin, "", "a page of another site may not act with this browser's certificate")
	}
	if strings.Contains(rt.Path, "{db}") {
		if err := registry.ValidName(string(c.db)); err != nil {
			return api.NewProblem(api.CodeMalformed, "", "database: %v", err)
		}
	}
	return c.query(rt)
}

// query reads the parameters that every route has in common and refuses those that this one has not.
func (c *call) query(rt Route) error {
	q := c.r.URL.Query()
	for name, values := range q {
		if !slices.Contains(rt.Query, name) || len(values) > 1 {
			return api.NewProblem(api.CodeMalformed, "parameters here: "+strings.Join(rt.Query, ", "), "parameter %q is unknown or given twice", name)
		}
	}
	if q.Has("stale") {
		if v := q.Get("stale"); v != "" && v != "1" && v != "true" {
			return api.NewProblem(api.CodeMalformed, "write ?stale", "stale = %q", v)
		}
		c.stale = true
	}
	if q.Has("wait") {
		d, err := time.ParseDuration(q.Get("wait"))
		if err != nil || d < 0 || d > maxWait {
			return api.NewProblem(api.CodeMalformed, "", "wait = %q: want a duration of 0s to %s", q.Get("wait"), maxWait)
		}
		c.wait = d
	}
	return nil
}

// body reads the whole body within BodyTime.
func (s *Server) body(c *call) ([]byte, error) {
	rc := http.NewResponseController(c.w)
	_ = rc.SetReadDeadline(time.Now().Add(s.cfg.BodyTime)) // not supported by some test writers
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, api.MaxBody))
	if err != nil {
		if api.ProblemOf(err).Code == api.CodeInternal {
			return nil, api.NewProblem(api.CodeMalformed, "", "read body: %v", err)
		}
		return nil, fmt.Errorf("read body: %w", err)
	}
	_ = rc.SetReadDeadline(time.Time{})
	return b, nil
}

// malformed is the problem of a body that could not be read.
func malformed(err error) error {
	return api.NewProblem(api.CodeMalformed, "", "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// mediaType refuses a body that does not say that it is want. It also keeps out HTML forms.
func (c *call) mediaType(want string) error {
	got, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(strings.ToLower(got)) != want {
		return api.NewProblem(api.CodeMediaType, "set Content-Type: "+want, "the body is %q", got)
	}
	return nil
}

// refuse writes err as a problem.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	p := api.ProblemOf(err)
	if p.Node == "" {
		p.Node, p.Index = s.cfg.Node, s.cfg.Backend.State().Index()
	}
	if p.Code == api.CodeNotLeader || p.Code == api.CodeNoQuorum {
		if p.Leader, p.LeaderAPI = s.cfg.Backend.Leader(); p.Leader == p.Node {
			p.Leader, p.LeaderAPI = "", "" // it is on its way out
		}
	}
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	if p.Code == api.CodeInternal {
		s.cfg.Log.Error("request failed", "error", err)
	}
	w.Header().Set(api.HeaderIndex, api.IndexText(p.Index))
	s.write(w, p.Status, "application/problem+json", p)
}

func (s *Server) write(w http.ResponseWriter, status int, contentType string, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		s.cfg.Log.Error("encode a response", "type", fmt.Sprintf("%T", v), "error", err)
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the peer is gone: nobody to tell
}

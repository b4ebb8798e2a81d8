package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// answerTime bounds one request at one server where the caller's context does not, the wait of a switchover apart.
const answerTime = 10 * time.Second

// maxAnswer is the largest answer a client takes, in bytes.
const maxAnswer = 64 << 20

// ClientConfig is what a Client needs.
type ClientConfig struct {
	// Addrs returns the host:port of the servers' APIs. It is asked at every request, by any goroutine, and must not block.
	Addrs func() []string
	// Transport reaches them; the client does not close it.
	Transport *Transport
	// Node is set on servers: a proposal they hand on counts as forwarded and goes no further.
	Node registry.NodeID
	// Patience is for how long a request is put again to every server while none of them leads, within its context: an
	// election is over soon. 0: once. Nothing is put again that may have had an effect.
	Patience time.Duration
	Log      *slog.Logger
}

// Static is a list of addresses that does not change.
func Static(addrs ...string) func() []string { return func() []string { return addrs } }

// Client asks the API of whichever server answers. It is safe for concurrent use. Errors that a server gave are
// *Problem; errors.Is finds the sentinels in them.
type Client struct {
	cfg ClientConfig
	// turn counts the addresses that were given up, so that all goroutines begin with one that worked.
	turn atomic.Uint64
}

// NewClient returns a client that begins at an address chosen at random, so that clients spread over the servers.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Addrs == nil || cfg.Transport == nil || cfg.Log == nil {
		return nil, errors.New("api client: Addrs, Transport and Log must be set")
	}
	c := &Client{cfg: cfg}
	c.turn.Store(rand.Uint64N(1 << 32))
	return c, nil
}

// Consistency is how fresh a read must be.
type Consistency string

// The consistencies.
const (
	Current Consistency = "current" // everything acknowledged before the read began (G9)
	Stale   Consistency = "stale"   // what the server that answers has; Meta says how old it may be
)

// Status returns the cluster in one answer.
func (c *Client) Status(ctx context.Context, how Consistency) (Status, error) {
	var v Status
	meta, err := c.get(ctx, "/v1/status", how, &v)
	v.Meta = meta
	return v, err
}

// Members returns what gossip says, as the server that answers hears it.
func (c *Client) Members(ctx context.Context) (MemberList, error) {
	var v MemberList
	meta, err := c.get(ctx, "/v1/members", Current, &v)
	v.Meta = meta
	return v, err
}

// Databases returns every database in a line.
func (c *Client) Databases(ctx context.Context, how Consistency) (DatabaseList, error) {
	var v DatabaseList
	meta, err := c.get(ctx, "/v1/databases", how, &v)
	v.Meta = meta
	return v, err
}

// Database returns one database: what is decided and what is seen.
func (c *Client) Database(ctx context.Context, db registry.DatabaseName, how Consistency) (DatabaseView, error) {
	var v DatabaseView
	meta, err := c.get(ctx, databasePath(db), how, &v)
	v.Meta = meta
	return v, err
}

// Topology returns who follows whom in one database.
func (c *Client) Topology(ctx context.Context, db registry.DatabaseName, how Consistency) (Topology, error) {
	var v Topology
	meta, err := c.get(ctx, databasePath(db)+"/topology", how, &v)
	v.Meta = meta
	return v, err
}

// Switchover hands the reign of db over and waits up to wait, at most a minute, for the end of it. OutcomeRunning in the
// result means that it was accepted and had not ended by then.
func (c *Client) Switchover(ctx context.Context, db registry.DatabaseName, req SwitchoverRequest, wait time.Duration) (SwitchoverResult, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return SwitchoverResult{}, fmt.Errorf("switchover of %s: %w", db, err)
	}
	q := request{method: http.MethodPost, path: databasePath(db) + "/switchover", body: body, mediaType: "application/json", time: answerTime + wait}
	if wait > 0 {
		q.query = "wait=" + wait.String()
	}
	var v SwitchoverResult
	v.Meta, err = c.do(ctx, q, &v)
	return v, err
}

// Ackers changes whose acknowledgements count in db, or how many, and waits up to wait, at most a minute, for the end of it.
func (c *Client) Ackers(ctx context.Context, db registry.DatabaseName, req AckersRequest, wait time.Duration) (AckersResult, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return AckersResult{}, fmt.Errorf("change the ackers of %s: %w", db, err)
	}
	q := request{method: http.MethodPost, path: databasePath(db) + "/ackers", body: body, mediaType: "application/json", time: answerTime + wait}
	if wait > 0 {
		q.query = "wait=" + wait.String()
	}
	var v AckersResult
	v.Meta, err = c.do(ctx, q, &v)
	return v, err
}

// Durability changes what an acknowledged write of db is worth, and waits up to wait, at most a minute, until it is so.
func (c *Client) Durability(ctx context.Context, db registry.DatabaseName, req DurabilityRequest, wait time.Duration) (v DurabilityResult, err error) {
	v.Meta, err = c.operate(ctx, databasePath(db)+"/durability", req, operation{&v, wait})
	return v, err
}

// Promote has a replica of db promoted although acknowledged writes may be lost, or says what would be lost, and waits up to
// wait, at most a minute, until somebody reigns.
func (c *Client) Promote(ctx context.Context, db registry.DatabaseName, req PromoteRequest, wait time.Duration) (v PromoteResult, err error) {
	v.Meta, err = c.operate(ctx, databasePath(db)+"/promote", req, operation{&v, wait})
	return v, err
}

// operation is where an answer goes, and how long its server may wait for the end.
type operation struct {
	into any
	wait time.Duration
}

func (c *Client) operate(ctx context.Context, path string, req any, o operation) (Meta, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return Meta{}, fmt.Errorf("%s: %w", path, err)
	}
	q := request{method: http.MethodPost, path: path, body: body, mediaType: "application/json", time: answerTime + o.wait}
	if o.wait > 0 {
		q.query = "wait=" + o.wait.String()
	}
	return c.do(ctx, q, o.into)
}

// Propose hands cmd to the log through whichever server answers and returns its index. An error that wraps ErrInDoubt
// leaves open whether it was committed.
func (c *Client) Propose(ctx context.Context, cmd registry.Command) (registry.Index, error) {
	return c.propose(ctx, cmd, request{})
}

// ProposeTo is Propose at one server only, the one that is thought to lead.
func (c *Client) ProposeTo(ctx context.Context, addr string, cmd registry.Command) (registry.Index, error) {
	return c.propose(ctx, cmd, request{addrs: []string{addr}})
}

func (c *Client) propose(ctx context.Context, cmd registry.Command, q request) (registry.Index, error) {
	body, err := codec.Encode(cmd)
	if err != nil {
		return 0, err
	}
	q.method, q.path, q.body, q.mediaType, q.time = http.MethodPost, "/v1/propose", body, CommandType, answerTime
	var v Proposed
	_, err = c.do(ctx, q, &v)
	return v.Index, err
}

func databasePath(db registry.DatabaseName) string {
	return "/v1/databases/" + url.PathEscape(string(db))
}

func (c *Client) get(ctx context.Context, path string, how Consistency, into any) (Meta, error) {
	q := request{method: http.MethodGet, path: path, time: answerTime}
	if how == Stale {
		q.query = "stale"
	}
	return c.do(ctx, q, into)
}

// request is one question before it has an address.
type request struct {
	method, path, query string
	body                []byte
	mediaType           string
	time                time.Duration // at one server
	addrs               []string      // nil: every server in turn
}

// askAgain is the pause before all servers are asked anew.
const askAgain = 100 * time.Millisecond

// do asks every server, and again while none of them leads, for as long as the client is patient.
func (c *Client) do(ctx context.Context, q request, into any) (Meta, error) {
	began := time.Now()
	for {
		meta, err := c.once(ctx, q, into)
		leaderless := (errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrNotLeader)) && !errors.Is(err, ErrInDoubt)
		if !leaderless || time.Since(began)+askAgain > c.cfg.Patience {
			return meta, err
		}
		select {
		case <-ctx.Done():
			return meta, err
		case <-time.After(askAgain):
		}
	}
}

// once asks one server after the other until one answers. A request that may have had an effect is not repeated.
func (c *Client) once(ctx context.Context, q request, into any) (Meta, error) {
	addrs := q.addrs
	if addrs == nil {
		addrs = c.inTurn()
	}
	if len(addrs) == 0 {
		return Meta{}, fmt.Errorf("%s %s: no server address is known: %w", q.method, q.path, ErrNoQuorum)
	}
	var errs []error
	for _, addr := range addrs {
		meta, err := c.ask(ctx, addr, q, into)
		if err == nil {
			return meta, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", addr, err))
		if !elsewhere(q.method, err) || ctx.Err() != nil {
			break
		}
		if q.addrs == nil {
			c.giveUp(addr)
		}
	}
	return Meta{}, fmt.Errorf("%s %s at %w", q.method, q.path, mostTelling(errs))
}

// elsewhere reports whether another server may be asked after err.
func elsewhere(method string, err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Code == CodeNotLeader || p.Code == CodeNoQuorum || p.Code == CodeClosing || p.Code == CodeTooMany
	}
	return Unsent(err) || method == http.MethodGet
}

// mostTelling joins errors so that what a server said hides that another could not be reached.
func mostTelling(errs []error) error {
	slices.SortStableFunc(errs, func(a, b error) int { return rank(a) - rank(b) })
	return errors.Join(errs...)
}

func rank(err error) int {
	if _, ok := errors.AsType[*Problem](err); ok {
		return 0
	}
	return 1
}

// inTurn is the addresses, the one in use first.
func (c *Client) inTurn() []string {
	addrs := c.cfg.Addrs()
	if len(addrs) == 0 {
		return nil
	}
	at := int(c.turn.Load() % uint64(len(addrs)))
	return slices.Concat(addrs[at:], addrs[:at])
}

// giveUp moves on from addr, unless another goroutine has already.
func (c *Client) giveUp(addr string) {
	addrs, turn := c.cfg.Addrs(), c.turn.Load()
	if len(addrs) > 0 && addrs[turn%uint64(len(addrs))] == addr {
		c.turn.CompareAndSwap(turn, turn+1)
	}
}

// ask puts q to one server.
func (c *Client) ask(ctx context.Context, addr string, q request, into any) (Meta, error) {
	ctx, cancel := context.WithTimeout(ctx, q.time)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, c.cfg.Transport.URL(addr, q.path, q.query), bytes.NewReader(q.body))
	if err != nil {
		return Meta{}, err
	}
	if q.mediaType != "" {
		req.Header.Set("Content-Type", q.mediaType)
	}
	if c.cfg.Node != "" && q.path == "/v1/propose" {
		req.Header.Set(HeaderForwardedBy, string(c.cfg.Node))
	}
	resp, err := c.cfg.Transport.RoundTrip(req)
	if err != nil {
		return Meta{}, q.inDoubt(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Meta{}, q.inDoubt(fmt.Errorf("read the answer: %w", err))
	}
	if resp.StatusCode >= 300 {
		return Meta{}, problemIn(resp.Status, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return Meta{}, q.inDoubt(fmt.Errorf("read the answer: %w", err))
	}
	return metaOf(resp.Header), nil
}

// inDoubt marks the error of a request that may have had an effect.
func (q request) inDoubt(err error) error {
	if Unsent(err) || q.method == http.MethodGet {
		return err
	}
	return fmt.Errorf("%w: %w", ErrInDoubt, err)
}

// problemIn reads a problem as a server wrote it.
func problemIn(status string, b []byte) error {
	var p Problem
	if err := json.Unmarshal(b, &p); err != nil || p.Code == "" {
		return fmt.Errorf("%s: %.200q", status, b)
	}
	return &p
}

func metaOf(h http.Header) Meta {
	index, _ := strconv.ParseUint(h.Get(HeaderIndex), 10, 64) // absent: 0
	m := Meta{Index: registry.Index(index)}
	if contact := h.Get(HeaderContact); contact != "" {
		ms, _ := strconv.ParseInt(contact, 10, 64)
		m.Stale, m.KnownLeader, m.LastContact = true, registry.NodeID(h.Get(HeaderLeader)), time.Duration(ms)*time.Millisecond
	}
	return m
}

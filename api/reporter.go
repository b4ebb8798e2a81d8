package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/registry"
)

const (
	// Reports carry failure detection: a server that is back must hear them at once.
	reportBackoff    = 50 * time.Millisecond
	reportBackoffMax = 500 * time.Millisecond
	// addressEvery is how often the list of servers is looked at.
	addressEvery = time.Second
)

// ReporterConfig is what a Reporter needs.
type ReporterConfig struct {
	// Addrs returns the host:port of every server's API. It is asked every second and must not block.
	Addrs func() []string
	// Transport reaches them; the reporter does not close it.
	Transport *Transport
	Log       *slog.Logger
}

// Reporter sends this node's reports to every server at once, over one stream to each. A server that stands still holds
// up nobody; when it goes on it gets the newest report of each instance and none of those between.
type Reporter struct {
	cfg ReporterConfig

	mu      sync.Mutex
	newest  map[instanceKey]line
	count   uint64
	changed chan struct{}
}

type instanceKey struct {
	database registry.DatabaseName
	instance registry.InstanceID
}

// line is a report as it is sent, and its place among all reports of this Reporter.
type line struct {
	n     uint64
	bytes []byte
}

// NewReporter returns a reporter that sends nothing until Run.
func NewReporter(cfg ReporterConfig) (*Reporter, error) {
	if cfg.Addrs == nil || cfg.Transport == nil || cfg.Log == nil {
		return nil, errors.New("api reporter: Addrs, Transport and Log must be set")
	}
	return &Reporter{cfg: cfg, newest: map[instanceKey]line{}, changed: make(chan struct{})}, nil
}

// Send hands r to every stream. It never blocks, and replaces a report of the same instance that is not sent yet.
func (p *Reporter) Send(r health.Report) {
	b, err := json.Marshal(r)
	if err != nil {
		p.cfg.Log.Error("encode a report", "instance", r.Instance, "error", err) // a Report has nothing that cannot be
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	p.newest[instanceKey{r.Database, r.Instance}] = line{n: p.count, bytes: append(b, '\n')}
	close(p.changed)
	p.changed = make(chan struct{})
}

// behind returns the reports after the n-th in the order of Send, the place of the last, and what closes at the next Send.
func (p *Reporter) behind(n uint64) (lines []line, last uint64, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.newest {
		if l.n > n {
			lines = append(lines, l)
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return int(int64(a.n) - int64(b.n)) })
	return lines, p.count, p.changed
}

// Run keeps a stream to every server until ctx ends, then waits for all of them and returns nil.
func (p *Reporter) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	streams := map[string]context.CancelFunc{}
	tick := time.NewTimer(addressEvery)
	defer tick.Stop()
	for {
		addrs := p.cfg.Addrs()
		for _, addr := range addrs {
			if streams[addr] != nil {
				continue
			}
			sctx, cancel := context.WithCancel(ctx)
			streams[addr] = cancel
			wg.Go(func() { p.keep(sctx, addr) })
		}
		for addr, cancel := range streams {
			if !slices.Contains(addrs, addr) {
				cancel()
				delete(streams, addr)
			}
		}
		tick.Reset(beat.Until(addressEvery))
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, cancel := range streams {
				cancel()
			}
			return nil
		}
	}
}

// keep opens one stream to addr after the other.
func (p *Reporter) keep(ctx context.Context, addr string) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = reportBackoff, reportBackoffMax
	var said string
	for {
		accepted, err := p.stream(ctx, addr)
		if ctx.Err() != nil {
			return
		}
		if accepted {
			pause.Reset()
		}
		if msg := err.Error(); msg != said {
			said = msg
			p.cfg.Log.Info("report stream lost, trying again", "server", addr, "error", err)
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
			return
		}
	}
}

// stream sends reports until the stream ends and says whether the server had taken it. The error is never nil.
func (p *Reporter) stream(ctx context.Context, addr string) (accepted bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	body, pen := io.Pipe()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		cancel()
		_ = body.CloseWithError(io.ErrClosedPipe) // wakes the writer
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.Transport.URL(addr, "/v1/reports", ""), body)
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", ReportsType)
	wg.Go(func() { _ = pen.CloseWithError(p.write(ctx, pen)) })
	resp, err := p.cfg.Transport.RoundTrip(req)
	if err != nil {
		return false, fmt.Errorf("report to %s: %w", addr, err)
	}
	defer func() { _ = resp.Body.Close() }()
	accepted = resp.StatusCode == http.StatusOK
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody)) // to the end of the stream
	switch {
	case err != nil:
		return accepted, fmt.Errorf("report to %s: %w", addr, err)
	case accepted && len(b) == 0:
		return accepted, fmt.Errorf("report to %s: the server ended the stream", addr)
	}
	return accepted, fmt.Errorf("report to %s: %w", addr, problemIn(resp.Status, b))
}

// write sends every instance's newest report, then each that is new, one line at a time.
func (p *Reporter) write(ctx context.Context, w io.Writer) error {
	var sent uint64
	for {
		lines, last, changed := p.behind(sent)
		for _, l := range lines {
			if _, err := w.Write(l.bytes); err != nil {
				return err
			}
		}
		sent = last
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

package health

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/baton-db/baton/internal/beat"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/process"
)

// Server is what a Checker asks. *mysqld.Server is one. Each of the calls uses a connection of its own, so that a commit
// that hangs does not starve the question whether the server answers.
type Server interface {
	Status(ctx context.Context) (mysqld.Status, error)
	Process(ctx context.Context) (process.Run, error)
	Canary(ctx context.Context, instance string) error
	CommitsWaitForAcks(ctx context.Context) (int, error)
	CanaryLock(ctx context.Context) (mysqld.Lock, error)
}

// CheckerConfig says how often a Checker asks. Default fills in what is zero.
type CheckerConfig struct {
	Instance string
	// Every is the pause between two questions for the status, Closely while the observation is not calm.
	Every, Closely time.Duration
	// Timeout is how long one answer may take. A server that is only slow answers within it.
	Timeout time.Duration
	// CanaryEvery is the pause between two canary commits, on a server that takes writes.
	CanaryEvery time.Duration
	// Notify is called after every notable change; it must not block.
	Notify func()
	Logger *slog.Logger
}

// DefaultCheckerConfig fits the thresholds of decide.DefaultRules; see the package's comment.
func DefaultCheckerConfig() CheckerConfig {
	return CheckerConfig{Every: 250 * time.Millisecond, Closely: 100 * time.Millisecond, Timeout: 300 * time.Millisecond, CanaryEvery: 250 * time.Millisecond,
		Notify: func() {}}
}

// Checker watches one local server. Latest and Refresh may be called by any goroutine.
type Checker struct {
	cfg    CheckerConfig
	server Server

	mu      sync.Mutex
	seen    seen
	changed chan struct{}
}

// NewChecker returns a Checker; Run starts it.
func NewChecker(cfg CheckerConfig, server Server) *Checker {
	c := &Checker{cfg: cfg, server: server, changed: make(chan struct{})}
	c.seen.state, c.seen.turned = ProcessUnknown, time.Now()
	return c
}

// Run watches until ctx ends.
func (c *Checker) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.askStatus(ctx) })
	g.Go(func() error { return c.watchProcess(ctx) })
	g.Go(func() error { return c.sendCanaries(ctx) })
	return g.Wait()
}

// Latest is the newest observation.
func (c *Checker) Latest() Observation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.observe(time.Now())
}

// Changed returns a channel that is closed at the next notable change. Take it before Latest.
func (c *Checker) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Refresh asks for the status now and returns what is known after the answer.
func (c *Checker) Refresh(ctx context.Context) Observation {
	c.ask(ctx)
	return c.Latest()
}

// Kill ends the server process that was last seen, and no other.
func (c *Checker) Kill() error {
	c.mu.Lock()
	p := c.seen.process
	c.mu.Unlock()
	return p.Kill()
}

func (c *Checker) askStatus(ctx context.Context) error {
	calm := true
	for ctx.Err() == nil {
		began := time.Now()
		c.ask(ctx)
		was := calm
		if calm = c.Latest().Calm(); was && !calm {
			c.cfg.Notify() // those who are told seldom are told often from now on
		}
		c.rest(ctx, began)
	}
	return nil
}

// rest waits until it is time for the next question, which is sooner when what somebody else sees meanwhile is not calm.
func (c *Checker) rest(ctx context.Context, began time.Time) {
	for {
		changed, every := c.Changed(), c.cfg.Every
		if !c.Latest().Calm() {
			every = c.cfg.Closely
		}
		wait := beat.Until(every)
		if took := time.Since(began); took >= every {
			wait = every / 10
		} else if took+wait < every/2 {
			wait += every
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-changed:
			timer.Stop()
			continue
		}
		timer.Stop()
		return
	}
}

// ask puts one question and keeps the answer.
func (c *Checker) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var began time.Time
	c.update(func(s *seen) bool {
		began = time.Now()
		s.awake(began)
		return false
	})
	st, err := c.server.Status(ctx)
	c.update(func(s *seen) bool {
		now := time.Now()
		s.awake(now)
		notable := (err == nil) != (s.err == nil) || !s.good
		if s.err = err; err != nil {
			s.unanswered(began, now)
		}
		if err != nil || s.incarnation == "" {
			return notable // or it answered before its process was found: whose answer it is will be known at the next
		}
		notable = notable || notableStatus(s.status, st)
		if !st.Executed.Equal(s.status.Executed) {
			s.movedAt = now
		}
		s.status, s.good, s.lastGood, s.askedAt = st, true, now, time.Time{}
		if heard := heardOf(st); heard != s.heard || s.heardAt.IsZero() {
			s.heard, s.heardAt = heard, now
		}
		return notable
	})
}

func heardOf(st mysqld.Status) string {
	if st.Replication == nil {
		return ""
	}
	return st.Replication.SourceHost + " " + st.Replication.Heard
}

func notableStatus(a, b mysqld.Status) bool {
	if a.ReadOnly != b.ReadOnly || (a.Replication == nil) != (b.Replication == nil) || a.SemiSync.ReplicaEnabled != b.SemiSync.ReplicaEnabled ||
		a.SemiSync.SourceEnabled != b.SemiSync.SourceEnabled || a.SemiSync.K != b.SemiSync.K || a.SemiSync.Weak() != b.SemiSync.Weak() ||
		a.SemiSync.ConnectedAckers != b.SemiSync.ConnectedAckers {
		return true
	}
	return a.Replication != nil && (a.Replication.Receiver != b.Replication.Receiver || a.Replication.SourceHost != b.Replication.SourceHost)
}

// update changes what is seen and wakes the others when that was notable.
func (c *Checker) update(change func(*seen) bool) {
	c.mu.Lock()
	notable := change(&c.seen)
	if notable {
		close(c.changed)
		c.changed = make(chan struct{})
	}
	c.mu.Unlock()
	if notable {
		c.cfg.Notify()
	}
}

// watchProcess follows one process after the other. The end of a process is the earliest evidence of a crash there is.
func (c *Checker) watchProcess(ctx context.Context) error {
	for ctx.Err() == nil {
		p, err := c.findProcess(ctx)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		c.began(p)
		for state := range p.Watch(ctx) {
			c.update(func(s *seen) bool {
				return s.becomes(Process(state), time.Now())
			})
		}
		if ctx.Err() == nil {
			c.update(func(s *seen) bool {
				return s.becomes(ProcessExited, time.Now())
			})
			pause(ctx, 20*time.Millisecond)
		}
	}
	return nil
}

func (c *Checker) findProcess(ctx context.Context) (process.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	p, err := c.server.Process(ctx)
	if err != nil {
		return p, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Incarnation() == c.seen.incarnation && c.seen.state == ProcessExited {
		return p, context.Canceled // the socket of a process that is gone
	}
	return p, nil
}

// began starts the memory of another process: nothing that the last one said holds for it.
func (c *Checker) began(p process.Run) {
	c.update(func(s *seen) bool {
		if s.incarnation == p.Incarnation() {
			s.process = p
			s.becomes(ProcessRunning, time.Now())
			return false
		}
		*s = seen{process: p, state: ProcessRunning, incarnation: p.Incarnation(), lastGood: time.Now(), askedAt: time.Now(), turned: s.turned, err: s.err}
		return true
	})
}

// sendCanaries commits through the whole write path of a server that takes writes.
func (c *Checker) sendCanaries(ctx context.Context) error {
	for ctx.Err() == nil {
		o := c.Latest()
		if o.Good && !o.Status.ReadOnly && o.Unreachable == 0 {
			c.canary(ctx)
		}
		pause(ctx, beat.Until(c.cfg.CanaryEvery))
	}
	return nil
}

func (c *Checker) canary(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c.update(func(s *seen) bool {
		if s.canarySince.IsZero() {
			s.canarySince = time.Now()
		}
		return false
	})
	watched := make(chan struct{})
	var g errgroup.Group
	g.Go(func() error { c.watchWaiters(ctx, watched); return nil })
	g.Go(func() error { c.watchDisk(watched); return nil })
	err := c.server.Canary(ctx, c.cfg.Instance)
	close(watched)
	_ = g.Wait() // neither returns an error
	c.update(func(s *seen) bool {
		if err == nil {
			s.canarySince, s.canary, s.waits, s.full = time.Time{}, Canary{}, nil, false
			return false
		}
		s.canary.Error = err.Error()
		if s.status.ReadOnly || errors.Is(err, mysqld.ErrReadOnly) {
			s.canarySince = time.Time{} // closed meanwhile: no write path to test
		}
		return false
	})
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

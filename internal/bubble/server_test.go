package bubble_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/process"
)

// How long anything takes from one database server to another, and how often a step is tried again that waits.
const (
	replicationTime = 200 * time.Microsecond
	tryAgain        = 2 * time.Millisecond
	// verbTime bounds a call without a deadline, as package mysqld does.
	verbTime = 30 * time.Second
	// restartTime is what an init system takes to start a server again that baton has killed.
	restartTime = time.Second
)

// errKilled is what an agent gets that was killed and has not noticed.
var errKilled = errors.New("this agent was killed")

// connection is one agent's way to its database server. It makes calls of those of the model that would wait.
type connection struct {
	n    *node
	run  *run
	eyes *mysqldtest.Observer
	*mysqldtest.Server
}

// do tries until it need not wait. A frozen server answers nothing until ctx ends.
func (c *connection) do(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, verbTime) // the nearer deadline counts
	defer cancel()
	for tries := 0; ; tries++ {
		if c.run.dead.Load() {
			return errKilled
		}
		moved := c.n.w.moved()
		err := try(ctx)
		if tries < 3 {
			c.n.w.nudge()
		}
		hangs := errors.Is(err, mysqldtest.ErrDown) && c.Running()
		if !hangs && !errors.Is(err, mysqldtest.ErrWaits) {
			return err
		}
		again := time.NewTimer(tryAgain)
		select {
		case <-ctx.Done():
			again.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-moved:
		case <-again.C:
			c.n.w.nudge()
		}
		again.Stop()
	}
}

func (c *connection) StopReceiver(ctx context.Context) error { return c.do(ctx, c.Server.StopReceiver) }
func (c *connection) OpenWrites(ctx context.Context) error   { return c.do(ctx, c.Server.OpenWrites) }
func (c *connection) OpenAlone(ctx context.Context) error    { return c.do(ctx, c.Server.OpenAlone) }
func (c *connection) CloseWrites(ctx context.Context) error  { return c.do(ctx, c.Server.CloseWrites) }
func (c *connection) CutClients(ctx context.Context) error   { return c.do(ctx, c.Server.CutClients) }

func (c *connection) FenceReceiver(ctx context.Context, tag string) error {
	return c.do(ctx, func(ctx context.Context) error { return c.Server.FenceReceiver(ctx, tag) })
}

func (c *connection) WaitApplied(ctx context.Context, base mysqld.GTIDSet) error {
	return c.do(ctx, func(ctx context.Context) error { return c.Server.WaitApplied(ctx, base) })
}

func (c *connection) BecomeSource(ctx context.Context, k int) error {
	return c.do(ctx, func(ctx context.Context) error { return c.Server.BecomeSource(ctx, k) })
}

func (c *connection) RequireAcks(ctx context.Context, k int) error {
	return c.do(ctx, func(ctx context.Context) error { return c.Server.RequireAcks(ctx, k) })
}

func (c *connection) Prove(ctx context.Context, k int, instance string, revision uint64) error {
	return c.do(ctx, func(ctx context.Context) error { return c.Server.Prove(ctx, k, instance, revision) })
}

func (c *connection) Mark(ctx context.Context, epoch uint64, instance, base string) error {
	return c.do(ctx, func(ctx context.Context) error { return c.Server.Mark(ctx, epoch, instance, base) })
}

func (c *connection) MarkAlone(ctx context.Context, epoch uint64, instance, base string) error {
	return c.do(ctx, func(ctx context.Context) error { return c.Server.MarkAlone(ctx, epoch, instance, base) })
}

func (c *connection) Follow(ctx context.Context, src mysqld.Source) error {
	return c.do(ctx, func(ctx context.Context) error { return c.Server.Follow(ctx, src) })
}

func (c *connection) SourcePosition(ctx context.Context, src mysqld.Source) (set mysqld.GTIDSet, err error) {
	err = c.do(ctx, func(ctx context.Context) error {
		set, err = c.Server.SourcePosition(ctx, src)
		return err
	})
	return set, err
}

func (c *connection) SourceClosed(ctx context.Context, src mysqld.Source) (closed bool, err error) {
	err = c.do(ctx, func(ctx context.Context) error {
		closed, err = c.Server.SourceClosed(ctx, src)
		return err
	})
	return closed, err
}

// Status is what the server says of itself. Its source sends a heartbeat every 200 ms.
func (c *connection) Status(ctx context.Context) (st mysqld.Status, err error) {
	err = c.do(ctx, func(ctx context.Context) error {
		o := c.eyes.Refresh(ctx)
		st = o.Status
		return o.Err
	})
	if err == nil && st.Replication != nil {
		r := *st.Replication
		if r.Receiver == mysqld.ReceiverRunning {
			r.Heard = fmt.Sprint(time.Now().UnixMilli()/200, st.Received)
		}
		st.Replication = &r
	}
	return st, err
}

// Process is the run that is there.
func (c *connection) Process(ctx context.Context) (r process.Run, err error) {
	err = c.do(ctx, func(context.Context) error {
		if !c.Answers() {
			return mysqldtest.ErrDown
		}
		r = process.Modelled(life{c.n, c.Server.Process()})
		return nil
	})
	return r, err
}

// Canary commits as an application does.
func (c *connection) Canary(ctx context.Context, _ string) error {
	if !c.Answers() {
		return c.do(ctx, func(context.Context) error { return mysqldtest.ErrDown })
	}
	ok, err := c.n.w.commit(ctx, c.n, nil)
	if !ok && err == nil {
		return mysqld.ErrReadOnly
	}
	return err
}

func (c *connection) CommitsWaitForAcks(ctx context.Context) (n int, err error) {
	err = c.do(ctx, func(context.Context) error {
		if !c.Answers() {
			return mysqldtest.ErrDown
		}
		n = len(c.Log()) - len(c.Visible())
		return nil
	})
	return n, err
}

func (c *connection) CanaryLock(context.Context) (mysqld.Lock, error) { return mysqld.Lock{}, nil }

// errNoFiles is why a model is neither rewound nor cloned.
var errNoFiles = errors.New("this server is made of memory")

func (c *connection) Warm(context.Context) error                          { return nil }
func (c *connection) Close() error                                        { return nil }
func (c *connection) Preflight(context.Context) ([]mysqld.Finding, error) { return nil, nil }
func (c *connection) Tighten(context.Context) (mysqld.Tightened, error) {
	return mysqld.Tightened{}, nil
}
func (c *connection) Places(context.Context) (mysqld.Places, error) {
	return mysqld.Places{}, errNoFiles
}
func (c *connection) Clone(context.Context, mysqld.Source) error { return errNoFiles }
func (c *connection) ForgetCopied(context.Context) error         { return errNoFiles }
func (c *connection) CloneProgress(context.Context) (mysqld.CloneProgress, error) {
	return mysqld.CloneProgress{}, errNoFiles
}

// life is one run of a database server.
type life struct {
	n    *node
	name string
}

func (l life) Incarnation() string { return l.name }

func (l life) state() process.State {
	s := l.n.server
	switch {
	case s.Process() != l.name || !s.Running():
		return process.Exited
	case !s.Answers():
		return process.Stopped
	}
	return process.Running
}

func (l life) Watch(ctx context.Context) iter.Seq[process.State] {
	return func(yield func(process.State) bool) {
		var last process.State
		for ctx.Err() == nil {
			moved := l.n.w.moved()
			now := l.state()
			if now != last && !yield(now) || now == process.Exited {
				return
			}
			last = now
			select {
			case <-moved:
			case <-ctx.Done():
			}
		}
	}
}

func (l life) Kill() error {
	if l.state() != process.Exited {
		l.n.crash()
		time.AfterFunc(restartTime, l.n.startServer)
	}
	return nil
}

// crash kills the node's database server, as kill -9 does.
func (n *node) crash() {
	n.server.Crash()
	n.w.log.say(n.w.t, "%s is dead", n.server.ID)
	n.w.wake()
}

// startServer starts the node's database server where none runs.
func (n *node) startServer() {
	n.server.Start()
	n.w.wake()
}

// probe asks a database server from this node over the network.
func (n *node) probe(ctx context.Context, address string) error {
	for _, other := range n.w.nodes {
		if other.server.Address() != address {
			continue
		}
		if n.w.reaches(n, other) && !other.server.Running() {
			return errors.New("connection refused")
		}
		if n.w.reaches(n, other) && other.server.Answers() {
			return nil
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// movement lets the database servers' data move, and wakes who waits for it.
type movement struct {
	mu      sync.Mutex
	changed chan struct{}
	want    chan struct{} // of one
}

func (m *movement) init() { m.changed, m.want = make(chan struct{}), make(chan struct{}, 1) }

// moved is closed when something has moved since.
func (m *movement) moved() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// nudge says that something may be able to move.
func (m *movement) nudge() {
	select {
	case m.want <- struct{}{}:
	default:
	}
}

// wake wakes everybody who waits.
func (m *movement) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.changed)
	m.changed = make(chan struct{})
}

// replicate moves what can move, a moment after somebody has asked. It sleeps in the bubble.
func (w *world) replicate(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.want:
		}
		time.Sleep(replicationTime)
		w.group.Settle()
		w.wake()
	}
}

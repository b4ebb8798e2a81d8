package killpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/killpoint/point"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/registry"
)

// Role is what a node is to a failover.
type Role string

// The roles.
const (
	Leader Role = "leader" // of the consensus
	Former Role = "former" // beside the primary that is replaced
	Winner Role = "winner"
	Other  Role = "other" // beside the acker that does not win
)

// Case is one death.
type Case struct {
	Fault demo.Fault
	Role  Role
	Point string
	Nth   int // time that the point is passed, from 1
}

func (c Case) String() string {
	return fmt.Sprintf("%-10s %-6s %s #%d", c.Fault, c.Role, c.Point, c.Nth)
}

// Options say what to run.
type Options struct {
	Family lab.Family
	Baton  string // a program that Build made
	Dir    string // for what the nodes keep
	// Pick chooses among all cases, in their order; nil: all.
	Pick func([]Case) []Case
	Out  io.Writer
}

// Report is what came out.
type Report struct {
	Points  int // different ones
	Cases   int
	Killed  int // cases in which the node died at its point
	Failed  []string
	Outages []time.Duration
	Wiped   int // servers that held what nobody acknowledged, and were emptied
	Verdict demo.Verdict
}

// patience bounds every wait; nothing is measured against it.
const patience = time.Minute

// perSecond is how many writes are attempted.
const perSecond = 50

// mostTimes bounds how often one point is killed at: what is done more often is done in a loop.
const mostTimes = 3

// runner is a cluster whose nodes can be killed at points.
type runner struct {
	*demo.Rig
	opts   Options
	load   *demo.Load
	report *Report
}

// Run starts a cluster, watches one failover and one hand-over, and kills baton at every point that was passed, one
// failover after another. The error says that it could not be run; what was broken is in the report.
func Run(ctx context.Context, opts Options) (report *Report, err error) {
	rig, err := demo.NewRig(demo.Options{Families: []lab.Family{opts.Family}, Nodes: 3, PerSecond: perSecond, Dir: opts.Dir, Baton: []string{opts.Baton},
		Restart: time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	r := &runner{Rig: rig, opts: opts, report: &Report{}}
	defer func() { err = errors.Join(err, rig.Close()) }()
	if err := rig.Start(ctx); err != nil {
		return nil, err
	}
	if _, err := r.whole(ctx); err != nil {
		return nil, err
	}
	load, stop, err := rig.StartLoad(ctx, perSecond)
	if err != nil {
		return nil, err
	}
	r.load = load
	err = r.all(ctx)
	stop()
	if err == nil {
		r.report.Verdict, err = rig.Check(ctx, load.Ledger)
	}
	return r.report, err
}

func (r *runner) all(ctx context.Context) error {
	var cases []Case
	points := map[string]bool{}
	for _, fault := range []demo.Fault{demo.Crash, demo.Switchover} {
		found, err := r.watch(ctx, fault)
		if err != nil {
			return fmt.Errorf("watch a %s: %w", fault, err)
		}
		for _, c := range found {
			points[c.Point] = true
		}
		cases = append(cases, found...)
	}
	r.report.Points = len(points)
	if r.opts.Pick != nil {
		cases = r.opts.Pick(cases)
	}
	for _, c := range cases {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.report.Cases++
		for range mostTries {
			killed, err := r.kill(ctx, c)
			if err != nil {
				r.report.Failed = append(r.report.Failed, fmt.Sprintf("%s: %v", c, err))
				return nil // what comes after would be told by a broken cluster
			}
			if killed {
				r.report.Killed++
				break
			}
		}
	}
	return nil
}

// mostTries is how often a case is played until its node was at its point: who wins after a crash is not chosen here.
const mostTries = 5

// whole waits until everybody follows; a server that is kept out is emptied.
func (r *runner) whole(ctx context.Context) (*registry.Database, error) {
	wiped, err := r.Heal(ctx, len(r.Databases)-1)
	r.report.Wiped += len(wiped)
	if err != nil {
		return nil, err
	}
	return r.database(ctx)
}

func (r *runner) database(ctx context.Context) (d *registry.Database, err error) {
	err = r.eventually(ctx, "answered", func(ctx context.Context) error {
		v, err := r.Client.Database(ctx, demo.DatabaseName, api.Current)
		d = v.Database
		return err
	})
	return d, err
}

// eventually asks until ok returns nil.
func (r *runner) eventually(ctx context.Context, what string, ok func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not %s: %w", what, err)
		}
	}
}

// watch has one fault and returns every point that was passed until everybody followed again.
func (r *runner) watch(ctx context.Context, fault demo.Fault) ([]Case, error) {
	d, err := r.whole(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range r.Nodes {
		if err := os.WriteFile(filepath.Join(n.Dir, point.Watch), nil, 0o600); err != nil {
			return nil, err
		}
	}
	if err := r.strike(ctx, fault, d, ""); err != nil {
		return nil, err
	}
	after, err := r.whole(ctx)
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, n := range r.Nodes {
		seen, err := os.ReadFile(filepath.Join(n.Dir, point.Seen))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if err := errors.Join(os.Remove(filepath.Join(n.Dir, point.Watch)), os.RemoveAll(filepath.Join(n.Dir, point.Seen))); err != nil {
			return nil, err
		}
		times := map[string]int{}
		for name := range strings.FieldsFuncSeq(string(seen), func(c rune) bool { return c == '\n' }) {
			role := Other
			switch {
			case strings.Contains(name, " Proposer."):
				role = Leader
			case n.Name == string(d.Primary):
				role = Former
			case n.Name == string(after.Primary):
				role = Winner
			}
			if times[name]++; times[name] <= mostTimes {
				all = append(all, Case{fault, role, name, times[name]})
			}
		}
	}
	return all, nil
}

// strike does the fault and returns when a write was acknowledged in a new epoch. What was asked for is asked for again: who
// was asked may have been killed.
func (r *runner) strike(ctx context.Context, fault demo.Fault, d *registry.Database, to registry.InstanceID) error {
	if fault == demo.Crash {
		s, err := r.Database(d.Primary)
		if err == nil {
			err = s.Crash()
		}
		if err != nil {
			return err
		}
	}
	asked := time.Time{}
	return r.eventually(ctx, "written to in a new epoch", func(ctx context.Context) error {
		newest, _ := r.load.Ledger.Newest()
		if newest > uint64(d.Epoch) {
			return nil
		}
		if fault == demo.Switchover && time.Since(asked) > 2*time.Second {
			asked = time.Now()
			now, err := r.Client.Database(ctx, demo.DatabaseName, api.Stale)
			if err == nil && now.Database.Epoch == d.Epoch {
				_, err = r.Client.Switchover(ctx, demo.DatabaseName, api.SwitchoverRequest{To: to}, 0)
			}
			if err != nil {
				return err
			}
		}
		return fmt.Errorf("the newest write is of epoch %d", newest)
	})
}

// kill plays one case, and reports whether the node was at its point and died.
func (r *runner) kill(ctx context.Context, c Case) (killed bool, err error) {
	d, err := r.whole(ctx)
	if err != nil {
		return false, err
	}
	n, to, err := r.cast(ctx, c, d)
	if err != nil {
		return false, err
	}
	armed := filepath.Join(n.Dir, point.Armed)
	if err := os.WriteFile(armed+".new", fmt.Appendf(nil, "%d %s", c.Nth, c.Point), 0o600); err != nil {
		return false, err
	}
	if err := os.Rename(armed+".new", armed); err != nil {
		return false, err
	}
	// The node is started again as soon as it is gone, as by a supervisor.
	over, cancel := context.WithCancel(ctx)
	defer cancel()
	var back error
	var supervisor sync.WaitGroup
	supervisor.Go(func() { back = r.restart(over, n, armed) })
	err = r.strike(ctx, c.Fault, d, to)
	last, first := r.load.Ledger.Gap(uint64(d.Epoch) + 1)
	if err == nil {
		_, err = r.whole(ctx)
	}
	cancel()
	supervisor.Wait()
	killed = true
	if errors.Is(back, errNotReached) {
		killed, back = false, os.Remove(armed)
	}
	if err = errors.Join(err, back); err != nil {
		return killed, err
	}
	after, err := r.database(ctx)
	if err != nil || !killed {
		return killed, err
	}
	r.report.Outages = append(r.report.Outages, first.Sub(last))
	fmt.Fprintf(r.opts.Out, "%-66s epoch %3d -> %3d, %s -> %s, %.2f s without an acknowledgement\n", c, d.Epoch, after.Epoch, d.Primary, after.Primary, first.Sub(last).Seconds())
	return true, oneWinnerEach(after)
}

// errNotReached says that an armed node was never at its point.
var errNotReached = errors.New("not reached")

// restart waits until n has ended itself, and starts it again.
func (r *runner) restart(ctx context.Context, n *demo.Node, armed string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(armed); errors.Is(err, os.ErrNotExist) {
			return errors.Join(n.Kill(), r.StartNode(n))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errNotReached
		}
	}
}

// cast chooses the node that has the role, and whom a hand-over goes to. Who wins after a crash is guessed: the acker with the
// first name, which wins when both have the same.
func (r *runner) cast(ctx context.Context, c Case, d *registry.Database) (*demo.Node, registry.InstanceID, error) {
	ackers := slices.Sorted(slices.Values(d.Ackers))
	name := string(d.Primary)
	switch c.Role {
	case Leader:
		err := r.eventually(ctx, "led", func(ctx context.Context) error {
			s, err := r.Client.Status(ctx, api.Current)
			name = string(s.Raft.Leader)
			return err
		})
		if err != nil {
			return nil, "", err
		}
	case Winner:
		name = string(ackers[0])
	case Other:
		name = string(ackers[len(ackers)-1])
	}
	for _, n := range r.Nodes {
		if n.Name == name {
			return n, ackers[0], nil
		}
	}
	return nil, "", fmt.Errorf("there is no node %q", name)
}

// oneWinnerEach is an error when two instances were elected in one epoch.
func oneWinnerEach(d *registry.Database) error {
	winner := map[registry.Epoch]registry.InstanceID{}
	for _, e := range d.History {
		if e.Cause.Code != "Elected" && e.Cause.Code != "Marked" {
			continue
		}
		if w, ok := winner[e.Epoch]; ok && w != e.Instance {
			return fmt.Errorf("epoch %d has two winners, %s and %s", e.Epoch, w, e.Instance)
		}
		winner[e.Epoch] = e.Instance
	}
	return nil
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/baton-db/baton/registry"
)

// warmUp is how long the writers write before the first fault and between two.
const warmUp = 2 * time.Second

// ErrBroken is returned when a promise was not kept: something lost, acknowledged twice, or never recovered.
var ErrBroken = errors.New("a promise was broken")

// Result is what a run found.
type Result struct {
	Failures []Failure `json:"-"`
	Outage   float64   `json:"outage_s"` // the longest
	Verdict  Verdict   `json:"verdict"`
}

// Run starts everything, injects the faults one after the other, and checks the ledger. It tells the story on opts.Out;
// its last line there is the result. keep, when not nil, is called before the end with everything running. When ctx ends
// before the ledger was checked, its error is returned, and nothing else unless something could not be removed.
func Run(ctx context.Context, opts Options, keep func(context.Context, *Rig)) (res Result, err error) {
	s := &story{out: opts.Out, began: time.Now()}
	rig, err := NewRig(opts)
	if err != nil {
		return res, err
	}
	defer func() {
		if ctx.Err() != nil && res.Verdict.Acknowledged == 0 {
			err = ctx.Err() // whatever failed, failed because of it
		}
		if left := rig.Close(); left != nil {
			err = errors.Join(err, left)
		}
	}()
	s.step("found %s %s", rig.Binaries.Family, rig.Binaries.Version)
	if err := rig.Start(ctx); err != nil {
		return res, err
	}
	s.step("%d database servers and %d batons run as processes of their own, files in %s", len(rig.Databases), len(rig.Nodes), rig.Dir)
	d, err := rig.Serving(ctx, len(rig.Databases)-1)
	if err != nil {
		return res, err
	}
	s.step("%s is primary of %s in epoch %d; %v acknowledge every write, %d of them at a time", d.Primary, d.Name, d.Epoch, d.Ackers, d.K)

	load, stop, err := rig.StartLoad(ctx, opts.PerSecond)
	if err != nil {
		return res, err
	}
	defer stop()
	s.step("%d writers write %d rows a second to whatever %s names", load.Writers, opts.PerSecond, primaryName)
	for _, fault := range opts.Faults {
		if fault == None {
			continue
		}
		f, err := s.fault(ctx, rig, load, fault)
		if err != nil {
			return res, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		res.Failures = append(res.Failures, f)
		res.Outage = max(res.Outage, f.Outage().Seconds())
	}
	rest(ctx, warmUp/2)
	if keep != nil && ctx.Err() == nil {
		keep(ctx, rig)
	}
	stop()
	if ctx.Err() != nil {
		return res, ctx.Err()
	}
	res.Verdict, err = rig.Check(ctx, load.Ledger)
	if err != nil {
		return res, err
	}
	return res, s.verdict(res)
}

// StartLoad makes the table and starts the writers; stop ends them and waits. The writers ask the DNS servers at these
// addresses (host:port) in turn, without any those of all nodes.
func (r *Rig) StartLoad(ctx context.Context, perSecond int, resolvers ...string) (*Load, func(), error) {
	if len(resolvers) == 0 {
		resolvers = r.DNS()
	}
	load := &Load{Name: primaryName, Servers: resolvers, Port: r.Databases[0].Addr().Port(), Writers: 4, PerSecond: perSecond, Ledger: NewLedger()}
	if err := makeTable(ctx, load); err != nil {
		return nil, nil, err
	}
	own, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = load.Run(own) }) // it returns no error
	stop := func() {
		cancel()
		running.Wait()
	}
	// Wait for the first acknowledgement: from here on there is something to lose.
	for load.Ledger.Acknowledged() == 0 && ctx.Err() == nil {
		rest(ctx, 10*time.Millisecond)
	}
	return load, stop, ctx.Err()
}

func makeTable(ctx context.Context, load *Load) error {
	db, err := load.connect(ctx)
	if err != nil {
		return fmt.Errorf("find the primary: %w", err)
	}
	defer func() { _ = db.Close() }() // nothing is pending
	if _, err := db.ExecContext(ctx, ledgerTable); err != nil {
		return fmt.Errorf("make the table of the ledger: %w", err)
	}
	return nil
}

// story prints what happens as it happens.
type story struct {
	out   io.Writer
	began time.Time
}

func (s *story) step(format string, args ...any) {
	fmt.Fprintf(s.out, "%6.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// fault lets the writers write for a moment, injects, and tells the timeline.
func (s *story) fault(ctx context.Context, rig *Rig, load *Load, fault Fault) (Failure, error) {
	rest(ctx, warmUp)
	wiped, err := rig.Heal(ctx, len(rig.Databases)-1)
	for _, id := range wiped {
		s.step("%s had written what nobody acknowledged: it was kept out, emptied by hand and has copied everything anew", id)
	}
	if err != nil {
		return Failure{}, fmt.Errorf("before the next fault: %w", err)
	}
	words := map[Fault]string{Crash: "SIGKILL to", Freeze: "SIGSTOP to", Switchover: "asking for another primary than"}
	f, err := rig.Inject(ctx, fault, load.Ledger)
	if err != nil {
		return f, err
	}
	s.step("%s %s after %d acknowledged writes", words[fault], f.From, load.Ledger.Acknowledged())
	for _, line := range f.timeline() {
		fmt.Fprintf(s.out, "          %+8.3f s  %s\n", line.at.Seconds(), line.what)
	}
	fmt.Fprintf(s.out, "          OUTAGE %.3f s\n", f.Outage().Seconds())
	return f, nil
}

// line is one moment of a failure.
type line struct {
	at   time.Duration
	what string
}

// timeline is everything that was seen of a failure, in order.
func (f Failure) timeline() []line {
	var all []line
	add := func(at time.Time, format string, args ...any) {
		all = append(all, line{at.Sub(f.At), fmt.Sprintf(format, args...)})
	}
	if !f.LastAck.IsZero() {
		add(f.LastAck, "last write acknowledged by %s", f.From)
	}
	for _, e := range f.Events {
		add(time.UnixMilli(e.AtMillis), "%s", decision(e))
	}
	add(f.FirstAck, "first write acknowledged by %s", f.To)
	if at, ok := latest(f.DNS); ok {
		add(at, "DNS of %d nodes names %s", len(f.DNS), f.To)
	}
	if at, ok := latest(f.Hosts); ok {
		add(at, "hosts files of %d nodes name %s", len(f.Hosts), f.To)
	}
	slices.SortStableFunc(all, func(a, b line) int { return int(a.at - b.at) })
	return all
}

func latest(m map[string]time.Time) (time.Time, bool) {
	if len(m) == 0 {
		return time.Time{}, false
	}
	return slices.MaxFunc(slices.Collect(maps.Values(m)), time.Time.Compare), true
}

func decision(e registry.Event) string {
	what := map[registry.Phase]string{registry.Fencing: "revoked", registry.Closing: "handing over", registry.Promoting: "elected", registry.Serving: "established"}
	if e.Phase == registry.Serving && e.Cause.Code == "Switchover" {
		return fmt.Sprintf("epoch %d preparing: %s", e.Epoch, e.Cause)
	}
	return strings.TrimSpace(fmt.Sprintf("epoch %d %s: %s", e.Epoch, what[e.Phase], e.Cause))
}

// verdict prints the last line.
func (s *story) verdict(res Result) error {
	v := res.Verdict
	fmt.Fprintf(s.out, "LOST %d\n", len(v.Lost))
	fmt.Fprintf(s.out, "demo: outage %.2f s, acknowledged %d, lost %d, double-acknowledged %d\n", res.Outage, v.Acknowledged, len(v.Lost), len(v.Double))
	if len(v.Lost)+len(v.Double) > 0 {
		return fmt.Errorf("%w: lost %v, acknowledged twice %v", ErrBroken, v.Lost, v.Double)
	}
	return nil
}

package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/chaos/witness"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/netlab"
)

// convergeWithin is how long after healing all replicas must follow: one that was emptied copies everything.
const convergeWithin = 5 * time.Minute

// diskSize is how large a server's disk can become, in bytes.
const diskSize = 6 << 30

// Options say what to run.
type Options struct {
	Family lab.Family
	Seed   uint64
	// Length is how long faults are injected.
	Length time.Duration
	// Kinds are drawn from; Most is how many of them strike at a time.
	Kinds []Kind
	Most  int
	// Calm says that a failover is a failure.
	Calm bool
	// Within is how long after healing a write must have been acknowledged.
	Within time.Duration
	// PerSecond is how many rows all writers together write.
	PerSecond int
	// Baton is the command line of baton, and Dir an existing directory for everything the run writes, on tmpfs when it can be.
	Baton []string
	Dir   string
	// Out hears what happens.
	Out io.Writer
}

// place puts the rig's hosts into namespaces.
type place struct {
	net   *netlab.Network
	disks []*netlab.Disk
}

func (p *place) IP(n int) netip.Addr  { return p.net.IP(n) }
func (p *place) Enter(i int) []string { return p.net.Enter(netlab.Host(i)) }
func (p *place) DataDir(i int) string { return filepath.Join(p.disks[i].Path(), "data") }
func (p *place) Close() error {
	var errs []error
	for _, d := range p.disks {
		errs = append(errs, d.Thaw(), d.Unmount())
	}
	return errors.Join(append(errs, p.net.Close())...)
}

func newPlace(dir string) (*place, error) {
	var config netlab.Config
	for i := range hosts {
		config = append(config, []int{i + 11, i + 1}) // baton's address first, for what it connects from
	}
	network, err := netlab.NewNetwork(dir, append(config, []int{21}))
	if err != nil {
		return nil, err
	}
	p := &place{net: network}
	for i := range hosts {
		d, err := netlab.NewDisk(dir, fmt.Sprintf("disk%d", i+1), diskSize)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.disks = append(p.disks, d)
	}
	return p, nil
}

// run is one run while it goes on.
type run struct {
	opts  Options
	field *field
	load  *demo.Load
	bouts []bout
	wiped int
	began time.Time
}

// Run starts everything, injects faults for a while, and checks all promises. The error says what kept it from running to
// its end; the report's Broken says what it found. Logs and files of the nodes are below Options.Dir afterwards.
func Run(ctx context.Context, opts Options) (report *Report, err error) {
	p, err := newPlace(opts.Dir)
	if err != nil {
		return nil, err
	}
	rig, err := demo.NewRig(demo.Options{Families: []lab.Family{opts.Family}, Nodes: hosts, Clients: 1, PerSecond: opts.PerSecond, Dir: filepath.Join(opts.Dir, "nodes"),
		Baton: opts.Baton, Restart: supervise, Place: p, Out: io.Discard, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err // it has closed the place
	}
	r := &run{opts: opts, began: time.Now()}
	defer func() {
		for _, d := range p.disks {
			err = errors.Join(err, d.Thaw()) // else its server cannot be killed
		}
		for _, s := range rig.Databases {
			_ = os.WriteFile(filepath.Join(opts.Dir, s.Name()+".log"), []byte(s.LogTail(2000)), 0o600) // for whoever looks at a failure
		}
		err = errors.Join(err, rig.Close())
	}()
	if err := rig.Start(ctx); err != nil {
		return nil, err
	}
	r.field = &field{rig: rig, net: p.net, disks: p.disks, watch: newWatch(rig.Client)}
	if _, err := rig.Serving(ctx, hosts-1); err != nil {
		return nil, err
	}
	if err := netlab.Sync(r.field.disks...); err != nil {
		return nil, err
	}
	return r.underLoad(ctx, rig)
}

// underLoad starts the workloads and checkers, and is the rest of the run.
func (r *run) underLoad(ctx context.Context, rig *demo.Rig) (*Report, error) {
	dns := rig.DNS()
	load, stopLoad, err := rig.StartLoad(ctx, r.opts.PerSecond, dns[len(dns)-1])
	if err != nil {
		return nil, err
	}
	defer stopLoad()
	r.load = load
	primary, err := rig.Serving(ctx, hosts-1)
	if err != nil {
		return nil, err
	}
	if err := r.field.say(ctx, r.field.index(string(primary.Primary)), witness.ListTable); err != nil {
		return nil, err
	}
	reg, err := witness.NewRegister(rig)
	if err != nil {
		return nil, err
	}
	r.field.sampler = &witness.Sampler{Ledger: load.Ledger}
	for _, s := range rig.Databases {
		r.field.sampler.Servers = append(r.field.sampler.Servers, s.Addr().String())
	}
	appends, seen := &witness.Lists{Load: load}, witness.NewNames()
	working, cancel := context.WithCancel(ctx)
	watching, cancelWatch := context.WithCancel(ctx)
	var running, watches sync.WaitGroup
	stop := func() {
		cancel()
		running.Wait()
		stopLoad()
	}
	defer func() { stop(); cancelWatch(); watches.Wait() }()
	running.Go(func() { r.field.sampler.Run(working) })
	prober := &witness.Prober{Load: load, Ledger: load.Ledger}
	running.Go(func() { prober.Run(working) })
	running.Go(func() { appends.Run(working) })
	running.Go(func() { reg.Run(working) })
	watches.Go(func() { seen.Run(watching, rig) })
	watches.Go(func() { r.field.watch.run(watching) })
	rest(ctx, 2*time.Second)

	report := &Report{Seed: r.opts.Seed, Server: fmt.Sprintf("%s %s", rig.Binaries.Family, rig.Binaries.Version), Calm: r.opts.Calm}
	began := time.Now()
	stuck := r.rounds(ctx)
	if stuck != nil {
		for _, server := range rig.Databases {
			_ = os.WriteFile(filepath.Join(r.opts.Dir, server.Name()+"-sessions.log"), []byte(witness.Sessions(ctx, server.Socket())), 0o600) // as above
		}
	}
	report.Length = time.Since(began)
	rest(ctx, time.Second)
	stop()
	report.Wiped, report.Appends = r.wiped, len(appends.Acknowledged())
	report.Samples, report.Strays = r.field.sampler.Counts()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if stuck != nil {
		report.Problems = append(report.Problems, stuck.Error())
	}
	r.checkData(ctx, report, appends)
	cancelWatch()
	watches.Wait()
	// What was seen last may have been decided after the last look at the history.
	if v, err := rig.Client.Database(ctx, demo.DatabaseName, api.Stale); err == nil {
		r.field.watch.see(v.Database)
	}
	report.Reigns = r.field.watch.story()
	report.account(r.bouts, load.Ledger.Acks(0))
	report.Problems = append(report.Problems, seen.Check(r.field.addresses(report.Reigns))...)
	report.Answers, report.Reads = seen.Counts()
	var problem string
	if report.Accesses, problem = reg.Check(time.Minute); problem != "" {
		report.Problems = append(report.Problems, problem)
	}
	return report, nil
}

func (r *run) tell(format string, args ...any) {
	fmt.Fprintf(r.opts.Out, "%8.1f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// rounds injects until the time is over, or until the database does not come back.
func (r *run) rounds(ctx context.Context) error {
	planner := NewPlanner(r.opts.Seed, r.opts.Kinds, r.opts.Most)
	end := time.Now().Add(r.opts.Length)
	for n := 1; time.Now().Before(end) && ctx.Err() == nil; n++ {
		round := planner.Next()
		rest(ctx, round.Rest)
		if err := r.round(ctx, n, round); err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
	}
	return nil
}

// event is an injection or a healing that is to come.
type event struct {
	at     time.Duration
	strike int
	heal   heal // nil: inject
}

// round injects and heals in the order of time, and waits until all is well.
func (r *run) round(ctx context.Context, n int, round Round) error {
	b := bout{began: time.Now(), strikes: make([]struck, len(round.Strikes))}
	var events []event
	for i, s := range round.Strikes {
		events = append(events, event{at: s.At, strike: i})
	}
	for len(events) > 0 {
		next := 0
		for i := range events {
			if cmp.Compare(events[i].at, events[next].at) < 0 {
				next = i
			}
		}
		e := events[next]
		events = append(events[:next], events[next+1:]...)
		rest(ctx, time.Until(b.began.Add(e.at)))
		s := &b.strikes[e.strike]
		if e.heal != nil {
			// Healing goes on after an interrupt: what is frozen cannot be cleaned up.
			if err := e.heal(context.WithoutCancel(ctx)); err != nil {
				return fmt.Errorf("heal %s: %w", s.Kind, err)
			}
			s.Healed = time.Now()
			r.tell("round %d: %s healed", n, s.Kind)
			continue
		}
		if ctx.Err() != nil {
			continue
		}
		undo, err := r.strike(ctx, n, round.Strikes[e.strike], s)
		if err != nil {
			return err
		}
		if undo != nil {
			events = append(events, event{at: time.Since(b.began) + round.Strikes[e.strike].Hold, strike: e.strike, heal: undo})
		}
	}
	err := r.recover(ctx)
	b.end = time.Now()
	r.bouts = append(r.bouts, b)
	return err
}

// strike injects one fault. A fault that finds nothing to strike is noted and left out.
func (r *run) strike(ctx context.Context, n int, s Strike, into *struck) (heal, error) {
	*into = struck{Round: n, Kind: s.Kind.Name, effect: s.Kind.Effect, Injected: time.Now()}
	host, err := r.field.host(s.Kind.Role, s.Draw)
	var undo heal
	if err == nil {
		into.Host = r.field.rig.Nodes[host].Name
		undo, err = s.Kind.inject(ctx, r.field, host)
	}
	switch {
	case errors.Is(err, errSkipped):
		into.Error = err.Error()
		r.tell("round %d: %s left out: %v", n, s.Kind.Name, err)
		return nil, nil
	case err != nil:
		if undo != nil {
			err = errors.Join(err, undo(context.WithoutCancel(ctx)))
		}
		return nil, fmt.Errorf("inject %s on %s: %w", s.Kind.Name, into.Host, err)
	}
	r.tell("round %d: %s on %s for %s", n, s.Kind.Name, into.Host, s.Hold.Round(time.Millisecond))
	if s.Kind.exact() {
		undo = witness.Punctual(undo, s.Hold)
	}
	return undo, nil
}

// recover waits until writes are acknowledged again, and then until all replicas follow.
func (r *run) recover(ctx context.Context) error {
	healed := time.Now()
	for known := r.load.Ledger.Acknowledged(); !r.wrote(known, healed); {
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(healed) > r.opts.Within {
			if _, err := r.field.rig.Serving(ctx, 0); err != nil {
				return fmt.Errorf("%s after everything was healed no write is acknowledged: %w", r.opts.Within, err)
			}
			return fmt.Errorf("%s after everything was healed no write is acknowledged, although somebody serves", r.opts.Within)
		}
		rest(ctx, 20*time.Millisecond)
	}
	writable := time.Since(healed)
	var err error
	for limit := time.Now().Add(convergeWithin); time.Now().Before(limit) && ctx.Err() == nil; {
		var wiped []string
		ids, failed := r.field.rig.Heal(ctx, hosts-1)
		for _, id := range ids {
			wiped = append(wiped, string(id))
		}
		r.wiped += len(ids)
		if len(ids) > 0 {
			r.tell("emptied %v, which had diverged", wiped)
			failed = errors.Join(failed, netlab.Sync(r.field.disks...))
		}
		if err = failed; err == nil {
			break
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s after everything was healed replicas have not converged: %w", convergeWithin, err)
	}
	r.field.sampler.Closed()
	r.tell("writable after %.2f s, all follow after %.2f s", writable.Seconds(), time.Since(healed).Seconds())
	return nil
}

// wrote reports whether a writer that goes by the name was told that a write went through which it sent after a moment;
// known is how many acknowledgements there were then.
func (r *run) wrote(known int, after time.Time) bool {
	return slices.ContainsFunc(r.load.Ledger.Acks(known), func(a demo.Ack) bool { return a.ID < witness.SamplerIDs && a.Sent.After(after) })
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/registry"
)

// recoverWithin is when a fault counts as never recovered from.
const recoverWithin = 30 * time.Second

// Failure is one fault and what became of it.
type Failure struct {
	Fault Fault
	From  registry.InstanceID
	To    registry.InstanceID
	Epoch registry.Epoch
	// At is when the fault was injected.
	At time.Time
	// FirstAck is the first acknowledgement in the new epoch, LastAck the last one in an older epoch.
	FirstAck, LastAck time.Time
	// Events are the decisions of the new epoch, from the registry's own history.
	Events []registry.Event
	// DNS and Hosts say when each node named the new primary.
	DNS, Hosts map[string]time.Time
}

// Outage is how long no write was acknowledged: from the fault, or from the last write before it was felt when that
// came later, as in a planned hand-over.
func (f Failure) Outage() time.Duration {
	from := f.At
	if f.Fault == Switchover && f.LastAck.After(from) {
		from = f.LastAck
	}
	return f.FirstAck.Sub(from)
}

// Serving waits until the database is served, and everybody else follows and may acknowledge.
func (r *Rig) Serving(ctx context.Context, followers int) (*registry.Database, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if err := r.Ended(); err != nil {
			return nil, err
		}
		v, err := r.Client.Database(ctx, databaseName, api.Stale)
		if err == nil && ready(v, followers) {
			return v.Database, nil
		}
		if err == nil {
			err = errors.New(describe(v))
		}
		rest(ctx, 20*time.Millisecond)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the database is not served: %w", err)
		}
	}
}

// describe says where a database stands, for an error.
func describe(v api.DatabaseView) string {
	text := v.Why
	for _, i := range v.Instances {
		if i.Report != nil {
			text += fmt.Sprintf("; %s: %s %s", i.Instance, i.Report.Guard.Doing, i.Report.Guard.Problem)
		}
	}
	return text
}

// unheard is when a report no longer says how a server is.
const unheard = time.Second

func ready(v api.DatabaseView, followers int) bool {
	d := v.Database
	if d.Phase != registry.Serving || len(d.Ackers) < followers {
		return false
	}
	follow := 0
	for _, i := range v.Instances {
		// What somebody unheard last said is not how it is.
		heard := i.Report != nil && i.AgeMillis != nil && max(*i.AgeMillis, i.Report.UnreachableMillis) < unheard.Milliseconds()
		switch {
		case i.Instance == d.Primary:
			if !heard || i.Report.Guard.Open != d.Epoch || i.Report.Canary.BlockedMillis > 0 {
				return false
			}
		case heard && follows(i, d.Epoch):
			follow++
		}
	}
	return follow >= followers
}

// follows reports whether a replica would count in an election that began now: it receives, and remembers what it acknowledges.
// One that has just begun to acknowledge may not yet, and a fault in that moment would be the second.
func follows(i api.InstanceView, epoch registry.Epoch) bool {
	r := i.Report
	receives := r.Replication != nil && r.Replication.Receiver == "running" && r.Replication.Applier && r.Replication.SilenceMillis < unheard.Milliseconds()
	return receives && r.Guard.Follows == epoch && r.Guard.CaughtUp && !r.Guard.Amnesiac
}

// Inject does one fault to the present primary and waits until a write was acknowledged in a new epoch.
func (r *Rig) Inject(ctx context.Context, fault Fault, ledger *Ledger) (Failure, error) {
	ctx, cancel := context.WithTimeout(ctx, recoverWithin)
	defer cancel()
	v, err := r.Client.Database(ctx, databaseName, api.Stale)
	if err != nil {
		return Failure{}, err
	}
	d := v.Database
	f := Failure{Fault: fault, From: d.Primary, At: time.Now()}
	server, err := r.Database(d.Primary)
	if err != nil {
		return f, err
	}
	watchCtx, stop := context.WithCancel(ctx)
	names := r.watchNames(watchCtx, server.Addr().Addr().String())
	err = r.strike(ctx, fault, server)
	if err == nil {
		err = f.wait(ctx, ledger, d.Epoch)
	}
	if err == nil {
		err = r.explain(ctx, &f)
	}
	if err == nil {
		names.settle(ctx)
	}
	stop()
	f.DNS, f.Hosts = names.done()
	return f, err
}

func (r *Rig) strike(ctx context.Context, fault Fault, primary *lab.Server) error {
	switch fault {
	case Crash:
		return primary.Crash()
	case Freeze:
		return primary.Freeze()
	case Switchover:
		_, err := r.Client.Switchover(ctx, databaseName, api.SwitchoverRequest{Reason: "demo"}, 0)
		return err
	}
	return fmt.Errorf("nothing to do for fault %q", fault)
}

// wait returns when the ledger has an acknowledgement from an epoch after old.
func (f *Failure) wait(ctx context.Context, ledger *Ledger, old registry.Epoch) error {
	for {
		newest, grown := ledger.Newest()
		if newest > uint64(old) {
			f.Epoch = registry.Epoch(newest)
			f.LastAck, f.FirstAck = ledger.Gap(newest)
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return fmt.Errorf("no write was acknowledged within %s after %s of %s", recoverWithin, f.Fault, f.From)
		}
	}
}

// explain asks the registry what it decided. Servers may be electing a leader of their own meanwhile.
func (r *Rig) explain(ctx context.Context, f *Failure) error {
	v, err := r.Client.Database(ctx, databaseName, api.Current)
	for err != nil && ctx.Err() == nil {
		rest(ctx, 20*time.Millisecond)
		v, err = r.Client.Database(ctx, databaseName, api.Current)
	}
	if err != nil {
		return err
	}
	f.To = v.Database.Primary
	for _, e := range v.Database.History {
		if e.AtMillis >= f.At.UnixMilli()-5 {
			f.Events = append(f.Events, e)
		}
	}
	return nil
}

// Database returns the server of this name.
func (r *Rig) Database(id registry.InstanceID) (*lab.Server, error) {
	for _, s := range r.Databases {
		if s.Name() == string(id) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no server %q", id)
}

// names watches what every node answers and writes until it is no longer the old address.
type names struct {
	mu         sync.Mutex
	dns, hosts map[string]time.Time
	want       int
	all        sync.WaitGroup
	changed    chan struct{}
}

func (r *Rig) watchNames(ctx context.Context, old string) *names {
	n := &names{dns: map[string]time.Time{}, hosts: map[string]time.Time{}, want: len(r.Nodes), changed: make(chan struct{}, 2*len(r.Nodes))}
	dns := r.DNS()
	for i, node := range r.Nodes {
		n.all.Go(func() {
			n.poll(ctx, n.dns, node.Name, 5*time.Millisecond, func() bool {
				addr, err := lookup(ctx, dns[i], primaryName)
				return err == nil && addr != old
			})
		})
		n.all.Go(func() {
			n.poll(ctx, n.hosts, node.Name, 5*time.Millisecond, func() bool { return hostsAddress(node.Hosts, old) != old })
		})
	}
	return n
}

// poll records when seen first says yes.
func (n *names) poll(ctx context.Context, into map[string]time.Time, name string, every time.Duration, seen func() bool) {
	for ctx.Err() == nil {
		if seen() {
			n.mu.Lock()
			into[name] = time.Now()
			n.mu.Unlock()
			n.changed <- struct{}{}
			return
		}
		rest(ctx, every)
	}
}

// settle waits until every node was seen to name the new primary, at most two seconds.
func (n *names) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for range 2 * n.want {
		select {
		case <-n.changed:
		case <-ctx.Done():
			return
		}
	}
}

func (n *names) done() (dns, hosts map[string]time.Time) {
	n.all.Wait()
	return n.dns, n.hosts
}

// hostsAddress is the address that a hosts file gives the primary; otherwise while it gives none.
func hostsAddress(path, otherwise string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return otherwise
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && !strings.HasPrefix(fields[0], "#") && slices.Contains(fields[1:], primaryName) {
			return fields[0]
		}
	}
	return otherwise
}

// Check compares the ledger with what the present primary holds.
func (r *Rig) Check(ctx context.Context, ledger *Ledger) (Verdict, error) {
	d, err := r.Serving(ctx, 1) // others may be kept out as diverged
	if err != nil {
		return Verdict{}, err
	}
	server, err := r.Database(d.Primary)
	if err != nil {
		return Verdict{}, err
	}
	found, err := rows(ctx, server.Addr().String())
	if err != nil {
		return Verdict{}, err
	}
	return ledger.Verify(found), nil
}

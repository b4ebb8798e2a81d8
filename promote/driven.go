package promote

import (
	"context"
	"errors"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/registry"
)

// Promises is where a guard keeps its record (G3). *promise.File is one. The guard calls it from one goroutine. Save
// returns nil only once r is durable; after an error either record may be found. A Record whose File is empty is none.
type Promises interface {
	Record() promise.Record
	Save(r promise.Record) error
	Close() error
}

// Driven is a guard without a loop, a file and a clock: whoever drives it says which state it sees, when it does its
// next step, and by ctx when a call has lasted too long. It is the same code as Guard.Run runs. One goroutine uses it.
type Driven struct{ guard *Guard }

// NewDriven returns a guard that keeps its record in p. Of cfg, Dir means nothing.
func NewDriven(cfg GuardConfig, p Promises, server Server, observer Observer) *Driven {
	g := guardWith(cfg, p, server, observer, nil)
	g.driven = true
	return &Driven{guard: g}
}

// Copy returns a guard that remembers what this one does, beside another server.
func (v *Driven) Copy(p Promises, server Server, observer Observer) *Driven {
	c := NewDriven(v.guard.cfg, p, server, observer)
	c.guard.done = v.guard.done
	c.guard.tenure.asked, c.guard.tenure.epoch, c.guard.tenure.by = v.guard.tenure.asked, v.guard.tenure.epoch, v.guard.tenure.by
	return c
}

// Next is the next step in d; see the function Next.
func (v *Driven) Next(d *registry.Database) Step {
	v.guard.released(d)
	return Next(d, v.guard.cfg.Instance, v.guard.local())
}

// Perform does one step, and reports a problem as Run does. later says that the step is to be looked at again, without
// being a problem.
func (v *Driven) Perform(ctx context.Context, d *registry.Database, s Step) (later bool, err error) {
	err = v.guard.perform(ctx, d, s)
	if errors.Is(err, errNotYet) {
		return true, nil
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	v.guard.note(func(r *health.Guard) { r.Problem = problem })
	return false, err
}

// Report is what the guard has done so far.
func (v *Driven) Report() health.Guard { return v.guard.Report() }

// PromiseFile is the name of the record, for registry.Member.PromiseFile.
func (v *Driven) PromiseFile() string { return v.guard.PromiseFile() }

// Clock gives the guard a clock, in the terms of package lease.
func (v *Driven) Clock(now func() time.Duration) {
	v.guard.now = func() (time.Duration, error) { return now(), nil }
}

// NeedsLease reports whether the guard is to ask for a lease in d.
func (v *Driven) NeedsLease(d *registry.Database) bool { return needsLease(d, v.guard.cfg.Instance) }

// Lease is the epoch for which a lease holds now, 0: none.
func (v *Driven) Lease() registry.Epoch { return v.guard.leaseOf() }

// Granted gives the guard what the registry said, which it asked for at asked.
func (v *Driven) Granted(asked time.Duration, d *registry.Database) { v.guard.granted(asked, d) }

// Tenure is the server process that goes on by a lease, "" where none does, the epoch of that lease, and when it was asked for.
func (v *Driven) Tenure() (process string, epoch registry.Epoch, asked time.Duration) {
	return v.guard.tenure.by, v.guard.tenure.epoch, v.guard.tenure.asked
}

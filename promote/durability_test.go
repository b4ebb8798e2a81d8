package promote

import (
	"testing"
	"time"

	"github.com/baton-db/baton/promote/lease"
	"github.com/baton-db/baton/registry"
)

// alone is a reign of db1 that waits for nobody, change what is under way in it.
func alone(change *registry.Change) *registry.Database {
	return group(3).with(func(d *registry.Database) {
		d.Durability, d.Revision, d.Change = registry.Degraded, 7, change
		d.Alone = &registry.Alone{Epoch: 1}
	}).d
}

// leasing is the open server of db1, whose commits wait for k, with these epochs of a lease that holds and of the last one.
func leasing(d *registry.Database, k int, holds, last registry.Epoch) Local {
	return but(reigning(d), func(l *Local) { l.AsksFor, l.Lease, l.Leased = k, holds, last })
}

func closed(l Local) Local { l.ReadOnly = true; return l }

func TestAPrimaryThatNobodyAcknowledgesIsOpenWhileItsLeaseHolds(t *testing.T) {
	d, back := alone(nil), alone(&registry.Change{K: 1})
	runNext(t, []next{
		{"left alone, and not given a lease: commits go on waiting", d, "db1", leasing(d, 1, 0, 0), "wait"},
		{"it holds: commits wait for nobody", d, "db1", leasing(d, 1, 1, 1), "ask"},
		{"it holds", d, "db1", leasing(d, 0, 1, 1), "wait"},
		{"it is over", d, "db1", leasing(d, 0, 0, 1), "suspend"},
		{"it never had one, and waits for nobody", d, "db1", leasing(d, 0, 0, 0), "suspend"},
		{"closed, and over", d, "db1", closed(leasing(d, 0, 0, 1)), "wait"},
		{"closed, and it holds", d, "db1", closed(leasing(d, 0, 1, 1)), "open"},
		{"to be lossless again", back, "db1", leasing(back, 0, 1, 1), "ask"},
		{"what was written alone is not proved", back, "db1", leasing(back, 1, 1, 1), "prove"},
		{"and its lease is over", back, "db1", leasing(back, 1, 0, 1), "suspend"},
		{"the registry seen is older, and nobody gave a lease", d, "db1", but(leasing(d, 0, 0, 0), func(l *Local) { l.Record.Promise = 2 }), "suspend"},
		{"the same by revision", d, "db1", but(leasing(d, 0, 0, 0), func(l *Local) { l.Record.Revision = 8 }), "suspend"},
		{"the registry seen is older, and commits wait", d, "db1", but(leasing(d, 1, 0, 0), func(l *Local) { l.Record.Promise = 2 }), "wait"},
		{"the registry seen is older, and a lease holds", d, "db1", but(leasing(d, 0, 1, 1), func(l *Local) { l.Record.Promise = 2 }), "wait"},
	})
}

// A server whose commits wait cannot be closed, and would be killed for a lease from before it was lossless again.
func TestALeaseIsForgottenWhenTheReignIsLosslessAgain(t *testing.T) {
	now := time.Second
	g := &Guard{cfg: GuardConfig{Instance: "db1"}, tenure: tenure{asked: -1, by: "p1"}, now: func() (time.Duration, error) { return now, nil }}
	next := func(d *registry.Database) Verb {
		g.released(d)
		return Next(d, "db1", leasing(d, 1, g.leaseOf(), g.tenure.epoch)).Verb
	}
	d := alone(nil)
	if g.granted(now, d); next(d) != Ask {
		t.Errorf("with a lease: %s", next(d))
	}
	now += lease.Term
	if got := next(d); got != Suspend {
		t.Errorf("when it is over: %s", got)
	}
	if got := next(group(3).with(func(d *registry.Database) { d.Revision = 7 }).d); got != Wait || g.tenure.by != "" {
		t.Errorf("lossless again: %s, %q goes on by a lease", got, g.tenure.by)
	}
	if got := next(d); got != Wait {
		t.Errorf("alone again: %s", got)
	}
}

// The answer may have been long on its way, and the reign ended as soon as it was given.
func TestALeaseIsCountedFromTheQuestion(t *testing.T) {
	now, d := time.Minute, alone(nil)
	g := &Guard{cfg: GuardConfig{Instance: "db1"}, tenure: tenure{asked: -1}, now: func() (time.Duration, error) { return now, nil }}
	asked := now - lease.Term/2
	g.granted(asked, d)
	if now = asked + lease.Term - 1; g.leaseOf() != d.Epoch {
		t.Error("it is over too soon")
	}
	if now = asked + lease.Term; g.leaseOf() != 0 {
		t.Errorf("it holds %s after it was asked for", lease.Term)
	}
	now = asked + lease.Term/2
	g.granted(asked-lease.Renew, d) // an answer that was overtaken
	if now = asked + lease.Term - 1; g.leaseOf() != d.Epoch {
		t.Error("an older answer has made it shorter")
	}
}

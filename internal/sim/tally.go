package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/registry"
)

// phases are those of registry.Phase, in the order of a failover.
var phases = []registry.Phase{registry.Forming, registry.Serving, registry.Closing, registry.Fencing, registry.Promoting}

// Tally counts what schedules were made of, so that nobody has to believe that they were full.
type Tally struct {
	Schedules  uint64
	Faulty     uint64 // schedules in which at least one fault happened
	Troubled   uint64 // schedules in which at least one reign was begun before the faults were over
	Stuck      uint64 // schedules that ended where only a person can decide
	Epochs     uint64 // reigns begun before the faults were over
	After      uint64 // and after
	Acks       uint64 // writes answered with OK before and after
	Lost       uint64 // writes that were answered with OK and given up by an async reign or an operator
	Rounds     uint64 // that recoveries took
	MostRounds uint64
	Cancelled  uint64 // steps that were cancelled because their epoch was over
	Stale      uint64 // commands that were refused because they were stale
	Refused    uint64 // and for any other reason

	Events   []uint64    // by kind
	ByPhase  [][5]uint64 // the same, by the phase in which they happened
	Verbs    map[string]uint64
	Calls    map[string]uint64
	Commands map[string]uint64
	Causes   map[string]uint64 // why epochs began
	Proofs   map[string]uint64 // of the elections that were established
	Waiting  map[string]uint64 // why nothing was decided
	Quirks   [mysqldtest.Quirks]uint64
}

func newTally() *Tally {
	return &Tally{Events: make([]uint64, len(kinds)), ByPhase: make([][5]uint64, len(kinds)), Verbs: map[string]uint64{}, Calls: map[string]uint64{},
		Commands: map[string]uint64{}, Causes: map[string]uint64{}, Proofs: map[string]uint64{}, Waiting: map[string]uint64{}}
}

func (t *Tally) happened(kind, phase int) {
	t.Events[kind]++
	t.ByPhase[kind][phase]++
}

func (t *Tally) refused(err error) {
	if errors.Is(err, registry.ErrStale) {
		t.Stale++
		return
	}
	t.Refused++
}

func (t *Tally) proved(proof string) { t.Proofs[proof]++ }

func (t *Tally) committed(c registry.Command) {
	name := ""
	switch c := c.(type) {
	case *registry.Revoke:
		name = "Revoke"
		t.Causes[c.Cause.Code]++
	case *registry.Escalate:
		name = "Escalate"
		t.Causes[c.Cause.Code]++
	case *registry.Elect:
		name = "Elect"
		if c.CatchUp != nil {
			name = "Elect with a detour"
		}
	case *registry.Establish:
		name = "Establish"
	default:
		name = strings.TrimPrefix(fmt.Sprintf("%T", c), "*registry.")
	}
	t.Commands[name]++
}

// outcome is what is known of a schedule at its end.
type outcome struct{ faults, during, after int }

func (t *Tally) ended(w *world, o outcome) {
	t.Schedules++
	if o.faults > 0 {
		t.Faulty++
	}
	if o.during > 0 {
		t.Troubled++
	}
	t.Epochs += uint64(o.during)
	t.After += uint64(o.after)
	t.Acks += uint64(w.acks)
	for i, n := range w.group.Reached() {
		t.Quirks[i] += n
	}
}

// add adds what another player counted.
func (t *Tally) add(o *Tally) {
	for _, x := range []struct{ to, from *uint64 }{
		{&t.Schedules, &o.Schedules}, {&t.Faulty, &o.Faulty}, {&t.Troubled, &o.Troubled}, {&t.Stuck, &o.Stuck}, {&t.Epochs, &o.Epochs},
		{&t.After, &o.After}, {&t.Acks, &o.Acks}, {&t.Lost, &o.Lost}, {&t.Rounds, &o.Rounds}, {&t.Cancelled, &o.Cancelled}, {&t.Stale, &o.Stale}, {&t.Refused, &o.Refused},
	} {
		*x.to += *x.from
	}
	t.MostRounds = max(t.MostRounds, o.MostRounds)
	for i := range o.Events {
		t.Events[i] += o.Events[i]
		for p := range phases {
			t.ByPhase[i][p] += o.ByPhase[i][p]
		}
	}
	for i := range o.Quirks {
		t.Quirks[i] += o.Quirks[i]
	}
	for _, x := range []struct{ to, from map[string]uint64 }{
		{t.Verbs, o.Verbs}, {t.Calls, o.Calls}, {t.Commands, o.Commands}, {t.Causes, o.Causes}, {t.Proofs, o.Proofs}, {t.Waiting, o.Waiting},
	} {
		for k, n := range x.from {
			x.to[k] += n
		}
	}
}

// String says all of it, one subject a line.
func (t *Tally) String() string {
	var b strings.Builder
	n := float64(max(t.Schedules, 1))
	of := func(c class) (sum uint64) {
		for i, k := range kinds {
			if k.class == c {
				sum += t.Events[i]
			}
		}
		return sum
	}
	fmt.Fprintf(&b, "per schedule: events %.1f (faults %.2f, repairs %.2f), reigns begun under faults %.2f and after them %.2f, acknowledged writes %.1f\n",
		float64(of(work)+of(repair)+of(fault))/n, float64(of(fault))/n, float64(of(repair))/n, float64(t.Epochs)/n, float64(t.After)/n, float64(t.Acks)/n)
	fmt.Fprintf(&b, "schedules: with faults %.1f %%, with a reign begun under faults %.1f %%, that end with a person %.2f %%; rounds to recover %.1f, at most %d\n",
		100*float64(t.Faulty)/n, 100*float64(t.Troubled)/n, 100*float64(t.Stuck)/n, float64(t.Rounds)/n, t.MostRounds)
	for _, c := range []class{work, repair, fault} {
		fmt.Fprintf(&b, "%s:", [...]string{"work", "repairs", "faults"}[c])
		for i, k := range kinds {
			if k.class == c {
				fmt.Fprintf(&b, " %s %d,", k.name, t.Events[i])
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("faults by phase:")
	for p, name := range phases {
		sum := uint64(0)
		for i, k := range kinds {
			if k.class == fault {
				sum += t.ByPhase[i][p]
			}
		}
		fmt.Fprintf(&b, " %s %d,", name, sum)
	}
	b.WriteByte('\n')
	for _, x := range []struct {
		name string
		m    map[string]uint64
	}{{"steps", t.Verbs}, {"calls", t.Calls}, {"commands", t.Commands}, {"epochs begun for", t.Causes}, {"established by proof", t.Proofs}, {"nothing decided for", t.Waiting}} {
		fmt.Fprintf(&b, "%s:", x.name)
		for _, k := range slices.Sorted(maps.Keys(x.m)) {
			fmt.Fprintf(&b, " %s %d,", k, x.m[k])
		}
		b.WriteByte('\n')
	}
	b.WriteString("quirks:")
	for i, n := range t.Quirks {
		fmt.Fprintf(&b, " %s %d,", mysqldtest.Quirk(i), n)
	}
	fmt.Fprintf(&b, "\nsteps cancelled %d, commands refused as stale %d, for another reason %d, writes given up %d\n", t.Cancelled, t.Stale, t.Refused, t.Lost)
	return strings.ReplaceAll(b.String(), ",\n", "\n")
}

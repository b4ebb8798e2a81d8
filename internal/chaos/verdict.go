package chaos

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/chaos/witness"
	"github.com/baton-db/baton/promote/decide"
)

// Outage is the longest time without an acknowledgement in one round.
type Outage struct {
	Round int
	Kinds []string
	// Failovers is how many unplanned ones there were in the round.
	Failovers int
	Length    time.Duration
	// Promised says that one fault struck alone and had to be survived: only then is the length promised.
	Promised bool
}

// struck is what became of a strike.
type struck struct {
	Round    int       `json:"round"`
	Kind     string    `json:"kind"`
	Host     string    `json:"host"`
	Injected time.Time `json:"injected"`
	Healed   time.Time `json:"healed"`
	Error    string    `json:"error,omitempty"` // why it was skipped

	effect Effect
}

// bout is one round as it went.
type bout struct {
	strikes    []struck
	began, end time.Time
}

// Report is what a run found.
type Report struct {
	Seed     uint64
	Server   string // family and version
	Calm     bool
	Length   time.Duration
	Strikes  []struck
	Faults   map[string]int // injected, by kind
	Skipped  int
	Reigns   []reign
	Planned  int // changes of epoch that were asked for
	Failover int // those that were not
	Needless []string
	Outages  []Outage
	Verdict  demo.Verdict
	Appends  int
	Samples  int64
	Strays   int64 // accepted by a server that a person had opened
	Answers  int   // of DNS
	Reads    int   // of hosts files
	Accesses int   // of the registry
	Wiped    int   // replicas that diverged and were given an empty data directory
	Problems []string
}

// planned are the causes of an epoch that is no failover.
func planned(r reign) bool {
	return r.Cause.Code == decide.Switchover || r.Cause.Code == decide.SwitchoverUndone || r.Cause.Code == decide.Formation
}

// account works the failovers and outages out of the rounds, the reigns and the acknowledgements.
func (r *Report) account(bouts []bout, acks []demo.Ack) {
	slices.SortFunc(acks, func(a, b demo.Ack) int { return a.At.Compare(b.At) })
	r.Faults = map[string]int{}
	for i, b := range bouts {
		o := Outage{Round: i + 1, Length: LongestGap(acks, b.began, b.end)}
		harmless := true
		r.Strikes = append(r.Strikes, b.strikes...)
		for _, s := range b.strikes {
			if s.Error != "" {
				r.Skipped++
				continue
			}
			r.Faults[s.Kind]++
			o.Kinds = append(o.Kinds, s.Kind)
			harmless = harmless && s.effect.harmless()
			o.Promised = s.effect == Survived
		}
		o.Promised = o.Promised && len(o.Kinds) == 1
		for _, g := range r.Reigns {
			if planned(g) || g.began.Before(b.began) || !g.began.Before(b.end) {
				continue
			}
			o.Failovers++
			if harmless {
				r.Needless = append(r.Needless, fmt.Sprintf("round %d, %s: epoch %d began: %s", o.Round, strings.Join(o.Kinds, " + "), g.Epoch, g.Cause))
			}
		}
		r.Outages = append(r.Outages, o)
	}
	for _, g := range r.Reigns {
		switch {
		case g.Cause.Code == decide.Formation:
		case planned(g):
			r.Planned++
		default:
			r.Failover++
		}
	}
}

// LongestGap is the longest time between two acknowledgements of the writers that touches the span. acks are in order.
func LongestGap(acks []demo.Ack, from, to time.Time) time.Duration {
	var longest time.Duration
	last := time.Time{}
	for _, a := range acks {
		if a.ID >= witness.SamplerIDs {
			continue // it does not go by the name
		}
		if !last.IsZero() && a.At.After(from) && last.Before(to) {
			longest = max(longest, a.At.Sub(last))
		}
		if last = a.At; last.After(to) {
			break
		}
	}
	return longest
}

// lengths are the outages with a failover in them, promised ones or the others.
func (r *Report) lengths(promised func(Outage) bool) []time.Duration {
	var all []time.Duration
	for _, o := range r.Outages {
		if o.Failovers > 0 && promised(o) {
			all = append(all, o.Length)
		}
	}
	return all
}

// faults is how many were injected.
func (r *Report) faults() int {
	sum := 0
	for _, n := range r.Faults {
		sum += n
	}
	return sum
}

// Broken says what promise was not kept, or nothing.
func (r *Report) Broken() []string {
	broken := slices.Clone(r.Problems)
	if n := len(r.Verdict.Lost); n > 0 {
		broken = append(broken, fmt.Sprintf("%d acknowledged writes lost, the first: %v", n, r.Verdict.Lost[:min(n, 10)]))
	}
	if n := len(r.Verdict.Double); n > 0 {
		broken = append(broken, fmt.Sprintf("%d writes acknowledged by two at a time, the first: %v", n, r.Verdict.Double[:min(n, 10)]))
	}
	if r.Calm && r.Failover > 0 {
		broken = append(broken, fmt.Sprintf("%d failovers, and nothing that happened calls for one", r.Failover))
	}
	return broken
}

// Print writes the report; its last line is the result.
func (r *Report) Print(out io.Writer) {
	fmt.Fprintf(out, "\n%s, seed %d, %s of faults\n\n", r.Server, r.Seed, r.Length.Round(time.Second))
	fmt.Fprintf(out, "%-24s %8s %10s %12s\n", "fault", "injected", "alone, s", "longest, s")
	for _, kind := range slices.Sorted(maps.Keys(r.Faults)) {
		alone, longest := "-", time.Duration(0)
		for _, o := range r.Outages {
			if !slices.Contains(o.Kinds, kind) {
				continue
			}
			longest = max(longest, o.Length)
			if len(o.Kinds) == 1 {
				alone = cmp.Or(longestAlone(r.Outages, kind), alone)
			}
		}
		fmt.Fprintf(out, "%-24s %8d %10s %12.2f\n", kind, r.Faults[kind], alone, longest.Seconds())
	}
	promised, others := r.lengths(func(o Outage) bool { return o.Promised }), r.lengths(func(o Outage) bool { return !o.Promised })
	fmt.Fprintf(out, "\nlongest time without an acknowledgement, in rounds with a failover\n%-10s %14s %14s\n", "up to, s", "one fault", "several")
	for _, b := range buckets() {
		fmt.Fprintf(out, "%-10s %14d %14d\n", b.name, b.count(promised), b.count(others))
	}
	fmt.Fprintf(out, "one fault: p50 %.2f s, p99 %.2f s; several: p50 %.2f s, p99 %.2f s\n", demo.Quantile(promised, 0.5).Seconds(), demo.Quantile(promised, 0.99).Seconds(),
		demo.Quantile(others, 0.5).Seconds(), demo.Quantile(others, 0.99).Seconds())
	fmt.Fprintf(out, "\nrounds %d, faults that had nothing to strike %d, failovers %d, planned hand-overs %d, replicas emptied as diverged %d\n",
		len(r.Outages), r.Skipped, r.Failover, r.Planned, r.Wiped)
	fmt.Fprintf(out, "writes acknowledged %d, unknown %d; appends %d; samples %d, of them %d accepted by a server a person had opened\n", r.Verdict.Acknowledged,
		r.Verdict.Unknown, r.Appends, r.Samples, r.Strays)
	fmt.Fprintf(out, "DNS answers %d, hosts files read %d, accesses to the registry %d\n", r.Answers, r.Reads, r.Accesses)
	for _, n := range r.Needless {
		fmt.Fprintf(out, "NEEDLESS FAILOVER in %s\n", n)
	}
	for _, p := range r.Broken() {
		fmt.Fprintf(out, "BROKEN: %s\n", p)
	}
	fmt.Fprintf(out, "chaos: faults %d, failovers %d, acknowledged %d, lost %d, double_acknowledged %d, outage_p99_s %.2f\n", r.faults(), r.Failover,
		r.Verdict.Acknowledged, len(r.Verdict.Lost), len(r.Verdict.Double), demo.Quantile(promised, 0.99).Seconds())
}

func longestAlone(all []Outage, kind string) string {
	var longest time.Duration
	for _, o := range all {
		if len(o.Kinds) == 1 && o.Kinds[0] == kind {
			longest = max(longest, o.Length)
		}
	}
	return fmt.Sprintf("%.2f", longest.Seconds())
}

// bucket is a bar of the histogram.
type bucket struct {
	name     string
	from, to time.Duration
}

func buckets() []bucket {
	bounds := []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second, 1500 * time.Millisecond,
		2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second}
	var all []bucket
	from := time.Duration(-1)
	for _, b := range bounds {
		all = append(all, bucket{fmt.Sprintf("%.2f", b.Seconds()), from, b})
		from = b
	}
	return append(all, bucket{"more", from, 1 << 62})
}

func (b bucket) count(all []time.Duration) int {
	n := 0
	for _, d := range all {
		if d > b.from && d <= b.to {
			n++
		}
	}
	return n
}

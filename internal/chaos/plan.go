package chaos

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Strike is one fault of a plan.
type Strike struct {
	Kind Kind
	// Draw chooses among hosts where the role leaves a choice.
	Draw int
	// At is when it is injected, since the round began, and Hold for how long.
	At, Hold time.Duration
}

// Round is one to three faults that strike together, then healing.
type Round struct {
	Strikes []Strike
	// Rest is how long nothing is done before the round.
	Rest time.Duration
}

// Planner draws rounds; the same seed and kinds give the same ones.
type Planner struct {
	chance *rand.Rand
	kinds  []Kind
	most   int   // faults at a time
	bag    []int // indexes of kinds not yet drawn in this pass
}

// NewPlanner draws from kinds up to most faults at a time.
func NewPlanner(seed uint64, kinds []Kind, most int) *Planner {
	return &Planner{chance: rand.New(rand.NewPCG(seed, 0xba70)), kinds: kinds, most: most}
}

// Next draws the next round. Two of five have one fault only, for what a single fault costs is promised.
func (p *Planner) Next() Round {
	count := 1
	if p.most > 1 && p.chance.IntN(5) > 1 {
		count = 2 + p.chance.IntN(p.most-1)
	}
	r := Round{Rest: between(p.chance, 100*time.Millisecond, 300*time.Millisecond)}
	var taken []Part
	for tries := 0; len(r.Strikes) < count && tries < 50; tries++ {
		k := p.draw()
		if slices.ContainsFunc(k.Parts, func(part Part) bool { return slices.Contains(taken, part) }) {
			continue
		}
		taken = append(taken, k.Parts...)
		s := Strike{Kind: k, Draw: p.chance.IntN(1 << 16), Hold: between(p.chance, k.Hold[0], k.Hold[1])}
		if len(r.Strikes) > 0 {
			s.At = between(p.chance, 0, time.Second)
		}
		r.Strikes = append(r.Strikes, s)
	}
	slices.SortStableFunc(r.Strikes, func(a, b Strike) int { return int(a.At - b.At) })
	return r
}

// draw takes a kind out of a bag that holds each as often as its weight says, so that a short run sees many kinds.
func (p *Planner) draw() Kind {
	if len(p.bag) == 0 {
		for i, k := range p.kinds {
			p.bag = append(p.bag, slices.Repeat([]int{i}, k.Weight)...)
		}
		p.chance.Shuffle(len(p.bag), func(i, j int) { p.bag[i], p.bag[j] = p.bag[j], p.bag[i] })
	}
	i := p.bag[0]
	p.bag = p.bag[1:]
	return p.kinds[i]
}

func between(chance *rand.Rand, from, to time.Duration) time.Duration {
	if to <= from {
		return from
	}
	return from + time.Duration(chance.Int64N(int64(to-from)))
}

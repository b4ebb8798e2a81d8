package chaos_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/internal/chaos"
)

// drawn is what a strike says without its functions, which cannot be compared.
type drawn struct {
	Name     string
	Draw     int
	At, Hold time.Duration
}

func draw(seed uint64, rounds int) (all [][]drawn) {
	p := chaos.NewPlanner(seed, chaos.Kinds(), 3)
	for range rounds {
		var round []drawn
		for _, s := range p.Next().Strikes {
			round = append(round, drawn{s.Kind.Name, s.Draw, s.At, s.Hold})
		}
		all = append(all, round)
	}
	return all
}

func TestASeedDrawsTheSameFaultsAgain(t *testing.T) {
	if diff := cmp.Diff(draw(7, 200), draw(7, 200)); diff != "" {
		t.Errorf("seed 7 draws two plans (-first +second):\n%s", diff)
	}
	if cmp.Equal(draw(7, 20), draw(8, 20)) {
		t.Error("seeds 7 and 8 draw the same plan")
	}
}

func TestFaultsThatStrikeTogetherHaveNoPartInCommon(t *testing.T) {
	p := chaos.NewPlanner(1, chaos.Kinds(), 3)
	sizes := map[int]int{}
	for range 2000 {
		var taken []chaos.Part
		strikes := p.Next().Strikes
		sizes[len(strikes)]++
		for _, s := range strikes {
			for _, part := range s.Kind.Parts {
				if slices.Contains(taken, part) {
					t.Fatalf("%s strikes %s, which another fault of the round does too", s.Kind.Name, part)
				}
				taken = append(taken, part)
			}
			if s.Hold < s.Kind.Hold[0] || s.Hold > s.Kind.Hold[1] {
				t.Errorf("%s is held for %s, want %v", s.Kind.Name, s.Hold, s.Kind.Hold)
			}
		}
	}
	if len(sizes) != 3 || sizes[1] < 700 || sizes[2] == 0 || sizes[3] == 0 {
		t.Errorf("rounds by the number of their faults: %v", sizes)
	}
}

func TestEveryKindIsDrawnBeforeAnyIsDrawnTooOften(t *testing.T) {
	weights := 0
	for _, k := range chaos.Kinds() {
		weights += k.Weight
	}
	p, seen := chaos.NewPlanner(3, chaos.Kinds(), 1), map[string]int{}
	for range weights {
		seen[p.Next().Strikes[0].Kind.Name]++
	}
	for _, k := range chaos.Kinds() {
		if seen[k.Name] != k.Weight {
			t.Errorf("%s was drawn %d times, its weight is %d", k.Name, seen[k.Name], k.Weight)
		}
	}
}

func TestKindsAreManyAndNamedOnce(t *testing.T) {
	var names []string
	for _, k := range chaos.Kinds() {
		if k.Weight < 1 || len(k.Parts) == 0 || k.Effect == "" || k.Role == "" || k.Hold[1] < k.Hold[0] {
			t.Errorf("kind %q is not whole: %+v", k.Name, k)
		}
		names = append(names, k.Name)
	}
	slices.Sort(names)
	if compact := slices.Compact(slices.Clone(names)); len(compact) != len(names) || len(names) < 20 {
		t.Errorf("%d kinds, %d names", len(names), len(compact))
	}
	for _, k := range chaos.CalmKinds() {
		if k.Effect != chaos.Harmless && k.Effect != chaos.HarmlessBlocking {
			t.Errorf("%s may cause a failover and is called calm", k.Name)
		}
	}
}

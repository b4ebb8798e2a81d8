package sim

import (
	"runtime/debug"
	"testing"
)

func TestRaw(t *testing.T) {
	debug.SetGCPercent(1000)
	p := newPlayer()
	defer p.close()
	for seed := uint64(1); seed <= 10000; seed++ {
		if _, v := p.play(seed, nil, nil); v != nil {
			s := &story{}
			p.play(seed, s, nil)
			for _, l := range s.lines {
				t.Log(l)
			}
			t.Fatal(seed, v)
		}
	}
	t.Log("\n" + p.tally.String())
}

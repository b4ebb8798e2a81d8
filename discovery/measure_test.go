package discovery_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/discovery"
)

var lan = discovery.LAN

func TestXMeasure(t *testing.T) {
	if os.Getenv("X") == "" {
		t.Skip()
	}
	ms := time.Millisecond
	for _, o := range []struct {
		p, to     time.Duration
		mult, max int
	}{{50 * ms, 20 * ms, 6, 2}, {50 * ms, 20 * ms, 7, 2}, {50 * ms, 20 * ms, 8, 2}, {70 * ms, 30 * ms, 5, 2}} {
		lan = func() discovery.Timing {
			l := discovery.LAN()
			l.ProbeInterval, l.ProbeTimeout, l.SuspicionMult, l.SuspicionMaxMult = o.p, o.to, o.mult, o.max
			return l
		}
		for _, size := range []int{3, 5, 8} {
			var all []time.Duration
			for range 200 {
				synctest.Test(t, func(t *testing.T) {
					c := newCluster(t, size)
					time.Sleep(time.Second)
					c.net.Isolate("n1")
					all = append(all, c.await(5*time.Second, "x", c.othersSee(1, discovery.Failed)))
				})
			}
			slices.Sort(all)
			fps, byFrozen := 0, 0
			for r := range 20 {
				synctest.Test(t, func(t *testing.T) {
					c := newCluster(t, size)
					c.net.SetLoss(0.05, uint64(r))
					c.net.SetDelay(200*time.Microsecond, time.Millisecond)
					for i := range 60 {
						fz := i * 7 % size
						c.net.Pause(fmt.Sprintf("n%d", fz))
						seen := false
						for k := range 1000 {
							if k == 300 {
								c.net.Resume(fmt.Sprintf("n%d", fz))
							}
							time.Sleep(ms)
							for _, g := range c.nodes {
								if !seen && count(g, discovery.Failed) > 0 {
									seen = true
									fps++
									if state(g, fmt.Sprintf("n%d", fz)) != discovery.Failed {
										byFrozen++
									}
								}
							}
						}
					}
				})
			}
			t.Log(o, size, "detect", all[0], all[100], all[198], all[199], "false", fps, "of 1200, of others:", byFrozen)
		}
	}
}

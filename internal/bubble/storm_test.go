package bubble_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// stormTime is how long faults rain, a new one every 50 ms to 1.5 s.
const stormTime = 30 * time.Second

// blow does one thing at random, some of which mend what another broke.
func (w *world) blow(draw *rand.Rand) {
	n, other := w.nodes[draw.IntN(len(w.nodes))], w.nodes[draw.IntN(len(w.nodes))]
	switch draw.IntN(14) {
	case 0:
		w.isolate(n)
	case 1:
		w.deafen(n)
	case 2:
		w.mute(n)
	case 3, 4:
		if n != other {
			w.cutOneWay(n, other)
			w.log.say(w.t, "no way from %s to %s", n.id, other.id)
		}
	case 5:
		if n.feed() != nil {
			n.kill()
			down := time.Duration(draw.IntN(3000)) * time.Millisecond
			w.later(down, n.restart)
		}
	case 6:
		if n.server.Running() {
			n.crash()
			w.later(time.Duration(draw.IntN(3000))*time.Millisecond, n.startServer)
		}
	case 7:
		n.server.Freeze()
		w.wake()
		w.log.say(w.t, "%s is frozen", n.server.ID)
		w.later(time.Duration(draw.IntN(3000))*time.Millisecond, func() { n.server.Thaw(); w.wake(); w.nudge() })
	case 8, 9:
		w.later(0, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, err := w.operator.Switchover(ctx, database, api.SwitchoverRequest{To: registry.InstanceID(n.server.ID)}, time.Second)
			w.log.say(w.t, "a hand-over to %s: %v", n.server.ID, err)
		})
	default:
		w.healAll()
	}
}

// later does something after a while, before the storm is over.
func (w *world) later(wait time.Duration, do func()) {
	w.pending.Go(func() {
		time.Sleep(wait)
		do()
	})
}

// mend ends the storm: what was killed has been started, the network is whole, and what diverged is replaced.
func (w *world) mend() {
	w.pending.Wait()
	w.healAll()
	for range 100 {
		time.Sleep(200 * time.Millisecond)
		d := w.newest()
		on := w.nodeOf(d.Primary)
		if d.Phase != registry.Serving || on == nil {
			continue
		}
		for _, n := range w.nodes {
			strange := func(t mysqldtest.Txn) bool { return !on.server.Holds(t) }
			if n != on && n.server.Running() && !d.IsAcker(registry.InstanceID(n.server.ID)) && slices.ContainsFunc(n.server.Everything(), strange) {
				n.server.Crash()
				n.server.Wipe()
				n.startServer()
				w.log.say(w.t, "%s held what %s lacks, and begins anew", n.server.ID, d.Primary)
			}
		}
		if w.notWhole() == "" {
			return
		}
	}
	w.t.Errorf("20 s after the storm: %s", w.notWhole())
}

// Faults at random, several at once, and in the end everything is there and everybody follows.
func TestAStorm(t *testing.T) {
	seeds := 4
	if text := os.Getenv("BATON_STORMS"); text != "" { // so many more, for who looks for something
		seeds, _ = strconv.Atoi(text)
	}
	first := uint64(1)
	if text := os.Getenv("BATON_STORM"); text != "" {
		first, _ = strconv.ParseUint(text, 10, 64)
	}
	var all []uint64
	for i := range seeds {
		all = append(all, first+uint64(i))
	}
	for _, seed := range some(all) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			size := []int{3, 3, 5}[seed%3]
			inBubble(t, []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB}[seed/3%2], size, func(w *world) {
				draw := rand.New(rand.NewPCG(seed, 1))
				for end := time.Now().Add(stormTime); time.Now().Before(end); {
					w.blow(draw)
					time.Sleep(50*time.Millisecond + time.Duration(draw.IntN(1450))*time.Millisecond)
				}
				w.mend()
				w.agree("all agree after the storm")
				w.t.Logf("epoch %d, %d writes, %d reads", w.newest().Epoch, len(w.acked), w.reads)
			})
		})
	}
}

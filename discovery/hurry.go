package discovery

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// urgency holds one when there is news that should not wait for a tick of gossip.
type urgency chan struct{}

func (u urgency) raise() {
	select {
	case u <- struct{}{}:
	default:
	}
}

// announced are the beginnings of the lines in which memberlist 0.7.0 says that this node suspects a member or objects to
// what is said of it. It has callbacks for all other news, for these two only its log.
var announced = [...]string{"[INFO] memberlist: Suspect ", "[WARN] memberlist: Refuting a "}

// raiseFor looks through memberlist's log for news.
func (u urgency) raiseFor(line []byte) {
	for _, a := range announced {
		if bytes.HasPrefix(line, []byte(a)) {
			u.raise()
		}
	}
}

// settle is how long after its announcement news is surely queued: memberlist logs a suspicion just before it queues it.
const settle = time.Millisecond

// hurry sends rounds of pings while there is urgent news, because each ping and each answer carries news along. Of itself
// memberlist sends news at its ticks, and with the probes that are due anyway; what is short of time would need short ticks
// all day long, each of which wakes an idle machine.
func (g *Gossip) hurry(ctx context.Context) {
	t := g.cfg.Timing
	var pings sync.WaitGroup
	defer pings.Wait()
	next := time.NewTimer(settle)
	defer next.Stop()
	var turn []string // whom to ping next
	for left := 0; ; {
		due := next.C
		if left <= 0 {
			due = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-g.urgent:
			if left <= 0 {
				next.Reset(settle)
				turn = g.others()
			}
			left = t.HurryPings
			continue
		case <-due:
		}
		next.Reset(t.HurryInterval)
		if len(turn) < t.GossipNodes {
			turn = append(turn, g.others()...)
		}
		now := min(t.GossipNodes, len(turn), left)
		for _, name := range turn[:now] {
			pings.Go(func() { _, _ = g.Ping(name) }) // whether it answers does not matter here
		}
		turn = turn[now:]
		if left -= now; now == 0 {
			left = 0 // nobody is there to be told
		}
	}
}

// others is every other member that counts as alive, also suspects, shuffled.
func (g *Gossip) others() []string {
	var names []string
	for _, m := range g.Members() {
		if m.State == Alive && m.Name != g.cfg.Name {
			names = append(names, m.Name)
		}
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

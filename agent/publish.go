package agent

import (
	"context"
	"time"

	"github.com/baton-db/baton/internal/beat"
)

// staleEvery is the pause between two looks at how old the state is.
const staleEvery = 500 * time.Millisecond

// publish hands the records of every new state to the DNS server, and tells it how old the state is.
func (a *Agent) publish(ctx context.Context) error {
	next := time.NewTimer(staleEvery)
	defer next.Stop()
	published := a.feed().State().Index()
	if published > 0 {
		a.publishNow()
	}
	for {
		changed := a.feed().Changed()
		if index := a.feed().State().Index(); index > published {
			published = index
			a.publishNow()
		}
		if age := a.age(); age > a.cfg.DNS.MaxStale {
			a.dns.Stale(age)
		} else {
			a.dns.Stale(0)
		}
		next.Reset(beat.Until(staleEvery))
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-next.C:
		}
	}
}

func (a *Agent) publishNow() {
	s := a.feed().State()
	if err := a.dns.Publish(s.Records(), s.Index()); err != nil {
		a.room("dnsserver").Error("records were not published", "index", s.Index(), "err", err)
	}
}

// age is how long ago this node was certain to have heard every decision.
func (a *Agent) age() time.Duration {
	if a.replica != nil {
		return a.replica.Stats().SinceContact
	}
	return a.follower.Age()
}

package promote

import (
	"context"
	"fmt"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// ask makes the open primary wait for as many acknowledgements as the state says.
func (g *Guard) ask(ctx context.Context, s Step) error {
	ctx, cancel := g.within(ctx, 2*time.Second)
	defer cancel()
	if s.K == 0 {
		g.lives(g.observer.Latest().Incarnation)
	}
	if err := g.server.RequireAcks(ctx, s.K); err != nil {
		return fmt.Errorf("wait for %d acknowledgements: %w", s.K, err)
	}
	g.refresh(ctx)
	return nil
}

// prove has a commit acknowledged that begins after this guard has seen the present revision. What was committed before
// is then on as many others, however it was acknowledged.
func (g *Guard) prove(ctx context.Context, d *registry.Database, s Step) error {
	ctx, cancel := g.within(ctx, proofWait)
	defer cancel()
	before := g.observer.Latest().Incarnation
	if err := g.server.Prove(ctx, s.K, string(g.cfg.Instance), d.Revision); err != nil {
		return fmt.Errorf("prove that %d others hold everything: %w", s.K, err)
	}
	o := g.refresh(ctx)
	if o.Err != nil || o.Incarnation != before {
		return errNotYet // another process may have answered
	}
	g.mu.Lock()
	g.done.provedBy = o.Incarnation
	g.mu.Unlock()
	g.note(func(r *health.Guard) { r.Proved = d.Revision })
	return nil
}

// proofWait is how long a proof may take before everything is looked at again.
const proofWait = 5 * time.Second

// loud notes that the server may acknowledge from now on, before it does.
func (g *Guard) loud(s Step) {
	if s.Acks == Acknowledges {
		g.silence(s, "")
	}
}

// silence notes whether a receiver was just started without acknowledging, by this guard and in this server process: that
// the setting is off proves nothing, a receiver that runs goes on as it was started.
func (g *Guard) silence(s Step, process string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done.silencedBy = ""
	if s.Acks == Silent {
		g.done.silencedBy = process
	}
}

package promote

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/baton-db/baton/health"
)

// apply starts an applier that somebody has stopped: what it does not apply, it will have to before it can win.
func (g *Guard) apply(ctx context.Context) error {
	ctx, cancel := g.within(ctx, 5*time.Second)
	defer cancel()
	if err := g.server.StartApplier(ctx); err != nil {
		return fmt.Errorf("start the applier: %w", err)
	}
	g.refresh(ctx)
	return nil
}

// StuckAfter is how long a replica may be measured before that is told to people. What it lacked when it connected is fetched
// in less, unless there is very much of it or it does not come at all.
const StuckAfter = 10 * time.Second

// watchMeasure tells people of a replica that follows and never gets what its primary had when it connected: it does not
// acknowledge, and nothing else says so. now is a point of this process's own time.
func (g *Guard) watchMeasure(v Verb, now time.Time) {
	switch {
	case v != Measure:
		g.measured = time.Time{}
	case g.measured.IsZero():
		g.measured = now
	}
	text := ""
	g.mu.Lock()
	r := g.done.report
	g.mu.Unlock()
	if since := now.Sub(g.measured); !g.measured.IsZero() && since >= StuckAfter {
		text = fmt.Sprintf("%s, for longer than %s", cmp.Or(r.Problem, r.Doing), StuckAfter)
	}
	if text != r.Stuck {
		g.note(func(r *health.Guard) { r.Stuck = text })
	}
}

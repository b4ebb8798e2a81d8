package promote

import (
	"context"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/promote/decide"
	"github.com/baton-db/baton/registry"
)

// The other half of the protocol, as the simulation calls it.

type Clock = decide.Clock

const Switchover = decide.Switchover

func Decide(d *registry.Database, v health.View, r decide.Rules, c Clock) decide.Decision {
	return decide.Decide(d, v, r, c)
}

func DefaultRules() decide.Rules { return decide.DefaultRules() }

func Describe(c registry.Command) string { return decide.Describe(c) }

// RequireAcks and Prove pass the gate as the other verbs do.
func (g gate) RequireAcks(ctx context.Context, k int) error {
	return g.do(ctx, "RequireAcks", func(ctx context.Context) error { return g.server.RequireAcks(ctx, k) })
}

func (g gate) Prove(ctx context.Context, k int, instance string, revision uint64) error {
	return g.do(ctx, "Prove", func(ctx context.Context) error { return g.server.Prove(ctx, k, instance, revision) })
}

package promote

import (
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

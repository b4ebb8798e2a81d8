package promote

import (
	"fmt"

	"github.com/baton-db/baton/registry"
)

// leased is the step of a primary that nobody acknowledges: it is open only while its lease holds, because nothing else
// keeps another one from reigning beside it (G1).
func (g local) leased() Step {
	holds := g.Lease == g.d.Epoch
	// One that was never given a lease in this epoch still waits for acknowledgements, as it did when it was lossless.
	waits := g.AsksFor > 0 && g.Leased != g.d.Epoch && !g.d.Change.Proving()
	switch {
	case g.ReadOnly && !holds:
		return wait("closed until it is given a lease: the servers have to say that it still reigns")
	case g.ReadOnly:
		return Step{Verb: Open, Why: "established, and its lease holds"}
	case !holds && !waits:
		return Step{Verb: Suspend, Why: fmt.Sprintf("%s, and its lease is over: another may reign", g.d.Durability)}
	case !holds:
		return wait("commits go on waiting for acknowledgements until it is given a lease")
	}
	return g.reigning()
}

// unled reports whether a server that baton has opened takes writes that wait for nobody, without a lease. An agent that was
// started beside it does not know how long it may.
func (l Local) unled() bool {
	return l.Record.Promise > 0 && l.Answers && !l.ReadOnly && l.AsksFor == 0 && l.Lease == 0
}

// outdated is the step where the registry that is seen is older than what this guard has accepted: nothing, unless the server
// stands on a lease that nobody here has.
func (g local) outdated(format string, args ...any) Step {
	if g.unled() {
		return Step{Verb: Suspend, Why: "nobody acknowledges, there is no lease, and " + fmt.Sprintf(format, args...)}
	}
	return wait(fmt.Sprintf(format, args...))
}

// needsLease reports whether me reigns in d by a lease.
func needsLease(d *registry.Database, me registry.InstanceID) bool {
	return d.Phase == registry.Serving && d.Primary == me && !d.IsLossless()
}

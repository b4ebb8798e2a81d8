package promote

import (
	"fmt"
	"slices"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/registry"
)

// Verb is one idempotent thing that a guard does to its server.
type Verb string

// The verbs.
const (
	Wait    Verb = "wait"
	Promise Verb = "promise" // write the epoch to disk
	Fence   Verb = "fence"   // stop the receiver, durably, and read the position
	Close   Verb = "close"   // planned: refuse writes, cut clients, read the position
	Kill    Verb = "kill"    // SIGKILL: nothing that waits can be acknowledged any more
	Attest  Verb = "attest"  // closed already: read the position
	Shut    Verb = "shut"    // refuse writes again after somebody allowed them
	Lead    Verb = "lead"    // reach the base, become a source, have the marker acknowledged
	Follow  Verb = "follow"  // follow the winner of this epoch
	Move    Verb = "move"    // planned: follow the wanted winner before the primary closes
	Rejoin  Verb = "rejoin"  // follow the primary, once nothing extra is proved
	Apply   Verb = "apply"   // start an applier that somebody stopped
	Measure Verb = "measure" // see whether everything from before the connection has arrived
	Ask     Verb = "ask"     // wait for as many acknowledgements as the state says
	Prove   Verb = "prove"   // have a commit that begins now acknowledged
	Open    Verb = "open"    // let applications in
	Suspend Verb = "suspend" // the lease is over: refuse writes at once, or kill
)

// Step is what a guard does next and why.
type Step struct {
	Verb   Verb
	Source registry.Member // whom to follow, for Follow, Rejoin and Measure
	Acks   SemiSync        // whether the replica acknowledges, for Follow and Rejoin
	K      int             // how many acknowledgements, for Ask and Prove
	Why    string
}

// SemiSync says whether a replica acknowledges what it receives.
type SemiSync bool

// The two kinds of replica.
const (
	Acknowledges SemiSync = true
	Silent       SemiSync = false
)

// Local is what a guard knows of its own server.
type Local struct {
	Record      promise.Record
	Process     health.Process
	Incarnation string // of the server process
	Answers     bool
	ReadOnly    bool
	Source      string // host:port it replicates from, empty: none
	Receiving   bool   // the receiver runs or is connecting
	Connected   bool   // the receiver runs
	Idle        bool   // it runs, and the applier beside it was stopped without an error
	SemiSync    SemiSync
	// Returning is why nothing may be done to the server just now; see GuardConfig.
	Returning string
	// Fenced and Closed are the highest epochs for which this guard has fenced or closed this very server process.
	Fenced registry.Epoch
	Closed registry.Epoch
	// AsksFor is how many acknowledgements commits here wait for.
	AsksFor int
	// Weak is how commits that wait could be answered without their acknowledgements, "": they cannot.
	Weak string
	// Acking is how many replicas acknowledge here, and Followers who is connected.
	Acking    int
	Followers []mysqld.Follower
	// Silenced says that this guard has made the server follow without acknowledging.
	Silenced bool
	// Proved is the highest revision at which a commit was begun here that has been acknowledged.
	Proved uint64
	// Lease is the epoch for which this guard holds a lease now, and Leased the last one for which it was given one.
	Lease, Leased registry.Epoch
	// CaughtUp says that the server holds everything its source had when it connected.
	CaughtUp bool
}

// Next names the next step of me in d. It is pure, and asked again after every step and every change.
func Next(d *registry.Database, me registry.InstanceID, l Local) Step {
	g := local{d: d, me: me, Local: l}
	switch {
	case d.Epoch == 0 || d.Phase == registry.Forming:
		return wait("no epoch yet")
	case !g.registered():
		return g.outdated("the registry seen here does not name promise file %s: what was promised in another one is not known", l.Record.File)
	case l.Record.Promise > d.Epoch:
		// G3: the registry seen here is older than what this guard has accepted already.
		return g.outdated("promised epoch %d, the registry seen here is at %d", l.Record.Promise, d.Epoch)
	case l.Record.Revision > d.Revision:
		return g.outdated("promised revision %d, the registry seen here is at %d", l.Record.Revision, d.Revision)
	case l.Record.Promise < d.Epoch:
		return Step{Verb: Promise, Why: fmt.Sprintf("epoch %d has begun: %s", d.Epoch, d.Cause)}
	case l.Record.Revision < d.Revision:
		return Step{Verb: Promise, Why: fmt.Sprintf("the ackers are %v, k %d, at revision %d", d.Ackers, d.K, d.Revision)}
	case l.Returning != "":
		return wait(l.Returning)
	case l.Process.Gone():
		return wait("the server process is " + string(l.Process))
	case g.reigned():
		return Step{Verb: Kill, Why: fmt.Sprintf("it led in epoch %d, this is epoch %d: nothing that waits here may be acknowledged", l.Record.Led, d.Epoch)}
	case !l.Answers:
		return wait("the server does not answer")
	}
	switch d.Phase {
	case registry.Closing:
		return g.closing()
	case registry.Fencing:
		return g.fencing()
	case registry.Promoting:
		return g.promoting()
	default:
		return g.serving()
	}
}

// local is the input of one Next.
type local struct {
	Local
	d  *registry.Database
	me registry.InstanceID
}

// registered reports whether this state is younger than the promise file.
func (g local) registered() bool {
	m, ok := g.d.Member(g.me)
	return ok && m.PromiseFile == g.Record.File
}

func wait(why string) Step { return Step{Verb: Wait, Why: why} }

// reigned reports whether this very process led in an epoch that is over, without having closed since: commits may wait
// in it, its own marker among them, and clients may read from it.
func (g local) reigned() bool {
	over := g.Record.LedBy == g.Incarnation && g.Incarnation != "" && g.Record.Led < g.d.Epoch && g.Closed <= g.Record.Led
	kept := g.me == g.d.Primary && g.d.Phase == registry.Promoting
	return over && !kept && g.d.Phase != registry.Closing
}

// shut refuses writes where another reigns, or nobody. A source that takes them reigned, whatever is left of its promise file:
// commits may wait in it that nobody may acknowledge, and while they do it cannot be closed.
func (g local) shut(why string) Step {
	if g.AsksFor > 0 {
		return Step{Verb: Kill, Why: why + ", and commits may wait in it for ever"}
	}
	return Step{Verb: Shut, Why: why}
}

func (g local) closing() Step {
	switch {
	case g.me != g.d.Former:
		return wait("going on receiving until " + string(g.d.Former) + " has closed")
	case g.Closed == g.d.Epoch:
		return wait("closed")
	}
	return Step{Verb: Close, Why: "handing over: " + g.d.Cause.String()}
}

func (g local) fencing() Step {
	switch {
	case !g.ReadOnly:
		return g.shut("nobody reigns, but this server takes writes")
	case g.me == g.d.Former && g.Receiving:
		// It has followed a winner that was lost since: what it holds must not grow, and nobody may count on its word.
		return Step{Verb: Fence, Why: "the former primary follows somebody"}
	case g.me == g.d.Former && g.Closed == g.d.Epoch:
		return wait("closed")
	case g.me == g.d.Former && g.AsksFor > 0 && g.Record.Led == 0:
		return Step{Verb: Kill, Why: "it reigned, and its promise file does not know: commits may wait in it, and then it cannot be closed"}
	case g.me == g.d.Former:
		return Step{Verb: Attest, Why: "closed since it started"}
	case g.Fenced == g.d.Epoch && !g.Receiving:
		return wait("fenced")
	}
	return Step{Verb: Fence, Why: "nobody may be acknowledged for " + string(g.d.Former) + " any more"}
}

func (g local) promoting() Step {
	winner, _ := g.d.Member(g.d.Primary)
	switch {
	case g.me == g.d.Primary && g.marked():
		return wait("the marker is acknowledged")
	case g.me == g.d.Primary && !g.ReadOnly && g.d.Proof != registry.ProofKept:
		return Step{Verb: Shut, Why: "it takes writes before it is established"}
	case g.me == g.d.Primary:
		return Step{Verb: Lead, Why: "elected"}
	case !slices.Contains(g.d.NextAckers, g.me):
		return g.fencing() // it was not heard in time: it may not listen to the former primary either
	case !g.ReadOnly:
		return g.shut("it takes writes, but is to follow " + string(winner.ID))
	case g.Record.Follows == g.d.Epoch && g.follows(winner, Acknowledges) && !g.CaughtUp:
		return Step{Verb: Measure, Source: winner, Why: "following, but what it acknowledged may have been deleted"}
	case g.Record.Follows == g.d.Epoch && g.follows(winner, Acknowledges):
		return wait("following " + string(winner.ID))
	}
	return Step{Verb: Follow, Source: winner, Acks: Acknowledges, Why: string(winner.ID) + " was elected and needs acknowledgements"}
}

func (g local) serving() Step {
	primary, _ := g.d.Member(g.d.Primary)
	own, _ := g.d.Member(g.me)
	acks := SemiSync(g.d.IsAcker(g.me) && own.Leaving.Zero())
	switch {
	case g.me == g.d.Primary && !g.marked() && !g.ReadOnly:
		return Step{Verb: Shut, Why: "another process than the one that was established takes writes"}
	case g.me == g.d.Primary && !g.marked():
		return wait("another process than the one that was established: waiting for a new epoch")
	case g.me == g.d.Primary && !g.d.IsLossless():
		return g.leased()
	case g.me == g.d.Primary && g.ReadOnly:
		return Step{Verb: Open, Why: "established"}
	case g.me == g.d.Primary:
		return g.reigning()
	case !g.ReadOnly:
		return g.shut("a replica takes writes")
	case g.moves():
		return g.move()
	case g.Record.Follows != g.d.Epoch || !g.follows(primary, acks) || !own.Leaving.Zero() && !g.Silenced:
		return Step{Verb: Rejoin, Source: primary, Acks: acks, Why: fmt.Sprintf("%s reigns in epoch %d", primary.ID, g.d.Epoch)}
	case g.Idle && !g.d.Policy.Paused:
		return Step{Verb: Apply, Why: "somebody has stopped its applier"}
	case !g.CaughtUp:
		return Step{Verb: Measure, Source: primary, Why: "following, but may lack what was acknowledged before"}
	}
	return wait("following " + string(primary.ID))
}

// reigning keeps how many acknowledgements the open primary waits for: what a change wants more is waited for before it
// counts, and what counts less is waited for after. With strangers that acknowledge it waits for as many more, so that K of
// the ackers are among them; MariaDB cannot.
func (g local) reigning() Step {
	k := g.d.K
	if !g.d.IsLossless() {
		k = 0 // until it has everything acknowledged again
	}
	if g.d.Change != nil {
		k = max(k, g.d.Change.K)
	}
	if n, _ := strangers(g.d, g.Acking, g.Followers); k > 0 && g.AsksFor > 0 && n > 0 {
		if m, _ := g.d.Member(g.me); m.Flavor == registry.MySQL {
			k += n
		}
	}
	switch {
	case k > 0 && g.Weak != "":
		return Step{Verb: Ask, K: k, Why: "somebody has changed how commits wait for acknowledgements: " + g.Weak}
	case g.AsksFor != k:
		return Step{Verb: Ask, K: k, Why: fmt.Sprintf("commits wait for %d acknowledgements, want %d", g.AsksFor, k)}
	case g.d.Change.Proving() && g.Proved < g.d.Revision:
		return Step{Verb: Prove, K: k, Why: fmt.Sprintf("the ackers change, revision %d", g.d.Revision)}
	}
	return wait("open")
}

// marked reports whether the marker of this epoch was acknowledged to this very process.
func (g local) marked() bool {
	return g.Record.Marked == g.d.Epoch && g.Record.MarkedBy == g.Incarnation
}

func (g local) follows(m registry.Member, acks SemiSync) bool {
	return g.Receiving && g.Source == m.Address && g.SemiSync == acks
}

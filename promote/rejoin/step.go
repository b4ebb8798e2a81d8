package rejoin

import (
	"fmt"
	"strings"

	"github.com/baton-db/baton/registry"
)

// How is a way to bring a server back.
type How string

// The ways, in the order in which each falls back to the next.
const (
	Rewind How = "rewind"
	Clone  How = "clone"
	Wait   How = "wait"
)

// Valid says what is wrong with h as a policy, or nil.
func (h How) Valid() error {
	switch h {
	case Rewind, Clone, Wait:
		return nil
	}
	return fmt.Errorf("%q: want rewind, clone or wait", string(h))
}

// Stage is what was begun and must be finished, on disk before it begins.
type Stage string

// The stages of a Journal.
const (
	Idle      Stage = ""
	Rewinding Stage = "rewinding" // taking transactions back from a dead server
	Cloning   Stage = "cloning"   // replacing the data of a server that runs
	Emptied   Stage = "emptied"   // a copy has removed its data, or may have, and was not completed
	Starting  Stage = "starting"  // baton starts the server
)

// Verb is one idempotent thing to do.
type Verb string

// The verbs.
const (
	DoNothing Verb = "wait"
	DoExamine Verb = "examine" // see what a dead server holds
	DoArchive Verb = "archive"
	DoRewind  Verb = "rewind"
	DoClone   Verb = "clone"
	DoStart   Verb = "start"
	DoConcede Verb = "concede" // write down that its data is gone
	DoFinish  Verb = "finish"  // what was begun is over: Why says how
)

// Step is what to do next and why. Of a DoNothing without a Why there is nothing to bring back.
type Step struct {
	Verb Verb
	Why  string
}

// Journal is what a restarted agent must know.
type Journal struct {
	Version int            `json:"version"`
	Stage   Stage          `json:"stage,omitempty"`
	Epoch   registry.Epoch `json:"epoch,omitempty"`
	// Extra is the GTID set that the primary of Epoch lacked, and Archive the directory that keeps it.
	Extra   string `json:"extra,omitempty"`
	Archive string `json:"archive,omitempty"`
	// Incarnation is the process that was there when a clone began, Source the server's own UUID, and Before the copy that was
	// made of it last until then (mysqld.CloneProgress.Begun). BegunMillis is when it began.
	Incarnation string `json:"incarnation,omitempty"`
	Source      string `json:"source,omitempty"`
	Before      string `json:"before,omitempty"`
	BegunMillis int64  `json:"begun_ms,omitempty"`
	// Lost is how it is known that a copy was not completed.
	Lost string `json:"lost,omitempty"`
	// Tried are the ways by which Extra could not be taken out, with the reason; a new wish of an operator, made at WishMillis,
	// empties it.
	Tried      map[How]string `json:"tried,omitempty"`
	WishMillis int64          `json:"wish_ms,omitempty"`
}

// Local is what is known of the server beside.
type Local struct {
	Journal Journal
	Policy  How
	Wish    How // of an operator, for this epoch; empty: none
	// Up says that the server answers, Dead that its data is open in no process.
	Up, Dead    bool
	Incarnation string
	// Unsure is why it cannot be told whether the server is dead; empty: it can.
	Unsure string
	// Extra is what a server that is up has and the primary lacks, as the guard has found.
	Extra string
	// LedLast says that it has led since it last followed anybody.
	LedLast bool
	// Known says that it is known where the server has its data and its logs, and Unknown why it is not.
	Known   bool
	Unknown string
	// Examined is what a dead server has and the primary lacks; nil: nobody has looked.
	Examined *Examined
	// MayStart and MayClone say why the server cannot be started or cloned by baton; empty: it can.
	MayStart, MayClone string
	// Waiting says that a start was made lately, and the server is not up yet.
	Waiting bool
	// Copy is what a server that is up says of the copy that was begun.
	Copy Copy
	// JustDied says that it was seen dead only lately, so that a leader may not have acted on it yet.
	JustDied bool
}

// Examined is what the last log of a dead server says.
type Examined struct {
	Crashed bool
	// Compared says that Extra is known: somebody else reigned who could be asked.
	Compared bool
	Extra    string
}

// Next names the next step for me in d. It is pure, and asked again after every step and every change.
func Next(d *registry.Database, me registry.InstanceID, l Local) Step {
	switch l.Journal.Stage {
	case Rewinding:
		switch {
		case l.Up:
			return Step{DoFinish, "it was started meanwhile, by somebody else"}
		case !l.Known:
			return l.notFound()
		}
		return Step{DoRewind, "taking back what the primary lacks"}
	case Cloning:
		return cloning(d, me, l)
	case Emptied:
		return emptied(d, me, l)
	case Starting:
		return starting(l)
	}
	own, member := d.Member(me)
	switch {
	case member && needed(d, me) && l.Dead && l.MayStart == "" && l.Known:
		return missed(d, l)
	case !member || d.Phase != registry.Serving || d.Primary == me:
		return Step{Verb: DoNothing}
	case d.IsAcker(me) || !own.Leaving.Zero():
		if l.Extra == "" {
			return Step{Verb: DoNothing}
		}
		return waits("it acknowledges for %s, so it may hold what nobody else does. Way out: baton db remove-member %s %s, and then --undo", d.Primary, d.Name, me)
	case d.Policy.Paused && l.Extra != "":
		return waits("%s is paused. Way out: resume it", d.Name)
	case d.Policy.Paused:
		return Step{Verb: DoNothing}
	case l.Up:
		return alive(d, me, l)
	case l.Dead && l.LedLast:
		return dead(d, l)
	case l.Unsure != "" && l.LedLast:
		return waits("it does not answer, and whether it is dead cannot be seen: %s. Way out: start it", l.Unsure)
	}
	return Step{Verb: DoNothing}
}

func waits(format string, args ...any) Step { return Step{DoNothing, fmt.Sprintf(format, args...)} }

func starting(l Local) Step {
	switch {
	case l.Up:
		return Step{DoFinish, "it answers"}
	case l.Waiting || !l.Dead:
		return waits("it was started and does not answer yet")
	}
	return Step{DoStart, "starting it"}
}

// alive is for a server that answers. Whatever waited in it is committed.
func alive(d *registry.Database, me registry.InstanceID, l Local) Step {
	switch {
	case l.Extra == "":
		return Step{Verb: DoNothing}
	case !l.Known:
		return l.notFound()
	case !l.archived(l.Extra):
		return Step{DoArchive, fmt.Sprintf("%s lacks %s", d.Primary, l.Extra)}
	}
	why := []string{}
	switch how := l.how(); how {
	case Rewind:
		why = append(why, "it cannot be rewound: "+l.tried(Rewind, "it has been started, which commits what waited"))
		fallthrough
	case Clone:
		cannot := l.tried(Clone, l.MayClone)
		if cannot == "" {
			return Step{DoClone, "it is to be a copy of another"}
		}
		why = append(why, "it cannot be cloned: "+cannot)
	default:
		why = append(why, "on_divergence is wait")
	}
	return waits("what %s lacks is archived; %s. Way out: give it a fresh copy (docs/operate.md), or baton db rejoin %s %s --how rewind|clone",
		d.Primary, strings.Join(why, "; "), d.Name, me)
}

// needed reports whether nobody else can reign, so that the primary itself is waited for.
func needed(d *registry.Database, me registry.InstanceID) bool {
	reigns := d.Phase == registry.Serving && d.Primary == me || d.Phase == registry.Fencing && d.Former == me
	return reigns && !d.Refusal.Zero() && !d.Policy.Paused
}

// missed is for a primary that has ended and that nobody can replace. It is started as it is: what it holds may be nowhere
// else, and it is closed until it is elected again. That cannot be taken back, a start commits what waited in it; and what is
// refused at its end may be older than its end, or be over in a moment.
func missed(d *registry.Database, l Local) Step {
	switch {
	case l.JustDied:
		return waits("it has just ended, and another may be elected")
	case l.Examined == nil:
		return Step{DoExamine, "nobody can replace it"}
	case !l.Examined.Crashed:
		return waits("it was stopped in good order, and nobody can replace it. Way out: start it")
	}
	return Step{DoStart, "nobody can replace it: " + d.Refusal.Code}
}

// dead is for a former primary that has ended.
func dead(d *registry.Database, l Local) Step {
	switch {
	case !l.Known:
		return l.notFound()
	case l.MayStart != "":
		return waits("it has ended, and is left so: %s", l.MayStart)
	case l.Examined == nil || !l.Examined.Compared:
		return Step{DoExamine, "what it wrote last may be on nobody else"}
	case !l.Examined.Crashed:
		return waits("it was stopped in good order. Way out: start it")
	case l.Examined.Extra == "":
		return Step{DoStart, fmt.Sprintf("%s has everything that is in its last log", d.Primary)}
	case !l.archived(l.Examined.Extra):
		return Step{DoArchive, fmt.Sprintf("%s lacks %s", d.Primary, l.Examined.Extra)}
	}
	switch how := l.how(); {
	case how == Rewind && l.Journal.Tried[Rewind] == "":
		return Step{DoRewind, fmt.Sprintf("%s lacks %s", d.Primary, l.Examined.Extra)}
	case how == Wait:
		return waits("what %s lacks is archived, and on_divergence is wait. Way out: baton db rejoin %s, before anybody starts it", d.Primary, d.Name)
	}
	return Step{DoStart, "it is to be a copy of another, for which it must run"}
}

// notFound is for a server whose files nobody has found: nothing can be archived, and so nothing may be done.
func (l Local) notFound() Step {
	return waits("where its data is, is not known: %s", l.Unknown)
}

// archived reports whether exactly this was made durable.
func (l Local) archived(extra string) bool {
	return l.Journal.Archive != "" && l.Journal.Extra == extra
}

func (l Local) how() How {
	if l.Wish != "" {
		return l.Wish
	}
	return l.Policy
}

// tried is why a way is closed: it was tried, or what else is known.
func (l Local) tried(how How, known string) string {
	if why := l.Journal.Tried[how]; why != "" {
		return why
	}
	return known
}

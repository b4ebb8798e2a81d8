package rejoin

import (
	"time"

	"github.com/baton-db/baton/registry"
)

// Copy is what is known of the copy that was begun, of a server that is up. One that is not known to be complete is not: the
// server may have lost everything (G2).
type Copy struct {
	// Unasked is why the server could not be asked; empty: it was, just now.
	Unasked string
	// Running: one is under way. Completed: one that began after the Journal did is complete.
	Running, Completed bool
	// Removed: one has begun to remove what was on the server.
	Removed bool
	// Moved: the server has another UUID than when the copy began, so another data directory.
	Moved bool
	// Resting: an attempt has failed lately.
	Resting bool
}

// cloning is for a server on which a copy was begun, or was about to be.
func cloning(d *registry.Database, me registry.InstanceID, l Local) Step {
	switch {
	case !l.Up:
		return l.ended("it has ended after a copy of it was begun", "it restarts after the copy")
	case l.Copy.Moved:
		return Step{DoFinish, "it has another data directory"}
	case l.Copy.Completed:
		return Step{DoFinish, "the copy is complete"}
	case l.Copy.Unasked != "":
		return waits("whether the copy is complete that was begun at %s cannot be asked, and until then it counts as emptied: %s. %s", l.Journal.begun(), l.Copy.Unasked, wayOut)
	case l.Copy.Running:
		return waits("it is being replaced by a copy since %s, and what was on it is gone", l.Journal.begun())
	case l.Copy.Removed:
		return Step{DoConcede, "the copy has removed what was on it, and failed"}
	case l.Incarnation != l.Journal.Incarnation:
		return Step{DoConcede, "it ended while it was copied"}
	case !mayReplace(d, me):
		return Step{DoFinish, "the copy has removed nothing, and may not begin now"}
	case !l.Known:
		return l.notFound()
	}
	return Step{DoClone, "replacing it by a copy"}
}

// mayReplace reports whether another one reigns who does without me.
func mayReplace(d *registry.Database, me registry.InstanceID) bool {
	own, member := d.Member(me)
	return member && own.Leaving.Zero() && d.Phase == registry.Serving && d.Primary != me && !d.IsAcker(me) && !d.Policy.Paused
}

// wayOut is what a person can do for a server that was emptied.
const wayOut = "Way out: copy it by hand with CLONE INSTANCE, or give it a new data directory (docs/operate.md)"

// emptied is for a server whose data was removed by a copy that did not end. GTIDs do not tell: one that is killed meanwhile may
// say that it has everything. So it is kept out of everything until a copy is complete, or it is another server.
func emptied(d *registry.Database, me registry.InstanceID, l Local) Step {
	gone := "its data was removed by a copy that did not end (" + l.Journal.Lost + "), so it can neither reign nor acknowledge"
	switch {
	case !l.Up:
		return l.ended(gone+"; it has ended", gone+"; it does not answer")
	case l.Copy.Moved:
		return Step{DoFinish, "it has another data directory"}
	case l.Copy.Completed:
		return Step{DoFinish, "another copy is complete"}
	case l.Copy.Unasked != "":
		return waits("%s, and whether another copy is complete cannot be asked: %s. %s", gone, l.Copy.Unasked, wayOut)
	case l.Copy.Running:
		return waits("%s; another copy is under way", gone)
	case d.Policy.Paused:
		return waits("%s, and %s is paused. Way out: resume it", gone, d.Name)
	case !mayReplace(d, me):
		return waits("%s; it is copied again when another one reigns. %s", gone, wayOut)
	case l.how() == Wait:
		return waits("%s, and on_divergence is wait. %s; or baton db rejoin %s %s --how clone", gone, wayOut, d.Name, me)
	case !l.Known:
		return waits("%s, and where its data is, is not known: %s", gone, l.Unknown)
	case l.MayClone != "":
		return waits("%s, and it cannot be copied: %s. %s", gone, l.MayClone, wayOut)
	case l.Copy.Resting:
		return waits("%s; it is copied again in a moment", gone)
	}
	return Step{DoClone, gone}
}

// ended is for a server that does not answer: dead says why it is to be started, gone what is waited for where it is not
// seen to have ended.
func (l Local) ended(dead, gone string) Step {
	switch {
	case l.Dead && l.MayStart == "":
		return starting(l)
	case l.Dead:
		return waits("%s. Way out: start it", dead)
	}
	return waits("%s", gone)
}

// begun is when the copy began, for people.
func (j Journal) begun() string {
	return time.UnixMilli(j.BegunMillis).UTC().Format("2006-01-02 15:04:05 UTC")
}

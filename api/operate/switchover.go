package operate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// HeardWithin is how old a report may be whose instance counts as heard; several come in every second.
const HeardWithin = 2 * time.Second

// Successor checks the wanted winner, or chooses the best acker when none is wanted. The error is a *api.Problem with the way out.
func Successor(d *registry.Database, view health.View, to registry.InstanceID) (registry.InstanceID, error) {
	if err := reigning(d); err != nil {
		return "", err
	}
	if to != "" {
		if err := obstacle(d, view, to); err != nil {
			return "", err
		}
		return to, nil
	}
	var fit []registry.InstanceID
	var refused []string
	for _, a := range d.Ackers {
		if err := obstacle(d, view, a); err != nil {
			refused = append(refused, err.Detail)
			continue
		}
		fit = append(fit, a)
	}
	if len(fit) == 0 {
		return "", api.NewProblem(api.CodeNoCandidate, "remove what stands in the way of one of them", "no acker of %s can take over: %s",
			d.Name, strings.Join(refused, "; "))
	}
	return slices.MinFunc(fit, func(a, b registry.InstanceID) int { return better(d, view, a, b) }), nil
}

// better orders by preference, then by how far behind, then by id.
func better(d *registry.Database, view health.View, a, b registry.InstanceID) int {
	ma, _ := d.Member(a)
	mb, _ := d.Member(b)
	ra, rb := view[a].Replication, view[b].Replication
	return cmp.Or(cmp.Compare(ma.Preference.Rank(), mb.Preference.Rank()),
		cmp.Compare(ra.LagSeconds, rb.LagSeconds), cmp.Compare(ra.SilenceMillis, rb.SilenceMillis), cmp.Compare(a, b))
}

// reigning says why the reign of d cannot be handed over at all, or nil.
func reigning(d *registry.Database) error {
	switch {
	case d.Interregnum():
		return api.NewProblem(api.CodeElecting, "wait until it serves again", "an election of %s is under way: %s", d.Name, d.Why())
	case d.Phase != registry.Serving:
		return api.NewProblem(api.CodeNeverElected, "start the expected members", "%s: %s", d.Name, d.Why())
	case d.Handover != nil:
		return api.NewProblem(api.CodeElecting, "wait until it is over", "a hand-over of %s to %s is being prepared", d.Name, d.Handover.To)
	case d.Policy.Paused:
		return api.NewProblem(api.CodePaused, "resume it first: baton db resume "+string(d.Name), "%s is paused: nothing would elect a new primary", d.Name)
	}
	return nil
}

// obstacle says why id cannot take over from the primary of d now and what would have to change, or nil.
func obstacle(d *registry.Database, view health.View, id registry.InstanceID) *api.Problem {
	m, ok := d.Member(id)
	h := view[id]
	r := h.Replication
	switch {
	case !ok:
		return api.NewProblem(api.CodeNoInstance, "its members: "+memberIDs(d), "%s has no replica %s", d.Name, id)
	case id == d.Primary:
		return api.NewProblem(api.CodeIsPrimary, "nothing is to be done", "%s is the primary of %s already, in epoch %d", id, d.Name, d.Epoch)
	case m.Preference == registry.Never:
		return api.NewProblem(api.CodeMayNotLead, "give it another preference", "%s has preference never", id)
	case !m.Leaving.Zero():
		return api.NewProblem(api.CodeMayNotLead, "undo its removal first", "%s is to leave %s: %s", id, d.Name, m.Leaving)
	case !h.Ever():
		return api.NewProblem(api.CodeSilent, "start baton on "+string(m.Node), "%s has not reported to this server", id)
	case h.Age > HeardWithin:
		return api.NewProblem(api.CodeSilent, "look at baton on "+string(m.Node), "%s last reported %s ago", id, h.Age.Round(time.Millisecond))
	case h.Process != health.ProcessRunning || h.UnreachableMillis > 0:
		return api.NewProblem(api.CodeSilent, "start the database server", "the server of %s does not answer: process %s, %s", id, h.Process, h.ServerError)
	case h.Guard.Diverged != "":
		return api.NewProblem(api.CodeMayNotLead, "clone it anew", "%s has transactions that the primary lacks: %.100s", id, h.Guard.Diverged)
	case r == nil || r.Receiver != "running" || !r.Applier:
		return api.NewProblem(api.CodeNotCaughtUp, "see its replication error", "%s does not replicate: %s", id, replicationState(r))
	case r.DelaySeconds > 0:
		return api.NewProblem(api.CodeMayNotLead, "set its delay to 0 first", "%s is kept %d s behind on purpose", id, r.DelaySeconds)
	case h.Guard.Follows != d.Epoch || !h.Guard.CaughtUp:
		return api.NewProblem(api.CodeNotCaughtUp, "wait until it has caught up", "%s has not caught up with %s in epoch %d", id, d.Primary, d.Epoch)
	case r.LagSeconds < 0:
		return api.NewProblem(api.CodeLagging, "see its replication status", "it is not known how far %s is behind", id)
	case r.LagSeconds > d.Policy.SwitchoverSeconds:
		return api.NewProblem(api.CodeLagging, "wait until it has caught up, or allow more switchover_seconds",
			"%s is %d s behind, at most %d s can be made up", id, r.LagSeconds, d.Policy.SwitchoverSeconds)
	case followers(d, m) < min(d.Policy.K, d.K):
		return api.NewProblem(api.CodeMayNotLead, "upgrade more of the others first",
			"%s runs %s, and too few of the others run that or newer and could follow it", id, m.Version)
	}
	for _, f := range h.Findings {
		if f.Fatal {
			return api.NewProblem(api.CodeMayNotLead, f.Fix, "%s may not lead: %s is %s, want %s (%s)", id, f.Setting, f.Have, f.Want, f.Code)
		}
	}
	return nil
}

// followers is how many members could acknowledge for m, by their versions.
func followers(d *registry.Database, m registry.Member) (n int) {
	for _, other := range d.Members {
		if other.ID != m.ID && other.Preference != registry.Never && other.Leaving.Zero() && other.CanFollow(m) {
			n++
		}
	}
	return n
}

func memberIDs(d *registry.Database) string {
	var ids []string
	for _, m := range d.Members {
		ids = append(ids, string(m.ID))
	}
	return strings.Join(ids, ", ")
}

func replicationState(r *health.Replication) string {
	if r == nil {
		return "no source is set"
	}
	return fmt.Sprintf("receiver %s, applier running %t, %s", r.Receiver, r.Applier, r.Error)
}

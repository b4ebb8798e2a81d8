package operate

import (
	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// Ackers turns a wish about whose acknowledgements count, and how many, into a command, or says what stands in its way. by
// is who wishes. The error is a *api.Problem with the way out.
func Ackers(d *registry.Database, view health.View, req api.AckersRequest, by string) (registry.Command, error) {
	if (req.Remove == "") == (req.K == 0) || req.K < 0 || req.Remove == "" && (req.Lost || req.Undo) || req.Lost && req.Undo {
		return nil, api.NewProblem(api.CodeMalformed, "name one replica to remove, or a number of acknowledgements", "remove %q, k %d", req.Remove, req.K)
	}
	if req.Undo {
		return stay(d, req.Remove)
	}
	if err := reigning(d); err != nil {
		return nil, err
	}
	if req.K > 0 {
		return count(d, req.K)
	}
	if err := mayLeave(d, view, req); err != nil {
		return nil, err
	}
	c := &registry.Leave{Database: d.Name, Instance: req.Remove, Cause: registry.Cause{Code: registry.MemberLeaving, Detail: "by " + by}}
	if req.Lost {
		c.Cause.Code = registry.MemberLost
	}
	if req.Reason != "" {
		c.Cause.Detail += ": " + req.Reason
	}
	return c, nil
}

func stay(d *registry.Database, id registry.InstanceID) (registry.Command, error) {
	m, member := d.Member(id)
	if member && !m.Leaving.Zero() {
		return &registry.Leave{Database: d.Name, Instance: id}, nil
	}
	for _, r := range d.Removed {
		if r.Instance == id {
			return &registry.Leave{Database: d.Name, Instance: id}, nil
		}
	}
	return nil, api.NewProblem(api.CodeNoInstance, "there is nothing to undo", "%s neither leaves %s nor was removed", id, d.Name)
}

// mayLeave says why a member cannot leave now, or nil. One that is heard is not lost: it is asked to stop.
func mayLeave(d *registry.Database, view health.View, req api.AckersRequest) error {
	m, ok := d.Member(req.Remove)
	h := view[req.Remove]
	heard := h.Ever() && h.Age <= HeardWithin
	left := 0
	for _, a := range d.Ackers {
		if other, _ := d.Member(a); a != req.Remove && other.Leaving.Zero() {
			left++
		}
	}
	switch {
	case !ok:
		return api.NewProblem(api.CodeNoInstance, "its members: "+memberIDs(d), "%s has no replica %s", d.Name, req.Remove)
	case m.ID == d.Primary:
		return api.NewProblem(api.CodeIsPrimary, "hand over first: baton db switchover "+string(d.Name), "%s is the primary of %s", m.ID, d.Name)
	case d.IsAcker(m.ID) && left < max(d.K, d.Policy.K):
		return api.NewProblem(api.CodeTooFew, "add another replica, or have commits wait for fewer: baton db acks "+string(d.Name),
			"without %s %d replicas acknowledge for %s, and commits wait for %d", m.ID, left, d.Name, max(d.K, d.Policy.K))
	case req.Lost && heard:
		return api.NewProblem(api.CodeNotLost, "remove it without saying that it is lost", "%s reported %d ms ago: it is not lost", m.ID, h.Age.Milliseconds())
	case !req.Lost && !heard && d.IsArmed(m.ID):
		return api.NewProblem(api.CodeSilent, "start baton on "+string(m.Node)+"; if its disk is gone for good, say that it is lost",
			"%s is not heard, and so cannot be asked to stop acknowledging", m.ID)
	}
	return nil
}

// count is the policy with another number of acknowledgements.
func count(d *registry.Database, k int) (registry.Command, error) {
	p := d.Policy
	p.K = k
	switch {
	case k > 1 && len(d.Members) > 0 && d.Members[0].Flavor == registry.MariaDB:
		return nil, api.NewProblem(api.CodeTooFew, "ask for 1", "MariaDB waits for 1 acknowledgement and cannot wait for %d", k)
	case k > len(d.Ackers):
		return nil, api.NewProblem(api.CodeTooFew, "add another replica, or ask for fewer", "%d replicas acknowledge for %s, not %d", len(d.Ackers), d.Name, k)
	}
	if err := p.Validate(); err != nil {
		return nil, api.NewProblem(api.CodeTooFew, "ask for fewer", "%s: %v", d.Name, err)
	}
	return &registry.PutDatabase{Name: d.Name, Policy: p}, nil
}

// Carried reports whether the wish has been carried out in d.
func Carried(d *registry.Database, req api.AckersRequest) bool {
	_, member := d.Member(req.Remove)
	switch {
	case req.Undo:
		return true
	case req.Remove != "":
		return !member
	}
	return d.Phase == registry.Serving && d.K == req.K && d.Change == nil
}

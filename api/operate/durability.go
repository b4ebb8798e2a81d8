package operate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// Durability is the policy with another durability or another way to be alone.
func Durability(d *registry.Database, req api.DurabilityRequest) (registry.Command, error) {
	p := d.Policy
	p.Durability, p.WhenAlone = cmp.Or(req.Durability, p.Durability), cmp.Or(req.WhenAlone, p.WhenAlone)
	if err := p.Validate(); err != nil || req == (api.DurabilityRequest{}) {
		return nil, api.NewProblem(api.CodeMalformed, "durability: lossless or async; when_alone: block or degrade", "durability %q, when alone %q", req.Durability, req.WhenAlone)
	}
	return &registry.PutDatabase{Name: d.Name, Policy: p}, nil
}

// Durable reports whether d is worth what its policy says.
func Durable(d *registry.Database) bool {
	if d.Policy.Async() {
		return d.Durability == registry.Async && d.Change == nil
	}
	return d.IsLossless()
}

// Losses says what is known to be lost when one of the replicas that are heard wins, who has most first, and who cannot be
// asked.
func Losses(d *registry.Database, view health.View) (losses []api.PromoteLoss, unheard []registry.InstanceID) {
	known, has := mysqld.GTIDSet{}, map[registry.InstanceID]mysqld.GTIDSet{}
	add := func(text string) mysqld.GTIDSet {
		set, err := mysqld.ParseGTIDSet(mysqld.Flavor(flavor(d)), text)
		if err != nil {
			return mysqld.GTIDSet{}
		}
		known = known.Union(set)
		return set
	}
	for _, m := range d.Members {
		has[m.ID] = add(view[m.ID].Position)
	}
	if d.Alone != nil {
		add(d.Alone.Position)
	}
	for _, m := range d.Members {
		h := view[m.ID]
		switch {
		case !h.Ever() || h.Age > HeardWithin || h.Emptied() != "":
			unheard = append(unheard, m.ID)
		case m.ID != d.Primary && m.ID != d.Former && m.Leaving.Zero() && m.Preference != registry.Never:
			losses = append(losses, api.PromoteLoss{Instance: m.ID, Lacks: known.Minus(has[m.ID]).String()})
		}
	}
	slices.SortStableFunc(losses, func(a, b api.PromoteLoss) int {
		return cmp.Compare(known.Minus(has[a.Instance]).Count(), known.Minus(has[b.Instance]).Count())
	})
	return losses, unheard
}

func flavor(d *registry.Database) registry.Flavor {
	if len(d.Members) == 0 {
		return registry.MySQL
	}
	return d.Members[0].Flavor
}

// Promote turns an operator's word that acknowledged writes may be lost into a command, or says what stands in its way. by
// is whose certificate it came with.
func Promote(d *registry.Database, view health.View, req api.PromoteRequest, by string) (*registry.AcceptLoss, error) {
	h := view[d.Primary]
	m, member := d.Member(req.To)
	switch {
	case req.Epoch != d.Epoch:
		return nil, api.NewProblem(api.CodeStale, fmt.Sprintf("look again: baton db show %s", d.Name), "%s is in epoch %d, not %d: %s", d.Name, d.Epoch, req.Epoch, d.Why())
	case d.Phase == registry.Forming || d.Former == "" && d.Phase != registry.Serving:
		return nil, api.NewProblem(api.CodeNeverElected, "start the expected members", "%s: %s", d.Name, d.Why())
	case d.Policy.Paused:
		return nil, api.NewProblem(api.CodePaused, "resume it first: baton db resume "+string(d.Name), "%s is paused: nothing would elect a new primary", d.Name)
	case req.To != "" && !member:
		return nil, api.NewProblem(api.CodeNoInstance, "its members: "+memberIDs(d), "%s has no replica %s", d.Name, req.To)
	case req.To != "" && (req.To == d.Primary && d.Phase == registry.Serving || !m.Leaving.Zero() || m.Preference == registry.Never):
		return nil, api.NewProblem(api.CodeMayNotLead, "name another one, or none", "%s reigns, leaves or may never lead", req.To)
	case view[req.To].Emptied() != "":
		return nil, api.NewProblem(api.CodeMayNotLead, "name another one, or wait until its copy is complete: baton db show "+string(d.Name),
			"%s holds nothing: %s", req.To, view[req.To].Emptied())
	case d.Phase == registry.Serving && h.Ever() && h.Age <= HeardWithin && h.Process == health.ProcessRunning && h.UnreachableMillis == 0:
		return nil, api.NewProblem(api.CodeServes, "hand over: baton db switchover "+string(d.Name)+"; a primary without ackers: baton db policy "+string(d.Name)+" --when-alone degrade",
			"%s is primary of %s and answers: no write need be lost", d.Primary, d.Name)
	case req.Reason == "" && !req.Plan:
		return nil, api.NewProblem(api.CodeMalformed, "say why: it stands in the history", "no reason")
	}
	detail := "by " + by
	if req.By != "" {
		detail += fmt.Sprintf(" (%s)", req.By)
	}
	return &registry.AcceptLoss{Database: d.Name, Epoch: d.Epoch, To: req.To, Cause: registry.Cause{Code: "DataLossAccepted", Detail: detail + ": " + req.Reason}}, nil
}

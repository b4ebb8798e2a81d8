package operate

import (
	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// Rejoin turns the wish that a server be brought back into a command, or says what stands in its way. by is who wishes. The
// error is a *api.Problem with the way out.
func Rejoin(d *registry.Database, view health.View, req api.RejoinRequest, by string) (*registry.Rejoin, error) {
	switch req.How {
	case "rewind", "clone", "wait":
	default:
		return nil, api.NewProblem(api.CodeMalformed, "rewind, clone or wait", "how %q", req.How)
	}
	if err := reigning(d); err != nil {
		return nil, err
	}
	m, ok := d.Member(req.Instance)
	h := view[req.Instance]
	switch {
	case !ok:
		return nil, api.NewProblem(api.CodeNoInstance, "its members: "+memberIDs(d), "%s has no replica %s", d.Name, req.Instance)
	case m.ID == d.Primary:
		return nil, api.NewProblem(api.CodeIsPrimary, "nothing is to be done", "%s is the primary of %s", m.ID, d.Name)
	case d.IsAcker(m.ID):
		return nil, api.NewProblem(api.CodeNotAway, "first baton db remove-member "+string(d.Name)+" "+string(m.ID)+", then the same with --undo",
			"%s acknowledges for %s: what it holds may be on nobody else", m.ID, d.Primary)
	case !h.Ever() || h.Age > HeardWithin:
		return nil, api.NewProblem(api.CodeSilent, "start baton on "+string(m.Node), "baton on the node of %s is not heard, and it is what brings the server back", m.ID)
	case h.Guard.Diverged == "" && h.Returning == nil:
		return nil, api.NewProblem(api.CodeNotAway, "nothing is to be done", "%s holds nothing that %s lacks", m.ID, d.Primary)
	case req.How == "rewind" && !h.Process.Gone() && h.Process != health.ProcessUnknown:
		return nil, api.NewProblem(api.CodeTooLate, "ask for --how clone (MySQL), or give it a fresh copy by hand",
			"%s was started again, which has committed what waited in it: it cannot be rewound any more", m.ID)
	case req.How == "clone" && m.Flavor == registry.MariaDB:
		return nil, api.NewProblem(api.CodeTooLate, "give it a fresh copy by hand: docs/operate.md", "%s is a MariaDB server, and cannot copy itself from another", m.ID)
	}
	detail := req.How + ", by " + by
	if req.Reason != "" {
		detail += ": " + req.Reason
	}
	return &registry.Rejoin{Database: d.Name, Epoch: d.Epoch, Instance: m.ID, How: req.How, Cause: registry.Cause{Code: "Rejoin", Detail: detail}}, nil
}

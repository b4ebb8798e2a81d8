package server

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

func (s *Server) livez(*call) (any, error) { return api.Health{OK: true}, nil }

// readyContact is how long ago a ready server heard the leader at most.
const readyContact = 5 * time.Second

func (s *Server) readyz(c *call) (any, error) {
	h := api.Health{OK: true}
	leader, _ := s.cfg.Backend.Leader()
	if contact := s.cfg.Backend.LastContact(); leader == "" {
		h = api.Health{Reason: "no leader is known"}
	} else if contact > readyContact {
		h = api.Health{Reason: fmt.Sprintf("the leader %s was last heard %s ago", leader, contact.Round(time.Millisecond))}
	}
	if !h.OK {
		c.status = 503
	}
	return h, nil
}

func (s *Server) members(*call) (any, error) {
	all := slices.Clone(s.cfg.Backend.Members())
	slices.SortFunc(all, func(a, b api.Member) int { return cmp.Compare(a.Name, b.Name) })
	return api.MemberList{Members: slices.Concat([]api.Member{}, all)}, nil
}

// state is the state that the answer is made from.
func (s *Server) state(c *call) *registry.State {
	st := s.cfg.Backend.State()
	c.w.Header().Set(api.HeaderIndex, api.IndexText(st.Index()))
	return st
}

func (s *Server) status(c *call) (any, error) {
	st := s.state(c)
	v := api.Status{
		Cluster: st.Cluster(), Node: s.cfg.Node, Version: s.cfg.Version, Verdict: api.Healthy,
		Raft: s.cfg.Backend.Raft(), Nodes: len(st.Nodes()), Databases: s.summaries(st),
	}
	worse := func(verdict api.Verdict, format string, args ...any) {
		if v.Verdict != api.Down {
			v.Verdict = verdict
		}
		v.Reasons = append(v.Reasons, fmt.Sprintf(format, args...))
	}
	if v.Raft.Leader == "" {
		worse(api.Degraded, "no leader is known: nothing can be decided")
	}
	v.Raft.Peers = s.peers(st)
	for _, p := range v.Raft.Peers {
		if silence := time.Duration(p.ContactMillis) * time.Millisecond; p.Voter && silence > operate.HeardWithin {
			worse(api.Degraded, "the server %s has not answered the leader for %s", p.Node, silence.Round(time.Second))
		}
	}
	for _, d := range v.Databases {
		if d.Paused {
			worse(api.Degraded, "%s: %s: its primary is not replaced. Way out: baton db resume %s", d.Name, d.Pause, d.Name)
		}
		if d.Phase != registry.Serving {
			worse(api.Down, "%s: %s", d.Name, d.Why)
			continue
		}
		if !d.Refusal.Zero() {
			worse(api.Degraded, "%s: refused: %s", d.Name, d.Refusal)
		}
		if d.Heard < d.Members {
			worse(api.Degraded, "%s: %d of %d members are heard", d.Name, d.Heard, d.Members)
		}
		full, _ := st.Database(d.Name) // it is in the summary
		for _, t := range s.cfg.Backend.View(d.Name).Troubles(full) {
			worse(api.Degraded, "%s: %s", d.Name, t)
		}
		if d.Durability != registry.Lossless {
			worse(api.Degraded, "%s: durability is %s", d.Name, d.Durability)
		}
	}
	return v, nil
}

func (s *Server) databases(c *call) (any, error) {
	return api.DatabaseList{Databases: s.summaries(s.state(c))}, nil
}

func (s *Server) summaries(st *registry.State) []api.DatabaseSummary {
	all := []api.DatabaseSummary{}
	for _, d := range st.Databases() {
		view, heard := s.cfg.Backend.View(d.Name), 0
		for _, m := range d.Members {
			if h := view[m.ID]; h.Ever() && h.Age <= operate.HeardWithin {
				heard++
			}
		}
		all = append(all, api.DatabaseSummary{
			Name: d.Name, Phase: d.Phase, Epoch: d.Epoch, Primary: d.Primary, Durability: d.Durability,
			Members: len(d.Members), Heard: heard, Why: d.Why(), Refusal: d.Refusal, Paused: d.Policy.Paused, Pause: d.Pause,
		})
	}
	return all
}

// find returns the database that the path names.
func (s *Server) find(c *call) (*registry.Database, error) {
	d, ok := s.state(c).Database(c.db)
	if !ok {
		return nil, api.NewProblem(api.CodeNoDatabase, "GET /v1/databases lists them", "there is no database %s", c.db)
	}
	return d, nil
}

func (s *Server) database(c *call) (any, error) {
	d, err := s.find(c)
	if err != nil {
		return nil, err
	}
	view := s.cfg.Backend.View(d.Name)
	v := api.DatabaseView{Database: d, Why: d.Why(), Instances: []api.InstanceView{}}
	for _, id := range instances(d, view) {
		h := view[id]
		i := api.InstanceView{Instance: id, Part: partOf(d, id), Probed: h.Probed}
		if h.Ever() {
			i.AgeMillis, i.Report = new(h.Age.Milliseconds()), &h.Report
		}
		v.Instances = append(v.Instances, i)
	}
	return v, nil
}

func (s *Server) topology(c *call) (any, error) {
	d, err := s.find(c)
	if err != nil {
		return nil, err
	}
	view := s.cfg.Backend.View(d.Name)
	t := api.Topology{Name: d.Name, Phase: d.Phase, Epoch: d.Epoch, Primary: d.Primary, Nodes: []api.TopologyNode{}}
	for _, id := range instances(d, view) {
		m, _ := d.Member(id)
		n := api.TopologyNode{Instance: id, Node: m.Node, Zone: m.Zone, Address: m.Address, Part: partOf(d, id)}
		if h := view[id]; h.Ever() {
			n.AgeMillis, n.CaughtUp = new(h.Age.Milliseconds()), h.Guard.CaughtUp
			follow(&n, d, h.Replication)
		}
		t.Nodes = append(t.Nodes, n)
	}
	return t, nil
}

func follow(n *api.TopologyNode, d *registry.Database, r *health.Replication) {
	if r == nil {
		return
	}
	n.Source, n.Receiver, n.SilenceMillis = r.Source, r.Receiver, r.SilenceMillis
	if r.LagSeconds >= 0 {
		n.LagSeconds = new(r.LagSeconds)
	}
	for _, m := range d.Members {
		if m.Address == r.Source {
			n.Follows = m.ID
		}
	}
}

// instances are the members and whoever else reports, sorted.
func instances(d *registry.Database, view health.View) []registry.InstanceID {
	var ids []registry.InstanceID
	for _, m := range d.Members {
		ids = append(ids, m.ID)
	}
	for id := range view {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func partOf(d *registry.Database, id registry.InstanceID) api.Part {
	_, member := d.Member(id)
	switch {
	case !member:
		return api.PartStranger
	case id == d.Primary && d.Phase == registry.Serving:
		return api.PartPrimary
	case id == d.Primary:
		return api.PartWinner
	case id == d.Former:
		return api.PartFormer
	case d.IsAcker(id):
		return api.PartAcker
	}
	return api.PartReplica
}

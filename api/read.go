package api

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// Meta says from what state an answer is; the client fills it from the headers.
type Meta struct {
	Index registry.Index
	// Stale says that it was read with ?stale; then KnownLeader and LastContact say how old it may be.
	Stale       bool
	KnownLeader registry.NodeID
	LastContact time.Duration
}

// Health is the answer of the probes.
type Health struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// Status is the cluster in one answer.
type Status struct {
	Meta      Meta               `json:"-"`
	Cluster   registry.ClusterID `json:"cluster"`
	Node      registry.NodeID    `json:"node"` // who answers
	Version   string             `json:"version"`
	Verdict   Verdict            `json:"verdict"`
	Reasons   []string           `json:"reasons,omitempty"` // for a verdict that is not healthy
	Raft      RaftStatus         `json:"raft"`
	Nodes     int                `json:"nodes"`
	Databases []DatabaseSummary  `json:"databases"`
}

// Verdict is the cluster in one word.
type Verdict string

// The verdicts: Down when a database has no primary, Degraded when something else is wrong.
const (
	Healthy  Verdict = "healthy"
	Degraded Verdict = "degraded"
	Down     Verdict = "down"
)

// DatabaseSummary is a database in one line.
type DatabaseSummary struct {
	Name       registry.DatabaseName `json:"name"`
	Phase      registry.Phase        `json:"phase"`
	Epoch      registry.Epoch        `json:"epoch"`
	Primary    registry.InstanceID   `json:"primary,omitempty"`
	Durability registry.Durability   `json:"durability"`
	Members    int                   `json:"members"`
	Heard      int                   `json:"heard"` // members that reported within heardWithin
	Why        string                `json:"why"`
	Refusal    registry.Cause        `json:"refusal,omitzero"`
}

// MemberList is what gossip says.
type MemberList struct {
	Meta    Meta     `json:"-"`
	Members []Member `json:"members"`
}

// DatabaseList is every database in a line, in order of their names.
type DatabaseList struct {
	Meta      Meta              `json:"-"`
	Databases []DatabaseSummary `json:"databases"`
}

// DatabaseView is one database: what is decided and what is seen.
type DatabaseView struct {
	Meta      Meta               `json:"-"`
	Database  *registry.Database `json:"database"`
	Why       string             `json:"why"`
	Instances []InstanceView     `json:"instances"` // members and whoever else reports, in order of their ids
}

// Part is what an instance is to its database now.
type Part string

// The parts. A winner is being promoted; a former primary is being replaced; a stranger reports but is no member.
const (
	PartPrimary  Part = "primary"
	PartWinner   Part = "winner"
	PartFormer   Part = "former"
	PartAcker    Part = "acker"
	PartReplica  Part = "replica"
	PartStranger Part = "stranger"
)

// InstanceView is one instance as this server hears it.
type InstanceView struct {
	Instance registry.InstanceID `json:"instance"`
	Part     Part                `json:"part"`
	// AgeMillis is how long ago it reported; null: never.
	AgeMillis *int64         `json:"age_ms"`
	Probed    health.Probe   `json:"probed,omitempty"`
	Report    *health.Report `json:"report,omitempty"`
}

// Topology is who follows whom.
type Topology struct {
	Meta    Meta                  `json:"-"`
	Name    registry.DatabaseName `json:"name"`
	Phase   registry.Phase        `json:"phase"`
	Epoch   registry.Epoch        `json:"epoch"`
	Primary registry.InstanceID   `json:"primary,omitempty"`
	Nodes   []TopologyNode        `json:"nodes"`
}

// TopologyNode is one instance and the edge to whom it follows.
type TopologyNode struct {
	Instance registry.InstanceID `json:"instance"`
	Node     registry.NodeID     `json:"node,omitempty"`
	Zone     string              `json:"zone,omitempty"`
	Address  string              `json:"address,omitempty"`
	Part     Part                `json:"part"`
	// Follows is the member at the other end of Source, empty when it is none or replication is off.
	Follows       registry.InstanceID `json:"follows,omitempty"`
	Source        string              `json:"source,omitempty"`   // host:port
	Receiver      string              `json:"receiver,omitempty"` // stopped, connecting, running
	CaughtUp      bool                `json:"caught_up"`
	LagSeconds    *int                `json:"lag_s"` // null: not known
	SilenceMillis int64               `json:"silence_ms,omitempty"`
	AgeMillis     *int64              `json:"age_ms"` // of the report this comes from; null: never
}

func (s *Server) livez(*call) (any, error) { return Health{OK: true}, nil }

// readyContact is how long ago a ready server heard the leader at most.
const readyContact = 5 * time.Second

func (s *Server) readyz(c *call) (any, error) {
	h := Health{OK: true}
	leader, _ := s.cfg.Backend.Leader()
	if contact := s.cfg.Backend.LastContact(); leader == "" {
		h = Health{Reason: "no leader is known"}
	} else if contact > readyContact {
		h = Health{Reason: fmt.Sprintf("the leader %s was last heard %s ago", leader, contact.Round(time.Millisecond))}
	}
	if !h.OK {
		c.status = 503
	}
	return h, nil
}

func (s *Server) members(*call) (any, error) {
	all := slices.Clone(s.cfg.Backend.Members())
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return MemberList{Members: slices.Concat([]Member{}, all)}, nil
}

// state is the state that the answer is made from.
func (s *Server) state(c *call) *registry.State {
	st := s.cfg.Backend.State()
	c.w.Header().Set(headerIndex, indexText(st.Index()))
	return st
}

func (s *Server) status(c *call) (any, error) {
	st := s.state(c)
	v := Status{
		Cluster: st.Cluster(), Node: s.cfg.Node, Version: s.cfg.Version, Verdict: Healthy,
		Raft: s.cfg.Backend.Raft(), Nodes: len(st.Nodes()), Databases: s.summaries(st),
	}
	worse := func(verdict Verdict, format string, args ...any) {
		if v.Verdict != Down {
			v.Verdict = verdict
		}
		v.Reasons = append(v.Reasons, fmt.Sprintf(format, args...))
	}
	if v.Raft.Leader == "" {
		worse(Degraded, "no leader is known: nothing can be decided")
	}
	for _, d := range v.Databases {
		if d.Phase != registry.Serving {
			worse(Down, "%s: %s", d.Name, d.Why)
			continue
		}
		if !d.Refusal.Zero() {
			worse(Degraded, "%s: refused: %s", d.Name, d.Refusal)
		}
		if d.Heard < d.Members {
			worse(Degraded, "%s: %d of %d members are heard", d.Name, d.Heard, d.Members)
		}
		if d.Durability != registry.Lossless {
			worse(Degraded, "%s: durability is %s", d.Name, d.Durability)
		}
	}
	return v, nil
}

func (s *Server) databases(c *call) (any, error) {
	return DatabaseList{Databases: s.summaries(s.state(c))}, nil
}

func (s *Server) summaries(st *registry.State) []DatabaseSummary {
	all := []DatabaseSummary{}
	for _, d := range st.Databases() {
		view, heard := s.cfg.Backend.View(d.Name), 0
		for _, m := range d.Members {
			if h, ok := view[m.ID]; ok && h.Age <= heardWithin {
				heard++
			}
		}
		all = append(all, DatabaseSummary{
			Name: d.Name, Phase: d.Phase, Epoch: d.Epoch, Primary: d.Primary, Durability: d.Durability,
			Members: len(d.Members), Heard: heard, Why: d.Why(), Refusal: d.Refusal,
		})
	}
	return all
}

// find returns the database that the path names.
func (s *Server) find(c *call) (*registry.Database, error) {
	d, ok := s.state(c).Database(c.db)
	if !ok {
		return nil, problem(CodeNoDatabase, "GET /v1/databases lists them", "there is no database %s", c.db)
	}
	return d, nil
}

func (s *Server) database(c *call) (any, error) {
	d, err := s.find(c)
	if err != nil {
		return nil, err
	}
	view := s.cfg.Backend.View(d.Name)
	v := DatabaseView{Database: d, Why: d.Why(), Instances: []InstanceView{}}
	for _, id := range instances(d, view) {
		i := InstanceView{Instance: id, Part: partOf(d, id)}
		if h, ok := view[id]; ok {
			i.AgeMillis, i.Probed, i.Report = new(h.Age.Milliseconds()), h.Probed, &h.Report
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
	t := Topology{Name: d.Name, Phase: d.Phase, Epoch: d.Epoch, Primary: d.Primary, Nodes: []TopologyNode{}}
	for _, id := range instances(d, view) {
		m, _ := d.Member(id)
		n := TopologyNode{Instance: id, Node: m.Node, Zone: m.Zone, Address: m.Address, Part: partOf(d, id)}
		if h, ok := view[id]; ok {
			n.AgeMillis, n.CaughtUp = new(h.Age.Milliseconds()), h.Guard.CaughtUp
			n.follow(d, h.Replication)
		}
		t.Nodes = append(t.Nodes, n)
	}
	return t, nil
}

func (n *TopologyNode) follow(d *registry.Database, r *health.Replication) {
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

func partOf(d *registry.Database, id registry.InstanceID) Part {
	_, member := d.Member(id)
	switch {
	case !member:
		return PartStranger
	case id == d.Primary && d.Phase == registry.Serving:
		return PartPrimary
	case id == d.Primary:
		return PartWinner
	case id == d.Former:
		return PartFormer
	case d.IsAcker(id):
		return PartAcker
	}
	return PartReplica
}

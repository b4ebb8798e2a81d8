package registry

import (
	"cmp"
	"fmt"
	"slices"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// State is one immutable version of the replicated registry. A State may be shared and kept for ever.
type State struct {
	cluster   ClusterID
	index     Index
	nodes     *iradix.Tree[Node]
	services  *iradix.Tree[ServiceInstance] // service/node/id
	databases []*Database                   // sorted by name; never changed in place
}

// New returns the empty state of a cluster.
func New(cluster ClusterID) *State {
	return &State{
		cluster:  cluster,
		nodes:    iradix.New[Node](),
		services: iradix.New[ServiceInstance](),
	}
}

// Cluster is the cluster that this state belongs to.
func (s *State) Cluster() ClusterID { return s.cluster }

// Index is the position of the last command in this state.
func (s *State) Index() Index { return s.index }

// Next is the step of every replica and follower: it returns the state at index i after c. A refused command moves nothing
// but the index; the error says why.
func (s *State) Next(i Index, c Command) (*State, error) {
	at := s.WithIndex(i)
	next, err := c.Apply(at)
	if err != nil {
		return at, err
	}
	return next, nil
}

// WithIndex returns the same state at index i. Entries of the log that hold no command move it; Next does it for those
// that do, before Apply, so that history carries the index of its command.
func (s *State) WithIndex(i Index) *State {
	c := *s
	c.index = i
	return &c
}

// Node returns the node with this id.
func (s *State) Node(id NodeID) (Node, bool) { return s.nodes.Get([]byte(id)) }

// Nodes returns all nodes in order of their ids.
func (s *State) Nodes() []Node { return collect(s.nodes, "") }

// Services returns all service instances in order of service, node and id.
func (s *State) Services() []ServiceInstance { return collect(s.services, "") }

// Service returns the instances of one service.
func (s *State) Service(name ServiceName) []ServiceInstance {
	return collect(s.services, string(name)+"/")
}

// Database returns the database with this name; the value must not be changed.
func (s *State) Database(name DatabaseName) (*Database, bool) {
	i, ok := s.place(name)
	if !ok {
		return nil, false
	}
	return s.databases[i], true
}

// place is where in databases the one with this name is, or belongs.
func (s *State) place(name DatabaseName) (int, bool) {
	return slices.BinarySearchFunc(s.databases, name, func(d *Database, n DatabaseName) int { return cmp.Compare(d.Name, n) })
}

// Databases returns all databases in order of their names; the values must not be changed.
func (s *State) Databases() []*Database { return slices.Clone(s.databases) }

func collect[T any](t *iradix.Tree[T], prefix string) []T {
	var all []T
	t.Root().WalkPrefix([]byte(prefix), func(_ []byte, v T) bool {
		all = append(all, v)
		return false
	})
	return all
}

func serviceKey(service ServiceName, node NodeID, id string) []byte {
	return fmt.Appendf(nil, "%s/%s/%s", service, node, id)
}

func (s *State) withDatabase(d *Database) *State {
	c := *s
	i, known := s.place(d.Name)
	if known {
		c.databases = slices.Clone(s.databases)
		c.databases[i] = d
	} else {
		c.databases = slices.Insert(slices.Clip(s.databases), i, d)
	}
	return &c
}

// Contents is everything that a State holds, each list in order; package codec gives it bytes.
type Contents struct {
	Cluster   ClusterID         `json:"cluster"`
	Index     Index             `json:"index"`
	Nodes     []Node            `json:"nodes,omitempty"`
	Services  []ServiceInstance `json:"services,omitempty"`
	Databases []*Database       `json:"databases,omitempty"`
}

// Contents returns what s holds; the values must not be changed.
func (s *State) Contents() Contents {
	return Contents{s.cluster, s.index, s.Nodes(), s.Services(), s.Databases()}
}

// Restore makes a state of what another one held.
func Restore(c Contents) *State {
	s := New(c.Cluster)
	s.index = c.Index
	for _, n := range c.Nodes {
		s.nodes, _, _ = s.nodes.Insert([]byte(n.ID), n)
	}
	for _, i := range c.Services {
		s.services, _, _ = s.services.Insert(serviceKey(i.Service, i.Node, i.ID), i)
	}
	for _, d := range c.Databases {
		s = s.withDatabase(d)
	}
	return s
}

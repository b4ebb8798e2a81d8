package registry

import "fmt"

// PutNode registers a node or replaces what is known of it.
type PutNode struct {
	Node Node `json:"node"`
}

// Urgent is false: a node appears with the next message.
func (*PutNode) Urgent() bool { return false }

// Apply returns ErrInvalid for a bad name, address or role.
func (c *PutNode) Apply(s *State) (*State, error) {
	n := c.Node
	if err := ValidName(string(n.ID)); err != nil {
		return nil, fmt.Errorf("put node: %w: %w", err, ErrInvalid)
	}
	if err := checkAddr(n.Address); err != nil {
		return nil, fmt.Errorf("put node %s: %w: %w", n.ID, err, ErrInvalid)
	}
	if n.Role != RoleServer && n.Role != RoleClient {
		return nil, fmt.Errorf("put node %s: role %q: %w", n.ID, n.Role, ErrInvalid)
	}
	next := *s
	next.nodes, _, _ = s.nodes.Insert([]byte(n.ID), n)
	return &next, nil
}

// RemoveNode forgets a node and the services it brought; members of databases stay until they are removed.
type RemoveNode struct {
	ID NodeID `json:"id"`
}

// Urgent is true: its services leave every answer at once.
func (*RemoveNode) Urgent() bool { return true }

// Apply returns ErrUnknown when there is no such node.
func (c *RemoveNode) Apply(s *State) (*State, error) {
	if _, ok := s.Node(c.ID); !ok {
		return nil, fmt.Errorf("remove node %s: %w", c.ID, ErrUnknown)
	}
	next := *s
	next.nodes, _, _ = s.nodes.Delete([]byte(c.ID))
	for _, i := range s.Services() {
		if i.Node == c.ID {
			next.services, _, _ = next.services.Delete(serviceKey(i.Service, i.Node, i.ID))
		}
	}
	return &next, nil
}

// PutService registers an instance of a service or replaces it.
type PutService struct {
	Instance ServiceInstance `json:"instance"`
}

// Urgent is true: discovery is what services are for.
func (*PutService) Urgent() bool { return true }

// Apply returns ErrInvalid for bad names, address or port and ErrUnknown for an unknown node.
func (c *PutService) Apply(s *State) (*State, error) {
	i := c.Instance
	for _, name := range append([]string{string(i.Service), i.ID}, i.Tags...) {
		if err := ValidName(name); err != nil {
			return nil, fmt.Errorf("put service %s: %w: %w", i.Service, err, ErrInvalid)
		}
	}
	if len(i.Service) > 62 { // its SRV name has an underscore more, and a label 63 bytes
		return nil, fmt.Errorf("put service %s: %d letters, at most 62: %w", i.Service, len(i.Service), ErrInvalid)
	}
	if err := checkAddr(i.Address); err != nil {
		return nil, fmt.Errorf("put service %s: %w: %w", i.Service, err, ErrInvalid)
	}
	if i.Port == 0 {
		return nil, fmt.Errorf("put service %s: port 0: %w", i.Service, ErrInvalid)
	}
	if _, ok := s.Node(i.Node); !ok {
		return nil, fmt.Errorf("put service %s: node %s: %w", i.Service, i.Node, ErrUnknown)
	}
	next := *s
	next.services, _, _ = s.services.Insert(serviceKey(i.Service, i.Node, i.ID), i)
	return &next, nil
}

// RemoveService forgets one instance of a service.
type RemoveService struct {
	Service ServiceName `json:"service"`
	Node    NodeID      `json:"node"`
	ID      string      `json:"id"`
}

// Urgent is true: it leaves every answer at once.
func (*RemoveService) Urgent() bool { return true }

// Apply returns ErrUnknown when there is no such instance.
func (c *RemoveService) Apply(s *State) (*State, error) {
	key := serviceKey(c.Service, c.Node, c.ID)
	if _, ok := s.services.Get(key); !ok {
		return nil, fmt.Errorf("remove service %s: %w", key, ErrUnknown)
	}
	next := *s
	next.services, _, _ = s.services.Delete(key)
	return &next, nil
}

// SetServiceHealth takes an instance out of rotation (Failing set) or puts it back (Failing zero).
type SetServiceHealth struct {
	Service ServiceName `json:"service"`
	Node    NodeID      `json:"node"`
	ID      string      `json:"id"`
	Failing Cause       `json:"failing,omitzero"`
}

// Urgent is true: an unhealthy instance leaves every answer at once.
func (*SetServiceHealth) Urgent() bool { return true }

// Apply returns ErrUnknown when there is no such instance.
func (c *SetServiceHealth) Apply(s *State) (*State, error) {
	key := serviceKey(c.Service, c.Node, c.ID)
	i, ok := s.services.Get(key)
	if !ok {
		return nil, fmt.Errorf("set health of service %s: %w", key, ErrUnknown)
	}
	i.Failing = c.Failing
	next := *s
	next.services, _, _ = s.services.Insert(key, i)
	return &next, nil
}

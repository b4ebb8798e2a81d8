package registry

import "fmt"

// Wish is how an operator wants a member brought back that holds what the primary of Epoch lacks: rewind, clone or wait.
// It ends with the epoch.
type Wish struct {
	How      string `json:"how"`
	Epoch    Epoch  `json:"epoch"`
	AtMillis int64  `json:"at_ms"` // tells one wish from the next
}

// Rejoin records how a member is to be brought back. Its own node carries it out.
type Rejoin struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	Instance InstanceID   `json:"instance"`
	How      string       `json:"how"`
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is false.
func (*Rejoin) Urgent() bool { return false }

// Apply returns ErrStale unless the database is serving in this epoch, ErrUnknown for a stranger and ErrInvalid for the
// primary, for an acker, which may hold what nobody else does, and for an unknown way.
func (c *Rejoin) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "rejoin in", Serving)
	if err != nil {
		return nil, err
	}
	m, ok := d.Member(c.Instance)
	switch {
	case !ok:
		return nil, fmt.Errorf("rejoin %s in %s: %w", c.Instance, d.Name, ErrUnknown)
	case m.ID == d.Primary || d.IsAcker(m.ID):
		return nil, fmt.Errorf("rejoin %s in %s: it reigns or acknowledges: %w", c.Instance, d.Name, ErrInvalid)
	case c.How != "rewind" && c.How != "clone" && c.How != "wait":
		return nil, fmt.Errorf("rejoin %s in %s: way %q: %w", c.Instance, d.Name, c.How, ErrInvalid)
	}
	m.Rejoin = Wish{How: c.How, Epoch: c.Epoch, AtMillis: c.AtMillis}
	d.setMember(m)
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: c.Instance, Cause: c.Cause})
	return s.withDatabase(d), nil
}

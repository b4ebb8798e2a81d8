package registry

import (
	"fmt"
	"slices"
)

// Handover is a planned hand-over that is being prepared, in serving: nothing is revoked, the primary takes writes and has
// its name, and most of what would take long in the outage is done before it.
type Handover struct {
	// To is to win.
	To InstanceID `json:"to"`
	// Movers (sorted) are ackers that follow To already, so that its marker is acknowledged at once. As many others as
	// commits wait for go on following the primary. Movers stay ackers of the present reign: a fence must cover them.
	Movers []InstanceID `json:"movers"`
	// Cause is for the Revoke that ends the reign.
	Cause Cause `json:"cause"`
}

// Movers are the ackers that can follow to while the primary goes on serving, sorted: all but to, those that leave, and as
// many as commits wait for.
func (d *Database) Movers(to InstanceID) []InstanceID {
	var all []InstanceID
	stay := d.K
	for _, a := range d.Ackers {
		m, _ := d.Member(a)
		switch {
		case a == to:
			stay-- // it acknowledges to the end
		case m.Leaving.Zero():
			all = append(all, a)
		}
	}
	return all[min(max(stay, 0), len(all)):]
}

// Prepare begins to prepare a hand-over to To, or with an empty To gives it up.
type Prepare struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	To       InstanceID   `json:"to,omitempty"`
	// Revision is at which giving up was decided; 0 where To is named.
	Revision uint64 `json:"revision,omitempty"`
	Cause    Cause  `json:"cause"`
	AtMillis int64  `json:"at_ms"`
}

// Urgent is true: while it is prepared fewer replicas acknowledge.
func (*Prepare) Urgent() bool { return true }

// Apply returns ErrStale unless the database is serving in this epoch, ErrInvalid where To cannot win or nobody can move.
func (c *Prepare) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "prepare a hand-over of", Serving)
	if err != nil {
		return nil, err
	}
	who := c.To
	switch {
	case c.To == "" && (d.Handover == nil || c.Revision != d.Revision):
		return nil, fmt.Errorf("give up the hand-over of %s: none is prepared at revision %d: %w", d.Name, c.Revision, ErrStale)
	case c.To == "":
		who, d.Handover = d.Handover.To, nil
	case d.Handover != nil || d.Change != nil:
		return nil, fmt.Errorf("prepare a hand-over of %s: a hand-over or a change of ackers is under way: %w", d.Name, ErrStale)
	default:
		if err := d.mayTake(c.To); err != nil {
			return nil, err
		}
		d.Handover = &Handover{To: c.To, Movers: d.Movers(c.To), Cause: c.Cause}
		if len(d.Handover.Movers) == 0 {
			return nil, fmt.Errorf("prepare a hand-over of %s: %d of %d ackers are needed where they are: %w", d.Name, d.K, len(d.Ackers), ErrInvalid)
		}
		for _, m := range d.Handover.Movers {
			d.arm(m, c.To) // before it acknowledges for it
		}
	}
	d.Revision++
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: who, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// mayTake returns ErrInvalid where to can take over from no primary.
func (d *Database) mayTake(to InstanceID) error {
	if m, ok := d.Member(to); !ok || to == d.Primary || !m.Leaving.Zero() {
		return fmt.Errorf("hand-over to %q: not a replica of this database: %w", to, ErrInvalid)
	}
	return nil
}

func (h *Handover) clone() *Handover {
	if h == nil {
		return nil
	}
	c := *h
	c.Movers = slices.Clone(h.Movers)
	return &c
}

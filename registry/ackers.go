package registry

import (
	"cmp"
	"fmt"
	"slices"
)

// Armed says that Instance may be acknowledging for Source: it was told to, and was not seen fenced or silent since. Such a
// one that nobody hears goes on, and so it counts as an acker of every reign of Source.
type Armed struct {
	Instance InstanceID `json:"instance"`
	Source   InstanceID `json:"source"`
}

// Change is an ordered change of whose acknowledgements count, or of how many; one is under way at a time. A commit is
// acknowledged by what the servers do and a fence covers what the registry says, so what makes completing sets larger is
// done on the servers first, and what makes fencing sets larger is committed first (G1, G2).
type Change struct {
	// Retire is the acker whose acknowledgement is to count no more.
	Retire InstanceID `json:"retire,omitempty"`
	// Silent says that Retire has stopped acknowledging, for good, or is lost. What it acknowledged before, or is still on its
	// way, must be proved to be on K others before it leaves Ackers.
	Silent bool `json:"silent,omitempty"`
	// K is how many acknowledgements commits are to wait for, more than Database.K. The server waits for them first.
	K int `json:"k,omitempty"`
}

// Proving reports whether the primary is to prove something: that a commit which begins now is acknowledged by as many as
// the change needs, without the one that retires.
func (c *Change) Proving() bool { return c != nil && (c.Silent || c.K > 0) }

// The codes of Member.Leaving.
const (
	// MemberLeaving: an operator has it leave the database; it stops acknowledging first.
	MemberLeaving = "MemberLeaving"
	// MemberLost: an operator says that this server and its disk are gone for good, and so cannot be asked to stop.
	MemberLost = "MemberLost"
)

// Removed is a member that left: its agent may not register it again.
type Removed struct {
	Instance InstanceID `json:"instance"`
	Cause    Cause      `json:"cause"`
}

// Leave has a member leave the database, or with a zero Cause lets it stay, or come back. The leader takes the steps.
type Leave struct {
	Database DatabaseName `json:"database"`
	Instance InstanceID   `json:"instance"`
	Cause    Cause        `json:"cause,omitzero"` // MemberLeaving or MemberLost, and who wants it
	AtMillis int64        `json:"at_ms"`
}

// Urgent is false.
func (*Leave) Urgent() bool { return false }

// Apply returns ErrUnknown for a stranger, and ErrInvalid for who reigns or is about to, and for an acker without whom
// fewer than K would be left.
func (c *Leave) Apply(s *State) (*State, error) {
	d, err := s.reignOf(c.Database, "leave")
	if err != nil {
		return nil, err
	}
	m, ok := d.Member(c.Instance)
	if c.Cause.Zero() {
		i := slices.IndexFunc(d.Removed, func(r Removed) bool { return r.Instance == c.Instance })
		switch {
		case ok && !m.Leaving.Zero():
			if d.Change != nil && d.Change.Retire == m.ID {
				d.Change = nil
			}
		case i >= 0:
			if d.Removed = slices.Delete(d.Removed, i, i+1); len(d.Removed) == 0 {
				d.Removed = nil // as a server holds it that starts from a snapshot
			}
		default:
			return nil, fmt.Errorf("let %s stay in %s: it neither leaves nor was removed: %w", c.Instance, d.Name, ErrUnknown)
		}
	} else if err := d.mayLeave(c, ok); err != nil {
		return nil, fmt.Errorf("remove %s from %s: %w", c.Instance, d.Name, err)
	}
	if ok {
		m.Leaving = c.Cause
		d.setMember(m)
	}
	d.Revision++
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: c.Instance, Cause: c.Cause})
	return s.withDatabase(d), nil
}

func (d *Database) mayLeave(c *Leave, member bool) error {
	left := len(d.Ackers)
	for _, a := range d.Ackers {
		if m, _ := d.Member(a); a == c.Instance || !m.Leaving.Zero() {
			left--
		}
	}
	switch {
	case !member:
		return ErrUnknown
	case c.Cause.Code != MemberLeaving && c.Cause.Code != MemberLost:
		return fmt.Errorf("code %q: %w", c.Cause.Code, ErrInvalid)
	case c.Instance == d.Primary || c.Instance == d.To || d.Handover != nil && c.Instance == d.Handover.To:
		return fmt.Errorf("it reigns or is about to: %w", ErrInvalid)
	case d.IsAcker(c.Instance) && left < max(d.K, d.Policy.K):
		return fmt.Errorf("%d ackers would be left, and commits wait for %d: %w", left, max(d.K, d.Policy.K), ErrInvalid)
	}
	return nil
}

// ChangeAckers begins a change of the present reign: Retire an acker that is to leave, or wait for K acknowledgements.
// Fewer take effect at once, because a fence then covers more; the server follows.
type ChangeAckers struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	Retire   InstanceID   `json:"retire,omitempty"`
	K        int          `json:"k,omitempty"`
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is false.
func (*ChangeAckers) Urgent() bool { return false }

// Apply returns ErrStale unless the database is serving in this epoch with no change under way, ErrInvalid for what would
// leave fewer ackers than commits wait for.
func (c *ChangeAckers) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "change ackers of", Serving)
	if err != nil {
		return nil, err
	}
	m, _ := d.Member(c.Retire)
	switch {
	case d.Change != nil || d.Handover != nil:
		return nil, fmt.Errorf("change ackers of %s: another change is under way: %w", d.Name, ErrStale)
	case !d.IsLossless():
		return nil, fmt.Errorf("change ackers of %s: it is %s, nothing can be proved: %w", d.Name, d.Durability, ErrInvalid)
	case c.Retire != "" && (c.K != 0 || !d.IsAcker(c.Retire) || m.Leaving.Zero() || len(d.Ackers)-1 < d.K):
		return nil, fmt.Errorf("retire %s in %s: it is no acker that leaves, or %d must be left: %w", c.Retire, d.Name, d.K, ErrInvalid)
	case c.Retire == "" && (c.K < 1 || c.K > len(d.Ackers) || c.K == d.K):
		return nil, fmt.Errorf("wait for %d acknowledgements in %s: of %d ackers, present are %d: %w", c.K, d.Name, len(d.Ackers), d.K, ErrInvalid)
	case c.K > 0 && c.K < d.K:
		d.K = c.K
	default:
		d.Change = &Change{Retire: c.Retire, K: c.K, Silent: m.Leaving.Code == MemberLost}
	}
	d.Revision++
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: c.Retire, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// AdvanceChange takes the change under way one step further: who retires is silent, or what was to be proved is proved.
type AdvanceChange struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	Revision uint64       `json:"revision"` // at which that was reported
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is false.
func (*AdvanceChange) Urgent() bool { return false }

// Apply returns ErrStale unless the database is serving in this epoch with a change under way at this revision.
func (c *AdvanceChange) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "change ackers of", Serving)
	if err != nil {
		return nil, err
	}
	if d.Change == nil || c.Revision != d.Revision {
		return nil, fmt.Errorf("change ackers of %s: revision %d, present is %d: %w", d.Name, c.Revision, d.Revision, ErrStale)
	}
	who := d.Change.Retire
	switch change := *d.Change; {
	case change.K > 0:
		d.K, d.Change, d.Durability, d.Alone = change.K, nil, Lossless, nil
	case !change.Silent:
		change.Silent = true
		d.Change = &change
	case len(d.Ackers)-1 < d.K:
		return nil, fmt.Errorf("retire %s in %s: %d ackers would be left: %w", who, d.Name, len(d.Ackers)-1, ErrInvalid)
	default:
		d.Ackers = slices.DeleteFunc(d.Ackers, func(id InstanceID) bool { return id == who })
		d.disarm(who)
		d.Change = nil
	}
	d.Revision++
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: who, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// arm notes that id may acknowledge for source from now on.
func (d *Database) arm(id, source InstanceID) {
	a := Armed{id, source}
	i, known := slices.BinarySearchFunc(d.Armed, a, func(x, y Armed) int {
		return cmp.Or(cmp.Compare(x.Instance, y.Instance), cmp.Compare(x.Source, y.Source))
	})
	if !known {
		d.Armed = slices.Insert(d.Armed, i, a)
	}
}

// disarm notes that id acknowledges for nobody.
func (d *Database) disarm(id InstanceID) {
	if d.Armed = slices.DeleteFunc(d.Armed, func(a Armed) bool { return a.Instance == id }); len(d.Armed) == 0 {
		d.Armed = nil // as a server holds it that starts from a snapshot
	}
}

// IsArmed reports whether id may be acknowledging for anybody.
func (d *Database) IsArmed(id InstanceID) bool {
	return slices.ContainsFunc(d.Armed, func(a Armed) bool { return a.Instance == id })
}

// withArmed is the ackers of a reign of primary that begins: those it was elected with, and whoever may still be
// acknowledging for it from an earlier reign.
func (d *Database) withArmed(primary InstanceID, ackers []InstanceID) []InstanceID {
	all := slices.Clone(ackers)
	for _, a := range d.Armed {
		if _, member := d.Member(a.Instance); member && a.Source == primary && a.Instance != primary {
			all = append(all, a.Instance)
		}
	}
	slices.Sort(all)
	if len(all) == 0 {
		return nil
	}
	return slices.Compact(all)
}

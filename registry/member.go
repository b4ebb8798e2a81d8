package registry

import (
	"fmt"
	"net/netip"
	"slices"
)

// PutDatabase creates a database in phase forming, or replaces the policy of an existing one.
type PutDatabase struct {
	Name   DatabaseName `json:"name"`
	Policy Policy       `json:"policy"`
}

// Urgent is false: a policy takes effect with the next message.
func (*PutDatabase) Urgent() bool { return false }

// Apply returns ErrInvalid for a bad name or policy.
func (c *PutDatabase) Apply(s *State) (*State, error) {
	if err := ValidName(string(c.Name)); err != nil {
		return nil, fmt.Errorf("put database: %w: %w", err, ErrInvalid)
	}
	if err := c.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("put database %s: %w: %w", c.Name, err, ErrInvalid)
	}
	d, ok := s.Database(c.Name)
	if !ok {
		d = &Database{Name: c.Name, Phase: Forming, Durability: Lossless}
	}
	d = d.clone()
	d.Policy = c.Policy
	return s.withDatabase(d), nil
}

// PutMember registers a database server or replaces what is known of it. Rotation is kept; who joins a database that has a
// primary starts out of rotation.
type PutMember struct {
	Database DatabaseName `json:"database"`
	Member   Member       `json:"member"`
}

// Urgent is false: a member appears with the next message.
func (*PutMember) Urgent() bool { return false }

// Apply returns ErrUnknown for an unknown database and ErrInvalid for bad values, for a flavor that differs from the
// other members' and for a server uuid or address that another member has (a copied data directory).
func (c *PutMember) Apply(s *State) (*State, error) {
	d, err := s.reignOf(c.Database, "put member of")
	if err != nil {
		return nil, err
	}
	if err := c.Member.validate(); err != nil {
		return nil, fmt.Errorf("put member %s of %s: %w: %w", c.Member.ID, c.Database, err, ErrInvalid)
	}
	m := c.Member
	m.Leaving, m.Rejoin = Cause{}, Wish{}
	if i := slices.IndexFunc(d.Removed, func(r Removed) bool { return r.Instance == m.ID }); i >= 0 {
		return nil, fmt.Errorf("put member %s of %s: it was removed (%s). Way out: baton db remove-member %s %s --undo lets it in again: %w",
			m.ID, d.Name, d.Removed[i].Cause, d.Name, m.ID, ErrInvalid)
	}
	if _, known := d.Member(m.ID); !known && d.reigned() && m.OutOf.Zero() {
		m = m.unproven("it has just joined and is not yet seen to follow the primary")
	}
	for _, other := range d.Members {
		if other.ID == m.ID {
			m.OutOf, m.Leaving, m.Rejoin = other.OutOf, other.Leaving, other.Rejoin
			continue
		}
		if err := m.conflicts(other); err != nil {
			return nil, fmt.Errorf("put member %s of %s: %w: %w", m.ID, c.Database, err, ErrInvalid)
		}
	}
	d.setMember(m)
	return s.withDatabase(d), nil
}

// unproven takes m out of rotation.
func (m Member) unproven(why string) Member {
	m.OutOf = Cause{Code: ReplicaUnproven, Detail: why}
	return m
}

// reserved are first labels to which Records gives a meaning: a member called primary would answer for the primary (G6).
var reserved = []InstanceID{"primary", "replicas", "why"}

func (m Member) validate() error {
	if err := ValidName(string(m.ID)); err != nil {
		return err
	}
	if slices.Contains(reserved, m.ID) {
		return fmt.Errorf("name %q: the database itself publishes a name like that", m.ID)
	}
	ap, err := netip.ParseAddrPort(m.Address)
	if err != nil || ap.Port() == 0 {
		return fmt.Errorf("address %q: want ip:port", m.Address)
	}
	if err := validAddr(ap.Addr()); err != nil {
		return err
	}
	if m.Flavor != MySQL && m.Flavor != MariaDB {
		return fmt.Errorf("flavor %q", m.Flavor)
	}
	if m.Preference.Rank() < 0 {
		return fmt.Errorf("preference %q", m.Preference)
	}
	if m.SourceKey() == "" || m.SourceKey() == "0" {
		return fmt.Errorf("no server identity: uuid %q, server id %d", m.ServerUUID, m.ServerID)
	}
	return nil
}

func (m Member) conflicts(other Member) error {
	switch {
	case other.Flavor != m.Flavor:
		return fmt.Errorf("it is %s and %s is %s: one database is one family", m.Flavor, other.ID, other.Flavor)
	case other.addrPort() == m.addrPort():
		return fmt.Errorf("%s already has address %s", other.ID, m.Address)
	case other.SourceKey() == m.SourceKey():
		return fmt.Errorf("%s already has the identity %s: a copied data directory? give this server its own", other.ID, m.SourceKey())
	}
	return nil
}

// addrPort is m.Address as a value, because IPv6 has many spellings of one address; Apply has checked it.
func (m Member) addrPort() netip.AddrPort {
	ap, _ := netip.ParseAddrPort(m.Address)
	return ap
}

// RemoveMember forgets a database server that leaves, is neither primary nor acker, and can acknowledge for nobody or is lost.
type RemoveMember struct {
	Database DatabaseName `json:"database"`
	Instance InstanceID   `json:"instance"`
	Revision uint64       `json:"revision,omitempty"` // at which it was reported to acknowledge for nobody; 0: it was not
}

// Urgent is true: its names go at once.
func (*RemoveMember) Urgent() bool { return true }

// Apply returns ErrStale for a member that stays, because leaving was taken back after this was decided, and ErrInvalid while
// the member reigns or acknowledges, or while nobody reigns.
func (c *RemoveMember) Apply(s *State) (*State, error) {
	d, err := s.reignOf(c.Database, "remove member of")
	if err != nil {
		return nil, err
	}
	m, ok := d.Member(c.Instance)
	if !ok {
		return nil, fmt.Errorf("remove member %s of %s: %w", c.Instance, c.Database, ErrUnknown)
	}
	if m.Leaving.Zero() {
		return nil, fmt.Errorf("remove member %s of %s: it stays: %w", m.ID, d.Name, ErrStale)
	}
	if d.Interregnum() || d.Primary == c.Instance || d.IsAcker(c.Instance) {
		return nil, fmt.Errorf("remove member %s of %s: it reigns, acknowledges or an election is under way: %w", c.Instance, c.Database, ErrInvalid)
	}
	silent := c.Revision > 0 && c.Revision == d.Revision
	if d.IsArmed(m.ID) && m.Leaving.Code != MemberLost && !silent {
		return nil, fmt.Errorf("remove member %s of %s: it may still be acknowledging for a server that reigned: %w", m.ID, d.Name, ErrInvalid)
	}
	d.Removed = append(d.Removed, Removed{m.ID, m.Leaving})
	d.disarm(m.ID)
	d.Members = slices.DeleteFunc(d.Members, func(m Member) bool { return m.ID == c.Instance })
	return s.withDatabase(d), nil
}

// SetRotation takes a replica out of replicas.<db>.db (OutOf set) or puts it back (OutOf zero).
type SetRotation struct {
	Database DatabaseName `json:"database"`
	Instance InstanceID   `json:"instance"`
	OutOf    Cause        `json:"out_of_rotation,omitzero"`
}

// Urgent is true: a broken replica leaves every answer at once.
func (*SetRotation) Urgent() bool { return true }

// Apply returns ErrUnknown when there is no such member.
func (c *SetRotation) Apply(s *State) (*State, error) {
	d, err := s.reignOf(c.Database, "set rotation in")
	if err != nil {
		return nil, err
	}
	m, ok := d.Member(c.Instance)
	if !ok {
		return nil, fmt.Errorf("set rotation of %s in %s: %w", c.Instance, c.Database, ErrUnknown)
	}
	m.OutOf = c.OutOf
	d.setMember(m)
	return s.withDatabase(d), nil
}

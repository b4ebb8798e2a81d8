package registry

import (
	"cmp"
	"fmt"
	"slices"
)

// Revoke ends a reign: epoch Epoch begins and the primary's name is withdrawn. With To set it is a planned hand-over
// (closing), otherwise the ackers are fenced (fencing).
type Revoke struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"` // the new epoch: the present one plus 1
	To       InstanceID   `json:"to,omitempty"`
	// Winner is who was promoting and is given up: one that reigns by now keeps its reign. Empty where a reign is ended.
	Winner   InstanceID `json:"winner,omitempty"`
	Cause    Cause      `json:"cause"`
	AtMillis int64      `json:"at_ms"`
}

// Urgent is true: every millisecond of it is outage.
func (*Revoke) Urgent() bool { return true }

// Apply returns ErrStale unless Epoch is the next one and Winner, if named, is still promoting, and ErrInvalid where no reign
// can be ended.
func (c *Revoke) Apply(s *State) (*State, error) {
	d, err := s.reignOf(c.Database, "revoke")
	if err != nil {
		return nil, err
	}
	if c.Epoch != d.Epoch+1 {
		return nil, fmt.Errorf("revoke %s: epoch %d, present epoch is %d: %w", d.Name, c.Epoch, d.Epoch, ErrStale)
	}
	if err := c.check(d); err != nil {
		return nil, fmt.Errorf("revoke %s epoch %d: %w", d.Name, c.Epoch, err)
	}
	was := *d
	d.Epoch, d.Cause, d.To, d.Phase = c.Epoch, c.Cause, c.To, Fencing
	d.Primary, d.Base, d.NextAckers, d.NextK, d.Refusal = "", "", nil, 0, Cause{}
	switch was.Phase {
	case Serving:
		d.Former, d.Settled, d.Passed, d.Accepted = was.Primary, nil, nil, nil
		if c.To != "" {
			d.Phase = Closing
		}
	case Promoting:
		// Nothing was acknowledged in the epoch that ends here: its winner opens only after Establish. What
		// its Elect proved stays proved, unless that Elect had stopped nobody.
		if was.Proof != ProofKept {
			d.Settled = &Settled{Epoch: was.Epoch, Base: was.Base}
		}
		if i, known := slices.BinarySearch(d.Passed, was.Primary); was.CatchUp != nil && !known {
			d.Passed = slices.Insert(d.Passed, i, was.Primary)
		}
	}
	d.Proof, d.CatchUp, d.Change, d.Handover = "", nil, nil, nil
	d.Revision++
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: d.Former, Cause: c.Cause})
	return s.withDatabase(d), nil
}

func (c *Revoke) check(d *Database) error {
	if d.Phase == Closing || d.Phase == Fencing {
		return fmt.Errorf("phase %s is already between two reigns: %w", d.Phase, ErrStale)
	}
	if c.Winner != "" && (d.Phase != Promoting || d.Primary != c.Winner) {
		return fmt.Errorf("%s is given up, and %s is %s: %w", c.Winner, d.Primary, d.Phase, ErrStale)
	}
	if c.To == "" {
		return nil
	}
	if d.Phase != Serving {
		return fmt.Errorf("a planned hand-over needs a serving primary, phase is %s: %w", d.Phase, ErrInvalid)
	}
	return d.mayTake(c.To)
}

// Escalate turns a planned hand-over that does not come to an end into a fencing of the ackers.
type Escalate struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is true.
func (*Escalate) Urgent() bool { return true }

// Apply returns ErrStale unless the database is closing in this epoch.
func (c *Escalate) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "escalate", Closing)
	if err != nil {
		return nil, err
	}
	d.Phase, d.Cause = Fencing, c.Cause
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: d.Former, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// Proof says why no acknowledged transaction can be missing from the base of an Elect, and why the former primary can
// acknowledge no more.
type Proof string

// The proofs.
const (
	// ProofFormed: there was no reign before, and every expected member was heard.
	ProofFormed Proof = "formed"
	// ProofFenced: at least |A|-K+1 ackers with whole memories are fenced; Base is the union of their positions.
	ProofFenced Proof = "fenced"
	// ProofClosed: the former primary is closed, its memory is whole and Base is its position.
	ProofClosed Proof = "closed"
	// ProofSettled: an earlier Elect of this interregnum proved a base, and Base holds it.
	ProofSettled Proof = "settled"
	// ProofKept: the former primary keeps the reign; nobody was stopped, so nothing can be missing.
	ProofKept Proof = "kept"
)

// Elect names the winner of an epoch, the base it must reach and whose acknowledgements its marker needs.
type Elect struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	Winner   InstanceID   `json:"winner"`
	Base     string       `json:"base"`
	Ackers   []InstanceID `json:"ackers"` // sorted
	K        int          `json:"k"`
	Proof    Proof        `json:"proof"`
	Evidence []Evidence   `json:"evidence,omitempty"` // who was heard, sorted by instance
	CatchUp  *CatchUp     `json:"catch_up,omitempty"` // how the winner gets what it lacks; see Database.CatchUp
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is true.
func (*Elect) Urgent() bool { return true }

// Apply returns ErrStale unless the database is closing or fencing in this epoch, and ErrInvalid when the proof does
// not hold: the arithmetic of G1 and G2 is checked here whoever proposed.
func (c *Elect) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "elect", Closing, Fencing)
	if err != nil {
		return nil, err
	}
	if err := c.checkProof(d); err != nil {
		return nil, fmt.Errorf("elect %s in %s: proof %s: %w: %w", c.Winner, d.Name, c.Proof, err, ErrInvalid)
	}
	if err := c.win(d, s.index); err != nil {
		return nil, err
	}
	return s.withDatabase(d), nil
}

// win makes the winner of a proved election the winner in d, or says why it cannot be.
func (c *Elect) win(d *Database, at Index) error {
	if err := c.checkSets(d); err != nil {
		return fmt.Errorf("elect %s in %s: %w: %w", c.Winner, d.Name, err, ErrInvalid)
	}
	if err := c.checkEvidence(d); err != nil {
		return fmt.Errorf("elect %s in %s: %w: %w", c.Winner, d.Name, err, ErrInvalid)
	}
	if c.CatchUp != nil {
		if err := c.checkCatchUp(); err != nil {
			return fmt.Errorf("elect %s in %s: catch up from %q: %w: %w", c.Winner, d.Name, c.CatchUp.From, err, ErrInvalid)
		}
		u := *c.CatchUp
		d.CatchUp = &u
	}
	if d.Phase == Fencing {
		for _, e := range c.Evidence { // fenced or closed: it hears nobody any more
			d.disarm(e.Instance)
		}
	}
	for _, a := range c.Ackers {
		d.arm(a, c.Winner)
	}
	d.Phase, d.Primary, d.Base, d.Proof = Promoting, c.Winner, c.Base, c.Proof
	d.NextAckers, d.NextK = append([]InstanceID(nil), c.Ackers...), c.K
	d.Refusal = Cause{}
	d.record(Event{Index: at, AtMillis: c.AtMillis, Instance: c.Winner, Cause: c.Cause})
	return nil
}

func (c *Elect) checkSets(d *Database) error {
	if _, ok := d.Member(c.Winner); !ok {
		return fmt.Errorf("the winner is not a member")
	}
	if c.K < 0 || c.K > len(c.Ackers) || c.K == 0 && !d.mayReignAlone() {
		return fmt.Errorf("k = %d of %d ackers", c.K, len(c.Ackers))
	}
	if !slices.IsSorted(c.Ackers) || len(slices.Compact(slices.Clone(c.Ackers))) != len(c.Ackers) {
		return fmt.Errorf("ackers %v are not sorted and distinct", c.Ackers)
	}
	for _, a := range c.Ackers {
		if _, ok := d.Member(a); !ok || a == c.Winner {
			return fmt.Errorf("acker %q is the winner or not a member", a)
		}
	}
	return nil
}

// checkEvidence lets each member speak once, and nobody else: a proof counts voices.
func (c *Elect) checkEvidence(d *Database) error {
	for i, e := range c.Evidence {
		if i > 0 && e.Instance <= c.Evidence[i-1].Instance {
			return fmt.Errorf("evidence of %q is not sorted and distinct", e.Instance)
		}
		if _, ok := d.Member(e.Instance); !ok {
			return fmt.Errorf("evidence of %q, who is not a member", e.Instance)
		}
	}
	return nil
}

// checkCatchUp sees that somebody else was heard to hold what the winner is to get. A reign that is kept lacks nothing.
func (c *Elect) checkCatchUp() error {
	i, heard := slices.BinarySearchFunc(c.Evidence, c.CatchUp.From, func(e Evidence, id InstanceID) int { return cmp.Compare(e.Instance, id) })
	switch {
	case c.CatchUp.From == c.Winner || c.Proof == ProofKept:
		return fmt.Errorf("the winner cannot catch up from itself")
	case !heard || c.Evidence[i].Position != c.CatchUp.Until:
		return fmt.Errorf("it was not heard to hold what the winner is to get")
	}
	return nil
}

func (c *Elect) checkProof(d *Database) error {
	heard := map[InstanceID]Evidence{}
	for _, e := range c.Evidence {
		heard[e.Instance] = e
	}
	switch c.Proof {
	case ProofFormed:
		if d.Former != "" || len(d.Ackers) > 0 || len(heard) < d.Policy.Expect {
			return fmt.Errorf("%d of %d expected members heard, former primary %q", len(heard), d.Policy.Expect, d.Former)
		}
	case ProofFenced:
		whole := 0
		for _, a := range d.Ackers {
			if e, ok := heard[a]; ok && !e.Amnesiac {
				whole++
			}
		}
		if d.Phase != Fencing || d.Former == "" || whole < d.Need() || !d.IsLossless() {
			return fmt.Errorf("phase %s after a %s reign, %d fenced ackers with whole memories, need %d", d.Phase, d.Durability, whole, d.Need())
		}
	case ProofClosed:
		if e, ok := heard[d.Former]; !ok || e.Amnesiac || e.Position != c.Base {
			return fmt.Errorf("the former primary %q was not heard closed at the base with a whole memory", d.Former)
		}
	case ProofSettled:
		if d.Settled == nil {
			return fmt.Errorf("nothing is settled")
		}
	case ProofKept:
		if d.Phase != Closing || c.Winner != d.Former || c.K != d.K || !slices.Equal(c.Ackers, d.Ackers) {
			return fmt.Errorf("only a former primary in closing can be kept, with its own ackers")
		}
	default:
		return fmt.Errorf("no such proof")
	}
	return nil
}

// Establish begins the reign of the winner: its epoch marker was acknowledged by K ackers. Only now may it open.
type Establish struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is true: the name is published by it.
func (*Establish) Urgent() bool { return true }

// Apply returns ErrStale unless the database is promoting in this epoch. It takes the former primary out of rotation. Who may
// still be acknowledging for the winner from an earlier reign is an acker of this one: no fence may overlook it.
func (c *Establish) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "establish", Promoting)
	if err != nil {
		return nil, err
	}
	winner, _ := d.Member(d.Primary)
	if former, ok := d.Member(d.Former); ok && former.ID != winner.ID {
		d.setMember(former.unproven(fmt.Sprintf("it was primary until epoch %d and is not yet seen to follow %s", d.Epoch, winner.ID)))
	}
	d.establishDurability(winner.ID, d.Former, c.AtMillis)
	d.Phase, d.Former, d.To, d.Proof, d.CatchUp, d.Passed, d.Accepted = Serving, "", "", "", nil, nil, nil
	d.disarm(winner.ID)
	d.Ackers, d.K, d.NextAckers, d.NextK = d.withArmed(winner.ID, d.NextAckers), d.NextK, nil, 0
	d.Settled, d.Refusal = nil, Cause{}
	d.Reign = Reign{Base: d.Base, Source: winner.SourceKey()}
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: d.Primary, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// AddAcker lets a replica that has caught up acknowledge. It is committed before semi-sync is switched on there, so
// that a fence covers the replica from the first acknowledgement on (G1).
type AddAcker struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	Instance InstanceID   `json:"instance"`
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is false.
func (*AddAcker) Urgent() bool { return false }

// Apply returns ErrStale unless the database is serving in this epoch, ErrInvalid for the primary, a stranger or one
// who is an acker already.
func (c *AddAcker) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "add acker", Serving)
	if err != nil {
		return nil, err
	}
	if m, ok := d.Member(c.Instance); !ok || c.Instance == d.Primary || d.IsAcker(c.Instance) || !m.Leaving.Zero() {
		return nil, fmt.Errorf("add acker %s to %s: the primary, an acker already, leaving, or no member: %w", c.Instance, d.Name, ErrInvalid)
	}
	d.Ackers = append(d.Ackers, c.Instance)
	slices.Sort(d.Ackers)
	d.arm(c.Instance, d.Primary)
	d.Revision++
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: c.Instance, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// Refuse records why nothing is done although something is wrong, and how to unblock it; a zero Cause takes it back.
type Refuse struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	Cause    Cause        `json:"cause,omitzero"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is false.
func (*Refuse) Urgent() bool { return false }

// Apply returns ErrStale for another epoch.
func (c *Refuse) Apply(s *State) (*State, error) {
	d, err := s.reignOf(c.Database, "refuse")
	if err != nil {
		return nil, err
	}
	if d.Epoch != c.Epoch {
		return nil, fmt.Errorf("refuse in %s: epoch %d, present epoch is %d: %w", d.Name, c.Epoch, d.Epoch, ErrStale)
	}
	if !c.Cause.Zero() && c.Cause.Code != d.Refusal.Code {
		d.record(Event{Index: s.index, AtMillis: c.AtMillis, Cause: c.Cause})
	}
	d.Refusal = c.Cause
	return s.withDatabase(d), nil
}

// reignOf returns a copy of the database to change.
func (s *State) reignOf(name DatabaseName, what string) (*Database, error) {
	d, ok := s.Database(name)
	if !ok {
		return nil, fmt.Errorf("%s %s: %w", what, name, ErrUnknown)
	}
	return d.clone(), nil
}

// reignIn is reignOf where the epoch and one of the phases must match.
func (s *State) reignIn(name DatabaseName, e Epoch, what string, phases ...Phase) (*Database, error) {
	d, ok := s.Database(name)
	if !ok {
		return nil, fmt.Errorf("%s %s: %w", what, name, ErrUnknown)
	}
	if d.Epoch != e || !slices.Contains(phases, d.Phase) {
		return nil, fmt.Errorf("%s %s epoch %d: it is %s in epoch %d: %w", what, name, e, d.Phase, d.Epoch, ErrStale)
	}
	return d.clone(), nil
}

package registry

import (
	"fmt"
	"slices"
)

// WhenAlone is what a lossless database does when nobody is left to acknowledge.
type WhenAlone string

// The ways to be alone. Blocking loses nothing and answers nothing; degrading answers, and what it answers can be lost.
const (
	Block WhenAlone = "block"
	Yield WhenAlone = "degrade"
)

// Async reports whether commits are to wait for nobody, by policy.
func (p Policy) Async() bool { return p.Durability == Async }

// Degrades reports whether a primary that is left alone may go on.
func (p Policy) Degrades() bool { return !p.Async() && p.WhenAlone == Yield }

func (p Policy) validateDurability() error {
	switch p.Durability {
	case "", Lossless, Async:
	default:
		return fmt.Errorf("durability = %q: want lossless or async", p.Durability)
	}
	switch p.WhenAlone {
	case "", Block, Yield:
		return nil
	}
	return fmt.Errorf("when_alone = %q: want block or degrade", p.WhenAlone)
}

// Alone says since when commits wait for nobody.
type Alone struct {
	Epoch Epoch `json:"epoch"`
	// Position is what the primary was last heard to have then: everything up to it was acknowledged by others, or was its own
	// when it began alone. A GTID set.
	Position string `json:"position,omitempty"`
	AtMillis int64  `json:"at_ms"` // proposer's wall clock, for people only
	// Revision is the one with which a primary that was lossless before goes by a lease; 0: it began alone.
	Revision uint64 `json:"revision,omitempty"`
}

// Accepted is the word of an operator that acknowledged writes may be lost, until somebody reigns.
type Accepted struct {
	Epoch Epoch      `json:"epoch"`        // the one that the operator believed in
	To    InstanceID `json:"to,omitempty"` // the wanted winner; empty: who has most
	Cause Cause      `json:"cause"`        // who, and why
}

// Loss is what an election gave up.
type Loss struct {
	Epoch Epoch      `json:"epoch"`          // whose winner lacks it
	From  InstanceID `json:"from,omitempty"` // who may have answered it with OK
	// Known is the GTID set that is known to be lost; there may be more, which nobody was heard of.
	Known string `json:"known,omitempty"`
	Cause Cause  `json:"cause"`
}

// IsLossless reports whether every acknowledged commit of the last reign is on K ackers. Where it is false the reign
// stands on a lease (package promote/lease), and G2 is not promised.
func (d *Database) IsLossless() bool { return d.Durability != Degraded && d.Durability != Async }

// Degrade lets the commits of the present reign wait for nobody. It is committed before the server waits for nobody.
type Degrade struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	To       Durability   `json:"to"`                 // Degraded or Async, whichever the policy allows
	Position string       `json:"position,omitempty"` // of the primary, as it was last heard
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is true: clients wait for it.
func (*Degrade) Urgent() bool { return true }

// Apply returns ErrStale unless the database is serving in this epoch, ErrInvalid where the policy does not allow it or
// nothing would change. It ends a change of ackers, and a return to lossless that is under way.
func (c *Degrade) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "degrade", Serving)
	if err != nil {
		return nil, err
	}
	if d.Handover != nil {
		return nil, fmt.Errorf("degrade %s: a hand-over is being prepared: %w", d.Name, ErrStale)
	}
	allowed := c.To == Async && d.Policy.Async() || c.To == Degraded && d.Policy.Degrades()
	if again := d.Durability == c.To && d.Change == nil; !allowed || again {
		return nil, fmt.Errorf("degrade %s to %q: it is %s, and its policy says durability %q, when alone %q: %w",
			d.Name, c.To, d.Durability, d.Policy.Durability, d.Policy.WhenAlone, ErrInvalid)
	}
	if d.Alone == nil {
		d.Alone = &Alone{Epoch: d.Epoch, Position: c.Position, AtMillis: c.AtMillis}
	}
	d.Durability, d.Change, d.Refusal = c.To, nil, Cause{}
	d.Revision++
	d.Alone.Revision = d.Revision
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: d.Primary, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// Rearm begins the return to lossless: the server waits for K acknowledgements again, and has a commit acknowledged that
// begins after that. Everything that it has is then on K ackers; AdvanceChange makes the reign lossless.
type Rearm struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"`
	K        int          `json:"k"`
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is false.
func (*Rearm) Urgent() bool { return false }

// Apply returns ErrStale unless the database is serving in this epoch with no change under way, ErrInvalid where it is
// lossless, is to be async, or has fewer than K ackers.
func (c *Rearm) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "rearm", Serving)
	switch {
	case err != nil:
		return nil, err
	case d.Change != nil || d.Handover != nil:
		return nil, fmt.Errorf("rearm %s: a change is under way: %w", d.Name, ErrStale)
	case d.IsLossless() || d.Policy.Async() || c.K < 1 || c.K > len(d.Ackers):
		return nil, fmt.Errorf("rearm %s with %d of %d ackers: it is %s, policy %q: %w", d.Name, c.K, len(d.Ackers), d.Durability, d.Policy.Durability, ErrInvalid)
	}
	d.Change = &Change{K: c.K}
	d.Revision++
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: d.Primary, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// AcceptLoss is an operator's word that acknowledged writes may be lost, so that somebody can reign. It ends the present
// reign, if there is one. Only an election that lacks something makes use of it.
type AcceptLoss struct {
	Database DatabaseName `json:"database"`
	Epoch    Epoch        `json:"epoch"` // the present one, as the operator believes
	To       InstanceID   `json:"to,omitempty"`
	Cause    Cause        `json:"cause"` // who and why
	AtMillis int64        `json:"at_ms"`
}

// Urgent is true.
func (*AcceptLoss) Urgent() bool { return true }

// Apply returns ErrStale for another epoch than the present one, ErrInvalid before the first reign and for a winner who is
// no member, leaves or reigns.
func (c *AcceptLoss) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "accept data loss in", Serving, Closing, Fencing, Promoting)
	if err != nil {
		return nil, err
	}
	m, member := d.Member(c.To)
	if c.Cause.Zero() || !d.reigned() || c.To != "" && (!member || !m.Leaving.Zero() || d.Phase == Serving && c.To == d.Primary) {
		return nil, fmt.Errorf("accept data loss in %s in favour of %q: no reason, no reign before, or it is no replica that stays: %w", d.Name, c.To, ErrInvalid)
	}
	accepted := &Accepted{Epoch: c.Epoch, To: c.To, Cause: c.Cause}
	if d.Phase == Serving || d.Phase == Promoting {
		if s, err = (&Revoke{Database: c.Database, Epoch: c.Epoch + 1, Cause: c.Cause, AtMillis: c.AtMillis}).Apply(s); err != nil {
			return nil, err
		}
		d, _ = s.reignOf(c.Database, "accept data loss in")
		d.Accepted = accepted
		return s.withDatabase(d), nil
	}
	d.Phase, d.Accepted, d.Refusal = Fencing, accepted, Cause{}
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: c.To, Cause: c.Cause})
	return s.withDatabase(d), nil
}

// Proofs of a Forfeit: they prove that the former primary can acknowledge no more, and not that nothing is lost.
const (
	// ProofLapsed: the lease of an async reign has run out, or its primary is seen to be gone.
	ProofLapsed Proof = "lapsed"
	// ProofAccepted: an operator accepts the loss; a lease was waited out all the same.
	ProofAccepted Proof = "accepted"
)

// WritesLost is the code of the event of a Forfeit.
const WritesLost = "WritesLost"

// Forfeit is an Elect whose base may lack acknowledged writes. It is a command of its own, so that what can lose something
// is never mistaken for what cannot.
type Forfeit struct {
	Elect
	Lost string `json:"lost,omitempty"` // GTID set that is known to be lost; there may be more
}

// Apply returns ErrStale unless the database is fencing in this epoch, ErrInvalid where neither an async reign nor the word
// of an operator allows it, or where the winner was not heard to be fenced.
func (c *Forfeit) Apply(s *State) (*State, error) {
	d, err := s.reignIn(c.Database, c.Epoch, "forfeit in", Fencing)
	if err != nil {
		return nil, err
	}
	heard := slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return e.Instance == c.Winner })
	switch {
	case d.Former == "" || !heard:
		err = fmt.Errorf("there was no reign, or the winner was not heard")
	case c.Proof == ProofLapsed && d.Durability != Async:
		err = fmt.Errorf("the last reign was %s", d.Durability)
	case c.Proof == ProofAccepted && d.Accepted == nil:
		err = fmt.Errorf("no operator has accepted a loss")
	case c.Proof != ProofLapsed && c.Proof != ProofAccepted:
		err = fmt.Errorf("no such proof")
	}
	if err != nil {
		return nil, fmt.Errorf("forfeit in %s: proof %s: %w: %w", d.Name, c.Proof, err, ErrInvalid)
	}
	if err := c.win(d, s.index); err != nil {
		return nil, err
	}
	d.Loss = &Loss{Epoch: d.Epoch, From: d.Former, Known: c.Lost, Cause: c.Cause}
	lost := "known to be lost: nothing"
	if c.Lost != "" {
		lost = "known to be lost: " + c.Lost
	}
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Instance: d.Former, Cause: Cause{Code: WritesLost, Detail: lost + "; there may be more that nobody was heard of"}})
	return s.withDatabase(d), nil
}

// mayReignAlone reports whether a winner may begin without anybody who acknowledges.
func (d *Database) mayReignAlone() bool { return !d.IsLossless() || d.Accepted != nil }

// establishDurability decides what the commits of the reign that begins are worth. A reign that is kept goes on as it was.
func (d *Database) establishDurability(winner, former InstanceID, at int64) {
	switch {
	case d.Proof == ProofKept:
		return
	case d.NextK > 0:
		d.Durability, d.Alone = Lossless, nil
		return
	case d.Policy.Async():
		d.Durability = Async
	default:
		d.Durability = Degraded
	}
	if d.Alone == nil || winner != former {
		d.Alone = &Alone{Epoch: d.Epoch, Position: d.Base, AtMillis: at}
	}
}

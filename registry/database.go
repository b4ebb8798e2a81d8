package registry

import (
	"slices"
	"sort"
)

// historyLength bounds Database.History; older events fall off.
const historyLength = 100

// Database is the replicated truth about one database. Values inside a State are never changed in place.
type Database struct {
	Name   DatabaseName `json:"name"`
	Policy Policy       `json:"policy"`
	Epoch  Epoch        `json:"epoch"`
	Phase  Phase        `json:"phase"`
	// Primary acknowledges writes in serving, is the winner in promoting and empty otherwise.
	Primary InstanceID `json:"primary,omitempty"`
	// Former is the last established primary, in closing, fencing and promoting.
	Former InstanceID `json:"former,omitempty"`
	// To is the wanted winner of a planned hand-over.
	To InstanceID `json:"to,omitempty"`
	// Cause is why the present epoch began.
	Cause Cause `json:"cause,omitzero"`
	// SinceMillis is when the present phase began, by the proposer's wall clock, for people only.
	SinceMillis int64 `json:"since_ms,omitempty"`
	// Ackers (sorted) and K belong to the last established reign: a fence must cover |Ackers|-K+1 of them.
	Ackers []InstanceID `json:"ackers,omitempty"`
	K      int          `json:"k,omitempty"`
	// Revision grows with every step of a change of Ackers or K, and with every Revoke. A guard promises it together with
	// the epoch: one that has seen a change never acts on the state before it (G3).
	Revision uint64 `json:"revision,omitempty"`
	// Change is the ordered change of Ackers or K that is under way, in serving.
	Change *Change `json:"change,omitempty"`
	// Handover is the hand-over that is being prepared, in serving.
	Handover *Handover `json:"handover,omitempty"`
	// Armed (sorted) is who may be acknowledging for whom.
	Armed []Armed `json:"armed,omitempty"`
	// NextAckers and NextK are chosen by Elect and take effect with Establish.
	NextAckers []InstanceID `json:"next_ackers,omitempty"`
	NextK      int          `json:"next_k,omitempty"`
	// Base is the GTID set from which the reign of Primary starts.
	Base string `json:"base,omitempty"`
	// Settled is the base that an Elect of this interregnum proved to hold every acknowledged transaction. While
	// it is set the former primary is excluded already, and whoever wins must hold Settled.
	Settled *Settled `json:"settled,omitempty"`
	// Proof is how the Elect of this epoch was proved, in promoting.
	Proof Proof `json:"proof,omitempty"`
	// CatchUp is from whom the winner gets what it lacks of Base, in promoting; nil: it lacks nothing, or gets it
	// from the former primary, which closed at Base.
	CatchUp *CatchUp `json:"catch_up,omitempty"`
	// Passed (sorted) are winners of this interregnum that were to catch up and were lost on the way: others come first.
	Passed []InstanceID `json:"passed,omitempty"`
	// Reign is the base and the source of the last established reign: only Reign.Source wrote since Reign.Base,
	// so anything else on a member is errant.
	Reign Reign `json:"reign,omitzero"`
	// Durability is what an acknowledged commit of the last reign is worth, Alone since when it is not lossless.
	Durability Durability `json:"durability"`
	Alone      *Alone     `json:"alone,omitempty"`
	Accepted   *Accepted  `json:"accepted,omitempty"` // an operator accepts a loss, until somebody reigns
	Loss       *Loss      `json:"loss,omitempty"`     // the last one
	Members    []Member   `json:"members,omitempty"`  // sorted by ID
	Removed    []Removed  `json:"removed,omitempty"`  // who left and may not come back by itself
	// Refusal is why baton does nothing although something is wrong, and how to unblock it (G10).
	Refusal Cause   `json:"refusal,omitzero"`
	Pause   Pause   `json:"pause,omitzero"` // since when and why Policy.Paused is set
	History []Event `json:"history,omitempty"`
}

// CatchUp is the detour of a winner that lacks something of its base: it follows From, who was heard to hold Until, until
// it holds Until itself. Nobody else follows the winner before.
type CatchUp struct {
	From  InstanceID `json:"from"`
	Until string     `json:"until"` // GTID set: the base, and what else From holds, which would else be diverged for ever
}

// Settled is what an Elect proved; see Database.Settled.
type Settled struct {
	Epoch Epoch  `json:"epoch"`
	Base  string `json:"base"`
}

// Reign is the origin of a reign; see Database.Reign.
type Reign struct {
	Base   string `json:"base,omitempty"`
	Source string `json:"source,omitempty"` // Member.SourceKey of the primary
}

// Member returns the member with this id.
func (d *Database) Member(id InstanceID) (Member, bool) {
	i, ok := d.place(id)
	if !ok {
		return Member{}, false
	}
	return d.Members[i], true
}

// place is where in Members the one with this id is, or belongs.
func (d *Database) place(id InstanceID) (int, bool) {
	i := sort.Search(len(d.Members), func(i int) bool { return d.Members[i].ID >= id })
	return i, i < len(d.Members) && d.Members[i].ID == id
}

// IsAcker reports whether id's acknowledgement counts in the last established reign.
func (d *Database) IsAcker(id InstanceID) bool { return slices.Contains(d.Ackers, id) }

// Need is how many of Ackers must be fenced before the former primary can acknowledge nothing: |A|-K+1.
func (d *Database) Need() int { return len(d.Ackers) - d.K + 1 }

// Interregnum reports whether nobody reigns: the name is withdrawn and questions for it are held.
func (d *Database) Interregnum() bool {
	return d.Phase == Closing || d.Phase == Fencing || d.Phase == Promoting
}

// reigned reports whether there has been a primary: before the first one nobody is a replica of anything.
func (d *Database) reigned() bool { return d.Phase == Serving || d.Former != "" }

// clone copies d so that Apply can change the copy.
func (d *Database) clone() *Database {
	c := *d
	c.Ackers = slices.Clone(d.Ackers)
	c.NextAckers = slices.Clone(d.NextAckers)
	c.Members = slices.Clone(d.Members)
	c.History = slices.Clip(d.History) // record appends to a copy
	c.Passed, c.Armed, c.Removed = slices.Clone(d.Passed), slices.Clone(d.Armed), slices.Clone(d.Removed)
	c.Handover = d.Handover.clone()
	if d.Change != nil {
		x := *d.Change
		c.Change = &x
	}
	if d.Settled != nil {
		s := *d.Settled
		c.Settled = &s
	}
	if d.CatchUp != nil {
		u := *d.CatchUp
		c.CatchUp = &u
	}
	if d.Alone != nil {
		a := *d.Alone
		c.Alone = &a
	}
	return &c // Accepted and Loss are replaced, never changed
}

func (d *Database) setMember(m Member) {
	i, ok := d.place(m.ID)
	if ok {
		d.Members[i] = m
		return
	}
	d.Members = slices.Insert(d.Members, i, m)
}

// record adds e to the history, in the present epoch and phase.
func (d *Database) record(e Event) {
	e.Epoch, e.Phase = d.Epoch, d.Phase
	if n := len(d.History); n == 0 || d.History[n-1].Epoch != e.Epoch || d.History[n-1].Phase != e.Phase {
		d.SinceMillis = e.AtMillis
	}
	d.History = append(d.History, e)
	if over := len(d.History) - historyLength; over > 0 {
		d.History = slices.Delete(d.History, 0, over)
	}
}

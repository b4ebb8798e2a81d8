package registry

import (
	"fmt"
	"time"
)

// Pause is since when and why a database is left alone; zero where it is not, or where only its policy says so.
type Pause struct {
	AtMillis int64 `json:"at_ms"` // proposer's wall clock, for people only
	Cause    Cause `json:"cause"` // who paused it, and why
}

// String is "PAUSED since 2026-11-20T10:00:00Z by ...".
func (p Pause) String() string {
	if p == (Pause{}) {
		return "PAUSED by its policy"
	}
	return fmt.Sprintf("PAUSED since %s %s", time.UnixMilli(p.AtMillis).UTC().Format(time.RFC3339), p.Cause.Detail)
}

// The codes of a pause and of its end in a history.
const (
	DatabasePaused  = "DatabasePaused"
	DatabaseResumed = "DatabaseResumed"
)

// SetPause pauses a database, or resumes it: while it is paused no failover and no hand-over begins. What is under way is
// brought to its end.
type SetPause struct {
	Database DatabaseName `json:"database"`
	Paused   bool         `json:"paused"`
	Cause    Cause        `json:"cause"`
	AtMillis int64        `json:"at_ms"`
}

// Urgent is false: people wait for seconds.
func (*SetPause) Urgent() bool { return false }

// Apply returns ErrUnknown for an unknown database.
func (c *SetPause) Apply(s *State) (*State, error) {
	d, ok := s.Database(c.Database)
	if !ok {
		return nil, fmt.Errorf("pause or resume %s: %w", c.Database, ErrUnknown)
	}
	d = d.clone()
	d.Policy.Paused, d.Pause = c.Paused, Pause{}
	if c.Paused {
		d.Pause = Pause{AtMillis: c.AtMillis, Cause: c.Cause}
	}
	d.record(Event{Index: s.index, AtMillis: c.AtMillis, Cause: c.Cause})
	return s.withDatabase(d), nil
}

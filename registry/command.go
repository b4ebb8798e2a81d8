package registry

import "errors"

// Command is one decision. Apply is pure: the same command on the same state gives the same result everywhere, and a
// refused command gives an error and no state. Package codec numbers the kinds for the wire and the disk.
type Command interface {
	Apply(*State) (*State, error)
	// Urgent commands are made visible on every server at once instead of with the next message of the leader.
	Urgent() bool
}

// ErrStale is returned by Apply when the world has moved on since the command was made: another epoch, another phase.
var ErrStale = errors.New("stale")

// ErrInvalid is returned by Apply for a command that breaks a rule in any state.
var ErrInvalid = errors.New("invalid")

// ErrUnknown is returned for an encoding, a kind or a thing that this state does not know.
var ErrUnknown = errors.New("unknown")

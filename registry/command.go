package registry

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Command is one decision. Apply is pure: the same command on the same state gives the same result everywhere, and a
// refused command gives an error and no state.
type Command interface {
	Apply(*State) (*State, error)
	// Urgent commands are made visible on every server at once instead of with the next message of the leader.
	Urgent() bool
	kind() kind
}

// ErrStale is returned by Apply when the world has moved on since the command was made: another epoch, another phase.
var ErrStale = errors.New("stale")

// ErrInvalid is returned by Apply for a command that breaks a rule in any state.
var ErrInvalid = errors.New("invalid")

// ErrUnknown is returned for an encoding, a kind or a thing that this state does not know.
var ErrUnknown = errors.New("unknown")

// kind is the number of a command on the wire and on disk; numbers are never reused.
type kind uint16

const (
	kindPutNode          kind = 1
	kindRemoveNode       kind = 2
	kindPutService       kind = 3
	kindRemoveService    kind = 4
	kindSetServiceHealth kind = 5
	kindPutDatabase      kind = 16
	kindPutMember        kind = 17
	kindRemoveMember     kind = 18
	kindSetRotation      kind = 19
	kindRevoke           kind = 32
	kindEscalate         kind = 33
	kindElect            kind = 34
	kindEstablish        kind = 35
	kindAddAcker         kind = 36
	kindRefuse           kind = 37
)

// kinds makes an empty command of each kind.
var kinds = map[kind]func() Command{
	kindPutNode:          func() Command { return &PutNode{} },
	kindRemoveNode:       func() Command { return &RemoveNode{} },
	kindPutService:       func() Command { return &PutService{} },
	kindRemoveService:    func() Command { return &RemoveService{} },
	kindSetServiceHealth: func() Command { return &SetServiceHealth{} },
	kindPutDatabase:      func() Command { return &PutDatabase{} },
	kindPutMember:        func() Command { return &PutMember{} },
	kindRemoveMember:     func() Command { return &RemoveMember{} },
	kindSetRotation:      func() Command { return &SetRotation{} },
	kindRevoke:           func() Command { return &Revoke{} },
	kindEscalate:         func() Command { return &Escalate{} },
	kindElect:            func() Command { return &Elect{} },
	kindEstablish:        func() Command { return &Establish{} },
	kindAddAcker:         func() Command { return &AddAcker{} },
	kindRefuse:           func() Command { return &Refuse{} },
}

// commandVersion is the first byte of an encoded command.
const commandVersion = 1

// MaxCommand is the largest encoded command in bytes.
const MaxCommand = 1 << 20

// Encode returns the bytes of c: version, kind (big endian), JSON.
func Encode(c Command) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", c, err)
	}
	b := binary.BigEndian.AppendUint16([]byte{commandVersion}, uint16(c.kind()))
	b = append(b, body...)
	if len(b) > MaxCommand {
		return nil, fmt.Errorf("encode %T: %d bytes, at most %d: %w", c, len(b), MaxCommand, ErrInvalid)
	}
	return b, nil
}

// Decode reads what Encode wrote. Unknown versions, kinds and fields are errors: a server that cannot read a decision
// must stop rather than skip it.
func Decode(b []byte) (Command, error) {
	if len(b) < 3 || b[0] != commandVersion {
		return nil, fmt.Errorf("decode command: %w", versionError(b, commandVersion))
	}
	k := kind(binary.BigEndian.Uint16(b[1:3]))
	empty, ok := kinds[k]
	if !ok {
		return nil, fmt.Errorf("decode command: kind %d: %w", k, ErrUnknown)
	}
	c := empty()
	if err := strictJSON(b[3:], c); err != nil {
		return nil, fmt.Errorf("decode %T: %w", c, err)
	}
	return c, nil
}

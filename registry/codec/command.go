package codec

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/baton-db/baton/registry"
)

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
	kindSetPause         kind = 20
	kindRevoke           kind = 32
	kindEscalate         kind = 33
	kindElect            kind = 34
	kindEstablish        kind = 35
	kindAddAcker         kind = 36
	kindRefuse           kind = 37
	kindLeave            kind = 38
	kindChangeAckers     kind = 39
	kindAdvanceChange    kind = 40
	kindPrepare          kind = 41
	kindRejoin           kind = 48
	kindDegrade          kind = 50
	kindRearm            kind = 51
	kindAcceptLoss       kind = 52
	kindForfeit          kind = 53
)

// kinds makes an empty command of each kind.
var kinds = map[kind]func() registry.Command{
	kindPutNode:          func() registry.Command { return &registry.PutNode{} },
	kindRemoveNode:       func() registry.Command { return &registry.RemoveNode{} },
	kindPutService:       func() registry.Command { return &registry.PutService{} },
	kindRemoveService:    func() registry.Command { return &registry.RemoveService{} },
	kindSetServiceHealth: func() registry.Command { return &registry.SetServiceHealth{} },
	kindPutDatabase:      func() registry.Command { return &registry.PutDatabase{} },
	kindPutMember:        func() registry.Command { return &registry.PutMember{} },
	kindRemoveMember:     func() registry.Command { return &registry.RemoveMember{} },
	kindSetRotation:      func() registry.Command { return &registry.SetRotation{} },
	kindSetPause:         func() registry.Command { return &registry.SetPause{} },
	kindRevoke:           func() registry.Command { return &registry.Revoke{} },
	kindEscalate:         func() registry.Command { return &registry.Escalate{} },
	kindElect:            func() registry.Command { return &registry.Elect{} },
	kindEstablish:        func() registry.Command { return &registry.Establish{} },
	kindAddAcker:         func() registry.Command { return &registry.AddAcker{} },
	kindRefuse:           func() registry.Command { return &registry.Refuse{} },
	kindLeave:            func() registry.Command { return &registry.Leave{} },
	kindChangeAckers:     func() registry.Command { return &registry.ChangeAckers{} },
	kindAdvanceChange:    func() registry.Command { return &registry.AdvanceChange{} },
	kindPrepare:          func() registry.Command { return &registry.Prepare{} },
	kindRejoin:           func() registry.Command { return &registry.Rejoin{} },
	kindDegrade:          func() registry.Command { return &registry.Degrade{} },
	kindRearm:            func() registry.Command { return &registry.Rearm{} },
	kindAcceptLoss:       func() registry.Command { return &registry.AcceptLoss{} },
	kindForfeit:          func() registry.Command { return &registry.Forfeit{} },
}

// kindOf is the number of c.
func kindOf(c registry.Command) (kind, bool) {
	t := reflect.TypeOf(c)
	for k, empty := range kinds {
		if reflect.TypeOf(empty()) == t {
			return k, true
		}
	}
	return 0, false
}

// commandVersion is the first byte of an encoded command.
const commandVersion = 1

// MaxCommand is the largest encoded command in bytes.
const MaxCommand = 1 << 20

// Encode returns the bytes of c: version, kind (big endian), JSON.
func Encode(c registry.Command) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", c, err)
	}
	k, ok := kindOf(c)
	if !ok {
		return nil, fmt.Errorf("encode %T: it has no number: %w", c, registry.ErrUnknown)
	}
	b := binary.BigEndian.AppendUint16([]byte{commandVersion}, uint16(k))
	b = append(b, body...)
	if len(b) > MaxCommand {
		return nil, fmt.Errorf("encode %T: %d bytes, at most %d: %w", c, len(b), MaxCommand, registry.ErrInvalid)
	}
	return b, nil
}

// Decode reads what Encode wrote. Unknown versions, kinds and fields are errors: a server that cannot read a decision
// must stop rather than skip it.
func Decode(b []byte) (registry.Command, error) {
	if len(b) < 3 || b[0] != commandVersion {
		return nil, fmt.Errorf("decode command: %w", versionError(b, commandVersion))
	}
	k := kind(binary.BigEndian.Uint16(b[1:3]))
	empty, ok := kinds[k]
	if !ok {
		return nil, fmt.Errorf("decode command: kind %d: %w", k, registry.ErrUnknown)
	}
	c := empty()
	if err := strictJSON(b[3:], c); err != nil {
		return nil, fmt.Errorf("decode %T: %w", c, err)
	}
	return c, nil
}

package discovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// Meta is what a node tells the others about itself. Together at most about 460 bytes.
type Meta struct {
	API     string // "host:port" of its API
	Role    string // "server" or "client"
	Zone    string // where it stands; may be empty
	Version string // of baton
}

// life is a random number that a node draws at each start. It tells the news of one life from that of the next.
type life uint64

// The format of metadata and of notices, in their first byte. A node that meets another version ignores the metadata or
// the notice, never the member.
const wireVersion = 1

// metaMax is the library's limit.
const metaMax = 512

var errTruncated = errors.New("truncated")

// encode writes: version, life (8 bytes, big endian), then API, role, zone, version and padding, each with a uvarint length
// before.
func (m Meta) encode(name string, l life) ([]byte, error) {
	b := []byte{wireVersion}
	b = binary.BigEndian.AppendUint64(b, uint64(l))
	for _, s := range []string{m.API, m.Role, m.Zone, m.Version, string(make([]byte, padding(name)))} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if len(b) > metaMax {
		return nil, fmt.Errorf("the node's metadata takes %d bytes, more than the %d that fit: shorten the zone or the API address",
			len(b), metaMax)
	}
	return b, nil
}

// padding makes the metadata of similar nodes differ in length. memberlist 0.7.0 drops a piece of news from its queue when
// another of exactly the same length comes at the wrong moment (its pull request 263, open since 2022). If that is a
// node's word that it is alive after all, others take it for failed; measured: once in some thousand freezes of 300 ms, in
// clusters whose names and metadata all had one length. Names that differ in the last character get different paddings.
func padding(name string) uint32 {
	const most = 32
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum32() % most
}

func decodeMeta(b []byte) (Meta, life, error) {
	if len(b) > metaMax {
		return Meta{}, 0, fmt.Errorf("metadata of %d bytes", len(b))
	}
	l, b, err := decodeHead(b)
	if err != nil {
		return Meta{}, 0, fmt.Errorf("metadata: %w", err)
	}
	var m Meta
	var padding string
	for _, field := range []*string{&m.API, &m.Role, &m.Zone, &m.Version, &padding} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return Meta{}, 0, fmt.Errorf("metadata: %w", errTruncated)
		}
		*field, b = string(b[n:n+int(size)]), b[n+int(size):]
	}
	if len(b) != 0 {
		return Meta{}, 0, fmt.Errorf("metadata: %d bytes left over", len(b))
	}
	return m, l, nil
}

// A notice is a message among Gossips that memberlist carries: version, life, kind, and the node's name.
const noticeLeave = 1

func encodeLeave(name string, l life) []byte {
	b := []byte{wireVersion}
	b = binary.BigEndian.AppendUint64(b, uint64(l))
	b = append(b, noticeLeave)
	return append(b, name...)
}

func decodeLeave(b []byte) (name string, l life, err error) {
	l, b, err = decodeHead(b)
	if err != nil {
		return "", 0, fmt.Errorf("notice: %w", err)
	}
	if len(b) == 0 {
		return "", 0, fmt.Errorf("notice: %w", errTruncated)
	}
	if b[0] != noticeLeave {
		return "", 0, fmt.Errorf("notice of unknown kind %d", b[0])
	}
	if name = string(b[1:]); !validName(name) {
		return "", 0, fmt.Errorf("notice about %.80q, which is no name", name)
	}
	return name, l, nil
}

func decodeHead(b []byte) (life, []byte, error) {
	if len(b) < 9 {
		return 0, nil, errTruncated
	}
	if b[0] != wireVersion {
		return 0, nil, fmt.Errorf("unknown version %d", b[0])
	}
	return life(binary.BigEndian.Uint64(b[1:9])), b[9:], nil
}

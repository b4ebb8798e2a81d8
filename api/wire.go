package api

import (
	"strconv"

	"github.com/baton-db/baton/registry"
)

// MaxBody is the largest body of a request in bytes, the report stream apart.
const MaxBody = 1 << 20

// The headers of this API.
const (
	HeaderIndex       = "X-Baton-Index"        // of the state behind the answer
	HeaderLeader      = "X-Baton-Known-Leader" // of the server that answered a ?stale read
	HeaderContact     = "X-Baton-Last-Contact" // milliseconds since that server heard the leader
	HeaderForwardedBy = "X-Baton-Forwarded-By" // the server that forwarded the request; it goes no further
	HeaderPeer        = "X-Baton-Peer"         // on whose behalf a server forwarded it: role/name
)

// The media types that are not JSON.
const (
	CommandType = "application/vnd.baton.command" // one command as codec.Encode wrote it
	FramesType  = "application/vnd.baton.frames"  // the state stream
	ReportsType = "application/x-ndjson"          // a health.Report per line
)

// IndexText is an index as headers and queries hold it.
func IndexText(i registry.Index) string { return strconv.FormatUint(uint64(i), 10) }

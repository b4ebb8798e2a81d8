// Package api is the door: what goes over the wire, the client, the state stream that client nodes follow, reports from
// agents. Package server below it answers.
//
//	Client ------ GET, POST /v1/... ----------> server.Server --State, Barrier, Propose--> Backend
//	Follower <--- GET /v1/state/stream -------- server.Server
//	Reporter ---- POST /v1/reports -----------> every server.Server
//
// # Requests
//
// Everything is under /v1 and is one line of server.Routes, from which the mux, the authorization and the documentation are
// made. Bodies are JSON with snake_case names, at most MaxBody bytes, and are read strictly: unknown fields, duplicate
// keys, deep nesting and trailing bytes are errors that say at which byte. Errors are application/problem+json
// (RFC 9457) with a stable code and a hint; see Problem. A GET never changes anything.
//
// # Reads (G9)
//
// A read goes to the leader (any server forwards it, once) and through the log: it contains every write that was
// acknowledged before it began. With ?stale any server answers from its own state and says how old that may be, in
// X-Baton-Last-Contact (milliseconds since it heard the leader) and X-Baton-Known-Leader. X-Baton-Index is the index
// of the state behind every answer. Without a leader a default read is refused, never served stale in silence.
//
// A forwarded request carries X-Baton-Forwarded-By and is never forwarded again: while servers disagree about who
// leads, the answer is 503 with Retry-After, not a loop. X-Baton-Peer names on whose behalf it comes; it is believed
// from servers only.
//
// # The state stream
//
// A stream is a sequence of frames, each a big-endian uint32 length and then a version byte, a kind byte and
//
//	index    uint64  the state's index once this frame is applied; in a keepalive the server's own
//	contact  uint32  milliseconds since the server heard the leader, 0 on the leader
//	payload  snapshot:  an encoded registry.State
//	         commands:  uint64 index before the first command, then index uint64, length uint32, encoded command, ...
//	         keepalive: nothing
//
// A stream begins with a snapshot, or with ?index=N where the server still holds every command after N, with what
// follows N. A client that is slow skips to what is newest then; nobody waits for it. The chain of indexes is checked:
// a frame that does not begin where the follower stands is an error and the follower starts again from a snapshot.
//
// # Reports
//
// POST /v1/reports is one request whose body never ends: a health.Report per line (NDJSON), flushed line by line,
// because these lines carry failure detection. Unknown fields in a report are ignored, unlike everywhere else: a report is
// an observation, and a server that refused those of a newer agent would take a live database for a silent one during
// an upgrade. A node reports only of itself.
//
// # Decisions
//
//   - HTTP/2 only between nodes, with pings every second: a stream notices within two seconds that the other end is
//     gone, without a deadline of its own, and all streams to one server share one connection.
//   - A proposal is repeated at another address only when it certainly was not received (dial error, or a 503 whose
//     code says that nothing was proposed). Everything else is ErrInDoubt: look before asking again.
package api

// Package server answers the API: it reads a Backend, refuses what must not be asked for, and hands commands to the log.
//
// It decides nothing. A request passes through one function (answer): who is it (Config.Identify), may it (Authorize), which
// server answers (Place), then its route. Errors of any kind become an api.Problem in one place (refuse).
//
// Decisions:
//   - Who the peer is comes from the TLS state of the request, not from a hook at accept: the handshake need not be over
//     then. A server that forwards a request vouches for its sender in api.HeaderPeer; both servers check permission.
//   - Reports are bound to the node that sends them and to the node that the instance is registered on, because they carry
//     promises and fenced positions (G1, G3).
//   - Each stream has its own goroutine, its own place in the log and a deadline for each frame it writes. Nothing waits
//     for a stream, and a change is encoded once for all that stand at the same index.
//   - A switchover is refused while the database is paused, although nothing else would stop it: paused means that roles
//     stay.
package server

// Package raft keeps the same registry on every server and says who leads.
//
// A Replica is one server's part. Propose commits a command on the leader; every server applies committed commands in the
// same order to an immutable *registry.State and publishes it. The consensus is hashicorp/raft v1.8.0, which nobody outside
// this room sees; the log, the term and the vote are kept by the package raftlog below it.
//
// # What a caller may rely on
//
//   - Propose returns an index only when the command is committed and applied here. ErrNotLeader means that nothing was
//     proposed, ErrUncertain that nobody knows yet, any other error is the command's own refusal.
//   - State never goes back (G6), also not when a snapshot arrives that is older than what was applied.
//   - After Open, State holds everything this server knew to be committed, before it has heard anybody (G7). An urgent
//     command is known on every server that has stored the empty entry behind it.
//   - Barrier makes State on the leader as new as any earlier read (G9). Leading is an observation and proves nothing: a
//     leader that was paused finds out late. What acts is a committed command with its epoch (G4).
//   - A server whose disk fails, or whose log holds what it cannot read, stops taking part and says so once through
//     Failed. State goes on answering (G7); the process should end.
//   - A server never votes or leads from a directory that is damaged, emptied, restored from an older copy or somebody
//     else's. The error of Open says what to do.
//
// # Where this differs from the vendor
//
//   - No fast path for heartbeats, silence while the own disk is stalled, and entries held for servers that do not answer:
//     see transport. Heartbeats wait behind the disk of a follower, so the timeouts in LAN are far above a healthy sync.
//   - Commit indexes are staged through the vendor, but what they allow to apply at a start is applied by Open: the
//     vendor's RestoreCommittedLogs skips the configuration entries it replays and so loses the peers of a server without
//     a snapshot, and it fills a queue that nobody empties yet, which hangs after 128 full batches.
//   - An error of the store ends the vendor's goroutine instead of the process: see haltingStore.
//   - Futures of leadership transfers are not waited for: they get no answer when the vendor stops meanwhile. Only the first
//     Shutdown waits, so it is called once.
//   - No pipeline of AppendEntries: one call to each follower at a time, sync included.
//
// # Not done here
//
// Who may connect is decided by the StreamLayer; whoever gets through is trusted as a server. A message is bounded by the
// 1 MiB of a command times the 64 entries of a batch, on the sending side only. A copy of the whole data directory,
// certificate included, cannot be told from the original by looking at it.
package raft

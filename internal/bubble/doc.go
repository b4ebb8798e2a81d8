// Package bubble runs whole nodes of baton in simulated time, and holds the guarantees against what they do. It has tests only.
//
// Each test is a testing/synctest bubble: agents as the program makes them, with real Raft, real gossip, real TLS and
// real HTTP/2 over internal/simnet, the real checker, guard, leader and hosts files. Time goes on when nobody has anything
// left to do, so that a minute of a cluster takes about a second, a partition strikes at the very moment that is wanted, and
// nothing depends on how busy the machine is.
//
// # What is not real, and why
//
//   - The network: a socket has no simulated time. DNS is off, for it has sockets only; names are read where DNS reads
//     them, and in the hosts files.
//   - The database servers: mysqld cannot live in simulated time. They are those of internal/mysqldtest, which has the
//     quirks of both families that were measured. Replication takes 200 microseconds, however much there is of it. A cut in
//     one direction stops replication in both, as TCP would, and a receiver notices at once; it still takes the silence of
//     500 ms before that means anything.
//   - A rewind or a clone of a server that has diverged: a model has no files. Such a server stays out.
//   - The file systems are real, and take no simulated time. A machine whose disk hangs is for raft's tests and for chaos.
//   - The death of a process. Its goroutines cannot be killed: from that moment on it reaches nobody, neither the
//     network nor its database server, and then it is stopped in good order. A freeze cannot be had either; a node that is
//     cut off both ways for a while and believes all the time that it leads is what matters of it, and is harsher.
//
// # What is looked at
//
// A writer at each node writes to where the name points there, if the network lets it. Every acknowledged write is
// remembered, and every state that any node has is seen at the moment it has it:
//
//   - G1: nobody acknowledges what the last established primary does not have.
//   - G2: whoever is established has everything that was ever acknowledged.
//   - G6: no node's state, hosts file or primary name goes back to an older epoch; a primary name has one address or
//     none, and never one of an older reign.
//   - G7: without a majority no epoch begins.
//   - Liveness: after healing writes are acknowledged within a bound of simulated time, and all nodes show the same name.
//
// Only order is random here: what happens at one moment of simulated time is ordered by Go's scheduler. internal/sim plays
// the decisions by the million and to the letter; this is for what lies between them: connections, streams, terms, the
// order in which a node is put together.
package bubble

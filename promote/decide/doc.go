// Package decide chooses who is primary: from a database's state and the newest reports it names the next command.
//
// Decide is pure, and remembers nothing: any leader continues a failover by looking (G5). Leader runs it for every
// database while this server leads, and is the only part that knows a clock. What is proved here is the arithmetic of
// package promote's comment; registry.Apply checks it again, whoever proposed.
//
//	health.Board.View + registry.State --Decide--> registry.Command --> raft
//
// # Situations
//
// Each failure has a name, used as the code of a registry.Cause, in records, metrics and tests: see situation.go.
// Load, a full connection table, one observer's opinion or a dead agent beside a live mysqld are no failures. A mysqld that was
// closed while its agent is dead is one (PrimaryClosed): it says so to its replicas, and nobody is there to open it.
package decide

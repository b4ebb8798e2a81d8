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
//
// # How long a failure takes to be believed
//
// A pause of one second, of a server, of an agent or of a whole host, must not end a reign, and writers may wait 1.5 s for the
// next one. So every threshold counts what is certain: from the first sign that something stands still, never from the last that
// it went on. Then looks may be rare, and a pause of a second is still never taken for a longer one; what rare looks cost is
// time. In milliseconds, from the fault to the Revoke; the election that follows takes 60 to 200 on a machine at rest:
//
//	                      first sign              threshold       its news            believed after
//	process ended         at once (pidfd)         none            0 to 5              5
//	server stopped        0 to 125 (process)      1100 Frozen     0 to 25 (report)    1100 to 1250
//	host silent           0 to 125 (last report)  1250 Silence    0 to 50 (tick)      1125 to 1300
//	disk hangs or full    0 to 250 (canary)       1000 Stalled    0 to 25 (report)    1000 to 1275
//	answers nothing, runs 0 to 250 (question)     3000 Hung       0 to 25 (report)    3000 to 3275
//	commits nothing       0 to 250 (canary)       3000 Stuck      0 to 25 (report)    3000 to 3275
//
// Silence is counted from the last report, which is up to 125 ms older than the fault: 1250 leaves 125 for an agent that goes on
// after a second. Ackers have heard nothing for 800 ms by then, of which Deaf asks 500.
//
// What is slow is told from what stands still by what the machine itself says. A process that is stopped cannot be busy: the
// kernel says so, and says within 25 ms that it goes on. An overloaded one runs, and is given 3 s. A disk that hangs holds one
// thread of the server in one wait that does not end, while nothing at all is committed; on an overloaded disk each wait ends,
// and positions go on. A full one says that it is. What an agent or a server has slept through itself it does not count (see package
// health), and a probe that is answered outweighs those that fail within the second after it, because lost packets look like
// silence and never like an answer.
package decide

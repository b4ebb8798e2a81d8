// Package mysqldtest is a replication group made of memory, with MySQL's and MariaDB's real quirks.
//
// A Group has no time and no goroutines: every transaction moves by explicit steps, so a test decides the order of
// everything and can repeat it.
//
//	Commit (an application writes) -> Deliver (a receiver fetches) -> Ack (the source hears of it) -> Apply (a replica commits)
//
// A Server has the verbs that promote asks for and an Observer beside it. A verb that would have to wait returns ErrWaits
// and is called again; what it has begun goes on meanwhile. All methods may be called from any goroutine.
//
// # The quirks
//
//   - AFTER_SYNC: a transaction is in the source's binary log, and sent to replicas, before K of them have acknowledged it;
//     only then it is committed and its client answered. Commits are answered in order.
//   - A replica acknowledges what it has received, before it has applied it.
//   - Kill -9 keeps what is in the binary log: after the restart unacknowledged transactions are committed and visible.
//   - A restarted server takes no writes, follows nobody, waits for no acknowledgements and gives none.
//   - A restart loses received, unapplied transactions: always on MariaDB, with relay_log_recovery on MySQL.
//   - MariaDB loses them too as soon as a thread starts while both are stopped.
//   - MySQL leaves a waiting transaction out of gtid_executed, MariaDB has it in gtid_binlog_state.
//   - MySQL sends by GTID set: a replica with transactions of its own joins silently and stays different. MariaDB sends
//     from a position, and refuses a replica whose last transaction it does not have.
//   - MySQL's fence points the receiver at a host that does not exist, and outlives START REPLICA by hand. MariaDB's does
//     not.
//   - A stopped process answers nothing and keeps its connections; a thaw goes on where it was.
//   - Turning semi-sync off answers waiting clients with OK. A server that is made a replica while commits wait refuses.
package mysqldtest

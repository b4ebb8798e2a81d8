// Package mysqld says to one MySQL or MariaDB server the few things baton needs, and reads its status.
//
// A Server is the one on this machine, reached by its unix socket. It offers verbs: each does one thing, is bounded in
// time, may be repeated, and refuses where it would lose something. Which verb is due is for the guard to know; nothing
// here decides. GTIDSet (mysqld/gtid) is the algebra of positions, Process the server's process, Probe the look at another machine's
// server.
//
// # What must not be broken
//
// Received and not applied. A replica may be the only holder of a transaction that it acknowledged, and both families throw
// such transactions away easily. MySQL keeps its relay log over a change of source only while the applier runs, so the
// applier is made to run first, and what was received is compared before and after. MariaDB deletes it when a thread
// starts while neither runs, so there the applier is started before the receiver stops, everything is applied before both
// stop, and a server that is found with both stopped is left so (ErrApplierStopped).
// A part of a transaction is in no position and was never acknowledged: MySQL waits a minute for its rest, so the thread that
// waits is killed once everything else is applied.
//
// Closed. Only a CloseWrites that returned nil proves that nothing commits any more. The variable read_only is ON already
// while the statement that sets it waits for a commit, and it goes back to OFF when that statement fails.
//
// Acknowledged. Turning the semi-sync source side off answers OK to every commit that waits. So it happens only after a
// completed CloseWrites (Follow) or by a committed decision (RequireAcks). A marker is written so that it always changes
// its row: an unchanged one would write no event and be acknowledged by nobody.
//
// Stray statements. A statement whose context ends goes on in the server. CloseWrites and Mark kill what they leave behind;
// a canary goes on and is waited for by the next one.
//
// # Commits that wait for ever
//
// A replica acknowledges only while it receives. An event that it received with semi-sync off, or whose acknowledgement
// was lost with the connection, is not sent to it again, and the commit on the source waits although the replica has it
// (measured on MySQL 9.7.4 and MariaDB 10.11.19). The acknowledgement of a later event covers it. So a waiting canary or
// marker is followed by another as soon as enough ackers are connected. MariaDB writes no third group of commits while two
// wait; see ReleaseHeld. Follow sets the replica side before it starts the receiver.
//
// # Connections
//
// Status, verbs, markers, canaries and the rest use a connection each, dialed at first use, for markers by Preflight: a
// statement that hangs holds up nothing of another kind. After a connection was lost, what the server offers is looked at again, because it may be
// another version then.
//
// # Accounts
//
// On MySQL, baton's account needs REPLICATION CLIENT, PROCESS, RELOAD, REPLICATION_SLAVE_ADMIN, CONNECTION_ADMIN,
// SYSTEM_VARIABLES_ADMIN and SYSTEM_USER on *.*, and SELECT on performance_schema.replication_connection_status and, to name who holds a lock, on
// performance_schema.metadata_locks. On MariaDB it needs SLAVE
// MONITOR, BINLOG MONITOR, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, PROCESS
// and RELOAD. On both it needs SELECT, INSERT and UPDATE on baton.epoch and baton.canary (Tables). The account of
// replication needs REPLICATION SLAVE and nothing else.
package mysqld

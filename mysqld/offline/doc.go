// Package offline takes back what a dead server had written and not committed.
//
// A commit that waits for an acknowledgement is in the binary log and only prepared in the engine. A server that is started
// again after a crash commits it: then it is in the tables, and nothing but a fresh copy takes it out. Before that start it
// can be taken back, and each family has its own way:
//
//	MySQL    Cut takes the end of the last binary log away. The engine rolls back what it has prepared and no log has.
//	         A transaction that was committed nonetheless keeps its GTID in gtid_executed (measured on 9.7.4), so a server
//	         of which Cut took too much is seen to be diverged and never follows in silence.
//	MariaDB  Recover starts the server's own program aside, in the role of a replica, in which its recovery takes back what
//	         was not acknowledged and keeps what was committed, and stops it again (measured on 10.11.19). Cutting is not
//	         for MariaDB: its GTIDs are in its logs alone, and a row that was committed would stay without one.
//
// Nothing here decides. The caller has archived the transactions, and knows that another primary is established that lacks
// them: on the only server that has them this would lose them.
//
// Nothing here works beside a running server. Cut holds the lock that the engine takes on its system tablespace, so that none
// can start meanwhile; Recover's own server takes it. Both may be repeated after a crash at any moment.
package offline

// Package binlog finds the transactions in the binary and relay logs of MySQL and MariaDB, by the headers of their events.
//
// It says where each one begins and ends and what its GTID is, and nothing of what it changed: that is for the server's own
// tool to print. It reads files only, so it works beside a server that runs, and on the files of one that is dead. What it
// cannot read with certainty, encrypted files above all, is an error and never an empty answer.
//
// What a file says of the end of its server: a server marks the file that it writes as in use and takes the mark away when
// it stops in good order. A server begins a new file at every start, and before it does so whatever was in the last one is
// committed or rolled back. So transactions that were written and not committed are in the last file only, and only while
// that file is marked (measured on MySQL 9.7.4 and MariaDB 10.11.19).
package binlog

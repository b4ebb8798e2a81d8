// Package gtid is the algebra of sets of transactions, the same for MySQL and MariaDB: which server holds what.
//
// It is pure. mysqld reads the texts of servers with it and passes its names on, so that most rooms know mysqld.GTIDSet.
package gtid

package lab

import "fmt"

// DelayStatements keep a replica seconds behind its source on purpose, as a person would who reads the manual. On MariaDB they
// stop both threads, which deletes what was received and not applied.
func DelayStatements(family Family, seconds int) []string {
	if family == MariaDB {
		return []string{"STOP SLAVE", fmt.Sprintf("CHANGE MASTER TO MASTER_DELAY = %d", seconds), "START SLAVE"}
	}
	return []string{"STOP REPLICA SQL_THREAD", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_DELAY = %d", seconds), "START REPLICA SQL_THREAD"}
}

// PlainStatements make a MariaDB replica of a newer release accept a source without TLS, which it demands by default.
func PlainStatements() []string {
	return []string{"STOP SLAVE", "CHANGE MASTER TO MASTER_SSL = 0", "START SLAVE"}
}

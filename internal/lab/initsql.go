package lab

import "strings"

// initSQL returns the statements that make the lab's accounts and tables, one per line: bootstrap reads lines, not
// statements, and knows no trailing comment. FLUSH PRIVILEGES comes first because bootstrap runs without grant tables.
func initSQL(family Family) string {
	lines := []string{
		"FLUSH PRIVILEGES;",
		"CREATE DATABASE baton;",
		"CREATE TABLE baton.epoch (id TINYINT PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, instance VARCHAR(64) NOT NULL, base LONGTEXT NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB;",
		"CREATE TABLE baton.canary (instance VARCHAR(64) PRIMARY KEY, n BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB;",
		"CREATE DATABASE app;",
		createUser(family, "baton", "localhost"),
	}
	lines = append(lines, agentGrants(family)...)
	lines = append(lines,
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON baton.* TO 'baton'@'localhost';",
		createUser(family, "repl", "%"),
		"GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';",
		createUser(family, "app", "%"),
		"GRANT ALL PRIVILEGES ON app.* TO 'app'@'%';",
		"GRANT SELECT ON baton.epoch TO 'app'@'%';",
		createUser(family, "admin", "%"),
		"GRANT ALL PRIVILEGES ON *.* TO 'admin'@'%' WITH GRANT OPTION;",
	)
	if family == MySQL {
		lines = append(lines, "GRANT BACKUP_ADMIN ON *.* TO 'repl'@'%';") // others may copy this server
	}
	if family == MariaDB {
		// mariadb-install-db makes root for every name of this machine; a passwordless root on TCP is not wanted, and an
		// anonymous user would be matched before any user@%.
		lines = append(lines,
			"DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root' AND Host <> 'localhost';",
			"FLUSH PRIVILEGES;",
		)
	}
	return strings.Join(lines, "\n") + "\n"
}

// createUser makes an account whose password is its name.
func createUser(family Family, name, host string) string {
	how := "IDENTIFIED BY"
	if family == MySQL {
		how = "IDENTIFIED WITH caching_sha2_password BY"
	}
	return "CREATE USER '" + name + "'@'" + host + "' " + how + " '" + name + "';"
}

// agentGrants are what baton's agent needs and no more, measured statement by statement on MySQL 9.7 and MariaDB 10.11.
func agentGrants(family Family) []string {
	if family == MariaDB {
		return []string{
			"GRANT SLAVE MONITOR, BINLOG MONITOR, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, PROCESS ON *.* TO 'baton'@'localhost';",
			"GRANT RELOAD ON *.* TO 'baton'@'localhost';",
		}
	}
	return []string{
		"GRANT REPLICATION CLIENT, PROCESS, RELOAD, REPLICATION SLAVE ON *.* TO 'baton'@'localhost';",
		"GRANT REPLICATION_SLAVE_ADMIN, CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN, SYSTEM_USER ON *.* TO 'baton'@'localhost';",
		"GRANT SELECT ON performance_schema.* TO 'baton'@'localhost';", // ages of heartbeats; the tables of clones are not there yet
		"GRANT CLONE_ADMIN ON *.* TO 'baton'@'localhost';",             // it may become a copy of another
	}
}

// Package mysqld says to one MySQL or MariaDB server the few things baton needs, and reads its status.
package mysqld

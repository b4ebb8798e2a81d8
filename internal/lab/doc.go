// Package lab finds, initialises, starts, breaks and stops real MySQL and MariaDB servers in temporary directories.
//
// It serves the tests of other rooms (through labtest), the demo and the bench. It speaks no SQL: whoever needs a
// statement brings its own client. A server counts as ready when it sends the greeting of the MySQL protocol on its unix
// socket.
//
// # What a lab server is
//
// A server boots with the settings that baton requires of production (durable commits, GTIDs, row events, semi-sync
// AFTER_SYNC with both sides off, read only, no replication started), with small buffers, from a copy of a template data
// directory. The template is built once per version, flags and init SQL, holds no GTID and no binary log, and is the
// same on all nodes, so replication can start from an empty position. Two settings differ from production on purpose:
// offline_mode is OFF at boot, so that a test can log in as an application before any agent runs, and MySQL's
// replica_net_timeout is the server's own 60 s, because detection must not depend on it.
//
// Accounts, password equal to the name: baton@localhost (the agent, with exactly the grants it needs), repl (REPLICATION
// SLAVE only), app (everything on the database app, nothing else), admin (everything; for tests). root@localhost has no
// password and exists on the unix socket only. Both baton and app exist as databases; baton holds the empty tables epoch
// and canary.
//
// # Where things are
//
// Everything lives under one directory per user: $BATON_LAB_DIR, else /dev/shm/baton-lab-UID when that file system has
// room, else the same name in the temporary directory. A commit to tmpfs costs 1 µs where a disk takes 2.8 ms, which is why
// the durable settings can stay on. Directories left behind by a killed process are swept by the next one: a live process
// holds a lock on each of its servers' directories.
//
// # Processes
//
// A server dies with the process that started it (PDEATHSIG), also when that one is killed. Linux only, for this reason.
// innodb_doublewrite stays ON: with it off a SIGKILL was seen to tear a page even on tmpfs.
package lab

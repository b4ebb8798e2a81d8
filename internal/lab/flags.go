package lab

import (
	"os"
	"strconv"
)

// never is a semi-sync timeout in milliseconds that does not end: a primary must wait for its ackers, not fall back.
const never = "1000000000000"

// reservedPortOffset makes the port of the reserved listener (admin_port, extra_port) out of the ordinary one. The sum
// stays below the ports the kernel gives to clients.
const reservedPortOffset = 10000

// initFlags are the flags a template is built with. They belong to the template's key.
func initFlags(family Family) []string {
	if family == MariaDB {
		return []string{"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=4M"}
	}
	// A redo log of 32 MB initialises fastest: 8 MB stalls, 100 MB writes more.
	return []string{"--initialize-insecure", "--secure-file-priv=NULL", "--mysqlx=OFF", "--skip-log-bin", "--innodb-redo-log-capacity=32M"}
}

// asRoot lets a server run as root when we are root; it refuses to without being told.
func asRoot() []string {
	if os.Getuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// flags returns the whole command line of a server after its program. The order matters twice: --no-defaults must be
// first, and the caller's own flags come last because the last one wins. mu is held.
func (s *Server) flags() []string {
	flags := append([]string{"--no-defaults"}, s.bin.base...)
	flags = append(flags, asRoot()...)
	flags = append(flags, s.placeFlags()...)
	flags = append(flags, commonFlags()...)
	if s.bin.Family == MariaDB {
		flags = append(flags, mariadbFlags()...)
	} else {
		flags = append(flags, mysqlFlags()...)
	}
	return append(flags, s.opts.Extra...)
}

// placeFlags say where this one server lives and who it is.
func (s *Server) placeFlags() []string {
	ip, port := s.opts.IP.String(), int(s.opts.Port)
	flags := []string{
		"--datadir=" + s.DataDir(),
		"--socket=" + s.Socket(),
		"--pid-file=" + s.path("pid"),
		"--tmpdir=" + s.dir,
		"--bind-address=" + ip,
		"--port=" + strconv.Itoa(port),
		"--server-id=" + strconv.FormatUint(uint64(s.opts.ServerID), 10),
		"--report-host=" + ip,
		"--report-port=" + strconv.Itoa(port),
	}
	reserved := strconv.Itoa(port + reservedPortOffset)
	if s.bin.Family == MariaDB {
		return append(flags, "--extra-port="+reserved, "--extra-max-connections=2")
	}
	return append(flags, "--admin-address="+ip, "--admin-port="+reserved, "--create-admin-listener-thread=ON")
}

// commonFlags are the settings baton requires that both families spell alike, then sizes for a laboratory.
func commonFlags() []string {
	return []string{
		"--log-bin=bin",
		"--relay-log=relay",
		"--binlog-format=ROW",
		"--sync-binlog=1",
		"--innodb-flush-log-at-trx-commit=1",
		"--sync-relay-log=1",
		"--relay-log-recovery=0", // 1 would drop acknowledged, unapplied events at a restart
		"--read-only=ON",
		"--innodb-doublewrite=ON",

		"--skip-name-resolve",
		"--max-connections=200",
		"--table-open-cache=64",
		"--innodb-buffer-pool-size=8M",
		"--innodb-log-buffer-size=2M",
		"--key-buffer-size=1M",
		"--innodb-buffer-pool-load-at-startup=0",
		"--innodb-buffer-pool-dump-at-shutdown=0",
	}
}

func mysqlFlags() []string {
	return []string{
		"--gtid-mode=ON",
		"--enforce-gtid-consistency=ON",
		"--log-replica-updates=ON",
		"--super-read-only=ON",
		"--skip-replica-start=ON",
		"--replica-preserve-commit-order=ON",
		"--replica-net-timeout=60",
		"--plugin-load-add=semisync_source.so;semisync_replica.so;mysql_clone.so",
		"--rpl-semi-sync-source-enabled=OFF",
		"--rpl-semi-sync-replica-enabled=OFF",
		"--rpl-semi-sync-source-wait-point=AFTER_SYNC",
		"--rpl-semi-sync-source-wait-no-replica=ON",
		"--rpl-semi-sync-source-timeout=" + never,
		"--offline-mode=OFF",

		"--secure-file-priv=NULL", // the packaged default directory does not exist here
		"--mysqlx=OFF",            // its port is the same for all servers
		"--innodb-redo-log-capacity=32M",
		"--table-definition-cache=400",

		// ON, because heartbeat ages stay 0 without it. Stages, statements and threads stay instrumented, for what sessions
		// are doing shows there; the rest is cut until it takes 5 MB instead of 180 (237 MB resident in all).
		"--performance-schema=ON",
		"--performance-schema-max-thread-instances=300",
		"--performance-schema-max-table-instances=200",
		"--performance-schema-max-table-handles=200",
		"--performance-schema-max-table-lock-stat=0",
		"--performance-schema-max-index-stat=0",
		"--performance-schema-max-file-classes=0",
		"--performance-schema-max-file-instances=0",
		"--performance-schema-max-mutex-classes=0",
		"--performance-schema-max-rwlock-classes=0",
		"--performance-schema-max-cond-classes=0",
		"--performance-schema-max-socket-classes=0",
		"--performance-schema-max-memory-classes=0",
		"--loose-performance-schema-max-meter-classes=0",  // 9.x only
		"--loose-performance-schema-max-metric-classes=0", // 9.x only
		"--performance-schema-max-prepared-statements-instances=0",
		"--performance-schema-max-program-instances=0",
		"--performance-schema-max-digest-length=0",
		"--performance-schema-digests-size=0",
		"--performance-schema-error-size=0",
		"--performance-schema-accounts-size=0",
		"--performance-schema-hosts-size=0",
		"--performance-schema-users-size=0",
		"--performance-schema-events-waits-history-size=0",
		"--performance-schema-events-waits-history-long-size=0",
		"--performance-schema-events-stages-history-size=0",
		"--performance-schema-events-stages-history-long-size=0",
		"--performance-schema-events-statements-history-size=0",
		"--performance-schema-events-statements-history-long-size=0",
		"--performance-schema-events-transactions-history-size=0",
		"--performance-schema-events-transactions-history-long-size=0",
	}
}

func mariadbFlags() []string {
	return []string{
		"--gtid-strict-mode=1",
		"--gtid-domain-id=1",
		"--log-slave-updates=ON",
		"--skip-slave-start",
		"--slave-net-timeout=4",
		"--rpl-semi-sync-slave-kill-conn-timeout=1", // the default of 5 s delays every fence
		"--rpl-semi-sync-master-enabled=OFF",
		"--rpl-semi-sync-slave-enabled=OFF",
		"--rpl-semi-sync-master-wait-point=AFTER_SYNC", // the default, AFTER_COMMIT, shows rows that can be lost
		"--rpl-semi-sync-master-wait-no-slave=ON",
		"--rpl-semi-sync-master-timeout=" + never,

		"--innodb-log-file-size=4M",
		"--aria-pagecache-buffer-size=1M",
		"--performance-schema=OFF",
	}
}

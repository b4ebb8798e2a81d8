// Package baton is the front door of the repository: the picture of the rooms and the rules between them. It holds no code.
//
// baton keeps a MySQL or MariaDB database writable at one well-known name, whatever dies, and tells every machine where
// each service is. One rule governs everything:
//
//	Connections carry observations, Raft carries decisions, and everything anyone sees is a projection of one
//	immutable *registry.State.
//
// Imports point up in this picture; data flows down and closes its loop only through the real mysqld:
//
//	          registry            mysqld     identity       leaves: import no other room
//	         /  |   \  \___________  |           |
//	      raft  |    \             \ |           |
//	       |    | dnsserver hostsgen health      |   discovery    (leaf: node names are strings here)
//	       |   api <- api/server     |           |
//	       |    |                 promote        |
//	       +----+------ agent -------+-----------+----+
//	                      |
//	              config, demo (internal/lab)
//	                      |
//	                  cmd/baton
//
//	observe             gather            decide              commit          project
//	mysqld -> health.Checker ----------> health.Board -> decide.Decide  -> raft -> registry.State -+-> dnsserver -> apps
//	  ^                                                                                            +-> hostsgen  -> files
//	  |                                                                                            +-> api       -> people
//	  +---------------------- promote.Guard (each database host makes its mysqld match) <----------+
//
// The rooms, one duty each:
//
//	registry   the words of the cluster and one immutable version of its replicated state; registry/codec its bytes
//	raft       keeps the same registry on every server and says who leads
//	discovery  says who is present: gossip membership and fast failure hints
//	health     checks this node's services and remembers the newest report of every node
//	mysqld     says to one MySQL or MariaDB server the few things baton needs; mysqld/gtid is the algebra of
//	           positions; mysqld/process follows its program
//	           mysqld/binlog finds transactions in its logs, mysqld/archive keeps some of them as SQL, mysqld/offline takes back what
//	           a dead server had not committed
//	promote    promote/decide decides who is primary, promote makes the local mysqld obey, promote/rejoin brings one back that diverged;
//	           promote/promise, promote/recall and promote/lease are what a guard has promised, remembers and may still do;
//	           promote/power puts back settings by which commits survive a loss of power, and remembers who may have lost some
//	           promote/upstream asks a source from which nothing comes whether it takes writes
//	dnsserver  answers DNS questions from the records last published
//	hostsgen   keeps a marked block of a hosts file equal to the records
//	identity   makes and checks the certificates by which nodes know each other
//	api        the door: what goes over the wire, HTTP client, the state stream, reports from agents; api/server answers,
//	           api/operate judges what operators ask for
//	agent      puts one node together and takes it apart in reverse order; agent/standing asks whether it may vote
//	config     reads a node's HCL file, with a position and a way out in every error
//	demo       runs a whole cluster on this machine and proves a failover
//	cmd/baton  turns a command line into one call
//
// docs/design.md says why, docs/guarantees.md what is promised and which test holds it, docs/scenarios.md what happens when
// something fails; repo_test.go holds the rules that a test can hold.
package baton

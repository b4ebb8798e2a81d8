// Package chaos injects random faults into a whole cluster of real processes and checks that every promise was kept.
//
// Three hosts in network namespaces (internal/netlab) carry a coordinator with its agent and one database server each, a
// fourth is a client. A plan drawn from a seed says which faults strike when, one to three at a time; after each round
// everything is healed, and the database must become writable and all replicas must converge. Meanwhile writers keep a
// ledger, others append to lists, a sampler tries to write on every server directly, every node's DNS and hosts file is
// watched, and clients write and read the registry. The same seed gives the same plan; what the cluster makes of it
// depends on the machine.
//
//	kind.go       one kind of fault: whom it strikes, how long, what it may cause
//	kinds_*.go    the table of them
//	plan.go       which faults, when, from a seed
//	field.go      what faults act on: roles to hosts, and what baton says meanwhile
//	run.go        one run
//	verdict.go    what it found
//
// What writes, reads and watches meanwhile is in internal/chaos/witness.
package chaos

// Package demo runs a whole cluster on this machine and proves a failover.
//
// It starts real database servers (internal/lab), real baton nodes as processes of their own, and writers that know
// nothing but a DNS name. It injects faults, measures what the writers saw, and at the end compares the ledger of what
// was acknowledged with what the last primary holds. `baton demo` prints it as a story; the failover bench runs the
// same Rig many times.
//
//	rig.go      servers, nodes, certificates, node files: up and down
//	node.go     one baton process
//	writer.go   the load: resolves the name, writes, remembers every acknowledgement
//	ledger.go   what was acknowledged, and what of it is lost
//	fault.go    what is done to the primary, and how long writers noticed
//	heal.go     what an operator does between two faults
//	story.go    the words in which a run is told
package demo

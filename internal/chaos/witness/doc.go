// Package witness writes, reads and watches while faults strike, and says what it saw that must not be.
//
//	sampler.go   tries to write on every server, to find two that accept
//	prober.go    writes by the name, to measure outages
//	lists.go     appends to lists, to find what was lost, moved or repeated
//	names.go     watches DNS and hosts files, to find what goes back, is torn or has two addresses (G6, G8)
//	register.go  writes and reads the registry, to find what is not linearizable (G9)
//	rows.go      compares what servers hold
//	open.go      connections
package witness

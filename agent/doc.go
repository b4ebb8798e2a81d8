// Package agent puts one node together and takes it apart in reverse order.
//
// It is the only room that knows all the others, and it decides nothing: New checks a Config and binds what can be
// refused (directory lock, certificates, ports), Run starts every part in order, waits for the first that ends, and
// stops the rest in reverse. Each part is one file:
//
//	server.go   a Raft voter: replica, leader's loop, board
//	guard.go    the database server of this node: checker, guard, reports
//	publish.go  DNS and hosts files, projected from the state
//	announce.go what this node says of itself, repeated until the registry agrees
//	machine.go  what is replaced when a node runs in a simulation
//	identity.go the certificates of this node, and what the first server makes
//	lock.go     the claim of this process to the data directory
//	port.go     who holds a port that this node should have
//	backend.go  what the API may ask of this node
//
// A server and a client differ only in where their State comes from; everything behind it is one path.
package agent

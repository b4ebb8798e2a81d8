// Package netlab gives a laboratory hosts of its own: network namespaces on one switch, and disks that can be broken.
//
// Everything lives inside a private mount and network namespace (Command makes a process that has one), and is reached
// through files that only this namespace sees. So when the last process in it is gone, in whatever way it went, the
// kernel has taken back every namespace, mount and loop device; what can stay behind are plain files, which Claim sweeps.
//
//	netlab.go   the namespace that everything is in
//	network.go  hosts, the switch between them, and the command that runs a program on a host
//	cut.go      what the switch does to packets
//	disk.go     a file system of its own for a host: full, stalled, dead
//
// # The network
//
// Each host has one interface on a bridge in a namespace of its own, where an nft table in the bridge family holds sets of
// pairs of ports. A fault is elements of such a set, so each is one-way, and one flush heals all. Every host knows the
// hardware address of every other for ever: a cut that began without one would last about a second longer than asked for.
// The process itself has a port too, the outside, from which clients come. There is no delay and no jitter (this needs a
// kernel with netem, which is not everywhere); a slow link is one with little bandwidth.
package netlab

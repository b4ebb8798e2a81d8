// Package process follows one run of a database server's program on this machine: that it goes on, was stopped, was killed,
// has ended.
//
// What it says comes from the kernel and from nobody else: a run is found through the other end of a connection, is held by a
// descriptor of its own, so that no other process that gets its number is ever taken for it or killed in its place, and its
// end is an event. A stop by a signal is not; it is seen at the next look.
package process

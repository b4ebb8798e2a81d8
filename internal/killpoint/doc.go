// Package killpoint kills baton before and after everything it does in a failover, one point after another, on a cluster of
// real servers, and sees that whoever is left finishes what was begun (G5), that nothing acknowledged is lost (G2) and that
// an epoch has one winner (G1).
//
// The points are not written anywhere: Build reads the interfaces through which the rooms act (what the leader commits, what
// a guard says to its server and writes to its promise file), wraps each of their methods, and compiles baton with an
// overlay. The product carries no switches and the tree is not touched. A new method is a new pair of points.
//
// Which points there are on the way of a fault, and how often each is passed, is seen by watching one: a node that is
// watched writes down what it passes, and one that is armed ends itself with SIGKILL where it is told to (package point).
// From that Run makes the cases: a fault, a role, a point, and the how manieth time.
//
//	watch one fault -> points passed by each role -> for each: arm the node that has the role, strike, wait until writes are
//	acknowledged in a new epoch, start the node again, wait until everybody follows -> compare the ledger
//
// Roles: the leader, the former primary, the winner, and the other acker. A node may have two; what the leader does is told
// from what a guard does by the name of the point.
package killpoint

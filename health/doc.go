// Package health checks this node's database server and remembers the newest report of every one.
//
// An observation is soft: it may be late or lost, it is never replicated, and no safety rests on it being true at the
// moment it is read. What safety rests on, the promises and fenced positions that a guard has made durable, travels in
// the same Report and is a fact that can only grow (G3).
//
//	mysqld.Server --Status, Process--> Checker --Observation--> promote.Guard
//	                                      \                        |
//	                                       +------ Report --------+----> api ----> Board (on every server) --View--> decide.Decide
//
// A Checker runs beside the server, asks it every Config.Every over a connection of its own, watches the process
// (which tells of a crash at once), and lets a canary commit through the whole write path. A Board keeps the newest
// report of each instance and how long ago it came, by this process's own monotonic clock; clocks of different
// machines are never compared.
//
// How long something has lasted is counted from the first sign of it: a server is unreachable since the first question that it
// has not answered or since its process was seen stopped, a commit is blocked since it was sent, and a disk hangs since a thread
// was seen in a wait that has not ended. When the checker itself did nothing for longer than it ever rests, because its host
// was paused or starved it, that time is taken out of all of these. decide's comment has the sum of it.
package health

// Package sim plays random schedules of what can happen to a database, and checks the guarantees after every event.
//
// What is real: decide.Decide in two leaders, promote.Guard beside every server (as promote.Driven), every command of
// registry, and the projection of names. What is a model: the servers (internal/mysqldtest, with the measured quirks of
// both families), the network between agents and leaders, Raft (one atomic log; every leader and every agent is somewhere
// behind its end), the disk under a promise file, people and time.
//
//	Shape + seed -> plan -> events -> world.play -> tally, checks -> Violation -> shrink -> Case in testdata
//
// # What a schedule is
//
// A database of 2 to 5 members of one family, k 1 or 2, that has been formed (or, one in 16, is empty), 0 to 6 faults, and
// between them up to some hundred events: somebody takes one step, one call to a server is made, one transaction or
// acknowledgement moves, one report arrives, is lost, overtaken or repeated, somebody hears of some of the log, a leader
// decides, or proposes what it decided long ago. Which host and which kind is drawn; each schedule has its own mixture,
// so that in some everybody is slow to hear and in others nothing is acknowledged for long. Where nobody can do anything
// but let time pass, the next fault comes. After the last one, faults are ended, and the database must take a write again
// within maxRounds rounds in which everybody does what there is to do; leaders begin anew, so nothing may depend on what
// one of them remembered (G5).
//
// A step of a guard stands still before each of its calls and before its record is written and synced, and the agent may
// be killed there. It does so in a coroutine: one goroutine per player plays everything, in an order that the seed alone
// decides. No clock, no file and no map order has a part in it; the same seed tells the same story.
//
// # What is checked
//
//   - G1: an OK comes from the last established primary, or that one has the transaction.
//   - G2: at each Establish the winner has everything that was ever answered with OK or read on an open server.
//   - G3: no promise goes back, no call is made for less than was promised, nor for more than is promised durably.
//   - G4: who becomes a source, writes a marker or opens was elected, or established, in the state in which it does so.
//   - G6: epochs grow; the primary's name shows the last established primary, and nobody between two reigns.
//   - Liveness, with G5: see above. Where only a person can decide (see mayBeStuck) it is counted, and no violation.
//
// # How it grows
//
//   - A fault, or anything else that can happen: one line in kinds (events.go), at its end. It draws from w.draw only, and
//     returns false where it changed nothing. What it must be undone by in the end goes into world.recover.
//   - A command: nothing; committed (check.go) is where a new promise of it is checked, tally counts it by its name.
//   - A verb or a call of the guard: a method of gate (host.go) that passes through do; checkCall (check.go) says in which
//     state it may be made.
//   - A quirk of a server: internal/mysqldtest, with a name in quirks.go and a call of reached where it shows.
//   - A policy, a preference or a durability: Shape, drawn in newPlan, written in Case and set in newWorld.
//   - A guarantee: what an event changes is looked at where it changes (check.go); nothing is looked at again after it.
//   - A mutant that must now be caught: internal/mutant/mutants.txt.
//
// TestSchedulesKeepTheGuaranteesAndReachEverything must then be told what has to be reached.
package sim

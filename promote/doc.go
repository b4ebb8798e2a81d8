// Package promote makes the local mysqld obey what was decided of its database.
//
// It is one of two halves that meet only in the registry. The other is package decide, which runs on the leader. Next runs
// on every database host: one pure function from the state and what the guard knows of its own server to the next thing
// to do. Both are level-triggered: they look at the whole, name one step, and are asked again. Nobody remembers a failover
// that is under way, so any leader and any restarted agent continues it by looking (G5).
//
//	Leader:  health.Board.View + registry.State --Decide--> registry.Command --> raft
//	Guard:   registry.State + Observation + Record --Next--> Step --perform--> mysqld, Record, health.Report
//
// # Why nothing acknowledged is lost, and no clock is trusted
//
// A commit is acknowledged once K of the ackers A have it. Revoke makes every guard of an acker write its promise to
// disk and stop listening to the former primary, durably. Once |A|-K+1 of them have, at most K-1 still listen: the
// former primary can complete nothing, alive, frozen or cut off (G1). The same |A|-K+1 meet every set of K that
// completed a transaction, so the union of their positions holds everything that was acknowledged (G2). The winner
// reaches that union, has a marker row acknowledged by K ackers of its own while it is still closed, and opens only
// after Establish is committed: what it serves cannot disappear again.
// What a former primary answers after Establish, the winner has: the acknowledgement was on its way when its acker was fenced.
//
// Three things may be forgotten, and each is told apart from having nothing to remember. A restarted acker is amnesiac until
// it has what its source had when it connected: it can be fenced, win and acknowledge, but proves nothing. A restarted former
// primary has all that it acknowledged, if Record.Holds and the base of its reign prove that its disk is the one on which it
// reigned; after a power cut it alone proves the base. A promise file has a name that is registered with the member, and a
// guard acts on no state that does not name its own: any promise made in a lost one is older than that state (G3).
//
// A winner may lack something of the base: then it follows a fenced member that holds it, which can grow no more, until it
// holds all that this one holds; before that nobody follows the winner. Nothing new can come in by this way, and a winner
// that is lost on it leaves the base settled.
//
// A winner that loses its epoch while its marker waits can neither close nor follow; so what a guard led is durable before the
// marker, and such a process is ended. A marker that nobody else has makes a member diverge: it is written when enough ackers
// are connected, and the next winner is who leaves the fewest members with transactions that it lacks.
package promote

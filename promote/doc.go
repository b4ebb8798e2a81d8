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
// Three things may be forgotten, and each is told apart from having nothing to remember. A restarted acker, on MariaDB also one
// of which both threads were stopped at a time, is amnesiac until it has what its source had when it connected: it can be
// fenced, win and acknowledge, but proves nothing. A restarted former
// primary has all that it acknowledged, if Record.Holds and the base of its reign prove that its disk is the one on which it
// reigned; after a power cut it alone proves the base. A promise file has a name that is registered with the member, and a
// guard acts on no state that does not name its own: any promise made in a lost one is older than that state (G3).
//
// A winner may lack something of the base: then it follows a fenced member that holds it, which can grow no more, until it
// holds all that this one holds; before that nobody follows the winner. Nothing new can come in by this way, and a winner
// that is lost on it leaves the base settled.
//
// # A hand-over is prepared
//
// While a planned hand-over is prepared the primary serves on, and ackers that it can do without follow the wanted winner
// already (Move). They stay ackers of the primary: a fence covers them, and as many as a commit waits for have stayed where
// they were. What they hold came from the primary by way of the winner, so nothing of it can be new.
//
// # Whose acknowledgements count, while that changes
//
// A commit is acknowledged by what the servers do, and a fence covers what the registry says. So at each instant every
// commit that was ever acknowledged is on K of the registry's ackers: then every |A|-K+1 of them meet it. What makes
// fences cover more is committed first, what makes them cover less is done and proved first; Database.Change holds where it
// stands, and any leader goes on.
//
//	an acker is added      AddAcker is committed, then it acknowledges
//	an acker retires       Leave is committed; it makes itself silent, by a receiver that was started so; that is
//	                       committed; a commit that begins after that is acknowledged, by K others, and so everything that
//	                       the silent one has acknowledged or may still have on its way is on K others; it is taken out
//	K is raised            the server waits for more; a commit that begins after that is acknowledged; K is committed
//	K is lowered           K is committed; the server waits for less
//
// Each step has a revision, which a guard promises on disk like the epoch: an agent that was restarted and sees an older
// state neither acknowledges again nor waits for less. Who cannot be asked to be silent stays an acker, also of later
// reigns of the same primary (Database.Armed), until it was fenced, or an operator says that it is gone for good.
//
// A winner that loses its epoch while its marker waits can neither close nor follow; so what a guard led is durable before the
// marker, and such a process is ended. So is a source whose guard does not know that it led, because its promise file was lost.
// A marker that nobody else has makes a member diverge: it is written when enough ackers are connected, and the next winner is
// who leaves the fewest members with transactions that it lacks. What the last primary is known to have lacked is asked of
// nobody: nothing else was acknowledged in its reign than what it wrote itself.
package promote

// Package discovery says who is present: gossip membership, node metadata, fast failure hints.
//
// Every node runs one [Gossip]. It joins through any few others, hears of everyone within moments, and notices a silent
// node on a LAN in about half a second (see [LAN]). What it says is a hint: gossip is weakly
// consistent, whoever holds the key can say anything, and old packets can be replayed. Nothing may be promoted, fenced or
// withdrawn on its word alone; it is a reason to look.
//
// The library is hashicorp/memberlist, and no other room imports it. What this room adds:
//
//   - A key is required and the cluster's name is the label of every packet, so that neither strangers nor a second
//     cluster on the same network get in.
//   - Members that failed and members that left are told apart. memberlist knows the difference and keeps it to itself, so
//     a leaving node also sends a notice of its own.
//   - Members and Changed are a snapshot and a signal: take the channel, then read, then wait.
//   - Joining is tried again for as long as Run runs, because memberlist gives up on a dead node, and two halves of a
//     cluster would stay apart after a partition.
//   - Urgent news (a suspicion, an objection to one, a member that failed or joined) hurries ahead of memberlist's ticks on
//     pings of this room, while Run runs. Ticks that are short enough for it would wake an idle machine all day long.
//   - Nothing blocks in memberlist's callbacks, many of which hold its lock: they change a map and close a channel. Its log
//     lines are queued too, since a log on a stalled disk would otherwise make this node look dead.
//
// Close does not wait for memberlist's goroutines, because memberlist does not: a probe under way ends within the probe
// interval, a connection within [Timing].Stream. In a synctest bubble let that time pass before the test returns.
package discovery

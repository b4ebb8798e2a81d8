package discovery

import "time"

// Timing is how fast gossip is. The presets are the recommended values; change them together or not at all.
type Timing struct {
	ProbeInterval       time.Duration // one other member is probed in each
	ProbeTimeout        time.Duration // until a probe is also tried through others and over TCP
	IndirectProbes      int           // members asked to probe in one's stead
	SuspicionMult       int           // suspicion lasts this times log10(members), at least 1, times ProbeInterval
	SuspicionMaxMult    int           // and up to this times longer while no other member confirms it
	AwarenessMax        int           // a node that finds itself slow stretches its probes up to this many times
	GossipInterval      time.Duration // between packets of news
	GossipNodes         int           // members told in each
	RetransmitMult      int           // each piece of news is sent this times log10(members+1) times by each member
	GossipToTheDead     time.Duration // how long a failed member is still told, so that it can object
	DeadNodeReclaim     time.Duration // after which a failed member may come back under a new address
	PushPull            time.Duration // between full exchanges with a random member
	Stream              time.Duration // limit of one full exchange, hence of one attempt to join
	RejoinMin           time.Duration // between attempts to join missing members, at first
	RejoinMax           time.Duration // and in the end
	ForgetFailed        time.Duration // how long Members lists a failed member
	ForgetLeft          time.Duration // and one that left
	LeaveTimeout        time.Duration // limit of Leave
	PacketSize          int           // bytes
	IncomingQueue       int           // messages
	QueueReportInterval time.Duration // between samples of the queue metrics
}

// LAN is for members within a few milliseconds of each other.
//
// A silent member is first met by a probe after 50 ms on average, whatever the number of members, and within 250 ms 99 times
// in 100. The probe fails after one ProbeInterval, 50 ms. Then the member is suspect for 350 ms (up to 10 members;
// 600 ms with 50, 800 ms with 200) before it counts as failed, so that it can object. Measured
// in simulated time, until all others knew, median and longest of 400 runs: 2 members 0.45 and 0.50 s, 3 members 0.43 and
// 0.53 s, 5 members 0.43 and 0.58 s, 10 members 0.45 and 0.64 s; of 44 runs with 50 members 0.73 and 0.83 s.
//
// What keeps this from accusing the living: a member frozen for 300 ms has, at worst, been suspected 50 ms after it froze,
// and then has 100 ms left to object, five rounds of gossip. With more members suspicion is longer, and so is the time to
// object. A longer freeze is reported as a failure, and then as a return. Measured in simulated time under 5 % loss, false
// reports after freezes of 300 ms: none after 6,000 freezes each with 3, 5 and 8 members, none after 60 each with 50 and with
// 200 members.
func LAN() Timing {
	return Timing{
		// The wait for the first probe has a long tail, seven of these in one case of a thousand, which is why it is short
		// and suspicion has many of it. It costs half a percent of a core.
		ProbeInterval: 50 * time.Millisecond,
		// Far above a LAN's round trip, and less than half the interval: a member asked to probe in one's stead waits as
		// long again before it says that it got no answer, and if that came after the interval, the asking node would
		// take the missing word as a fault of its own and slow down.
		ProbeTimeout: 20 * time.Millisecond,
		// With 5 % loss a direct probe fails once in 10, all four ways once in 1,600, and TCP is tried too.
		IndirectProbes: 3,
		// 350 ms, and confirmations by five others (mult - 2) where there are that many.
		SuspicionMult: 7,
		// With fewer confirmations suspicion lasts up to twice as long, so also on a node that is cut off and finds all
		// others dead. The library's 6 would make failures that few can see, or few are left to see, last 2 s.
		SuspicionMaxMult: 2,
		// The library's own value: probes stretch to 0.4 s on a node that fails to hear what it should.
		AwarenessMax: 8,
		// News reaches 200 members in about five rounds, 100 ms.
		GossipInterval: 20 * time.Millisecond,
		GossipNodes:    3,
		// Receivers are drawn by lot, and what a suspect says for itself must not miss anyone: who misses it takes the
		// suspect for failed until the next full exchange. By calculation, with 8 members the library's 4 lets one of them miss one item of
		// news in a hundred, 8 one in 10,000, 12 one in a million. Packets of news are sent only while there is news.
		RetransmitMult: 12,
		// A failed member that hears news of itself objects and is back at once. Only while there is news, though: a member
		// that everyone has given up, and that has given up everyone, comes back by Run's attempts to join.
		GossipToTheDead: time.Minute,
		// A machine that comes back with another address is let in soon, but not while its old self may still be heard.
		DeadNodeReclaim: 2 * time.Second,
		// News that gossip lost all the same is caught up within this; with more than 32 members the library stretches it.
		PushPull: 10 * time.Second,
		// Join to a dead address costs this.
		Stream:    2 * time.Second,
		RejoinMin: 500 * time.Millisecond,
		// What the return of a member can take that was cut off. Each failed member costs each other one a dial in this time.
		RejoinMax: 5 * time.Second,
		// People ask in the morning what failed in the night.
		ForgetFailed: 24 * time.Hour,
		ForgetLeft:   time.Hour,
		// News of leaving is out after two rounds of gossip; this is for a node that is alone without knowing it.
		LeaveTimeout: 2 * time.Second,
		// Below Ethernet's 1,500 with room for tunnels.
		PacketSize: 1400,
		// The library's own values.
		IncomingQueue:       1024,
		QueueReportInterval: 30 * time.Second,
	}
}

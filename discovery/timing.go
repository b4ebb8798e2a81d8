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
	HurryInterval       time.Duration // between rounds of pings that carry urgent news
	HurryPings          int           // after such news, in rounds of GossipNodes; 0: none
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

// LAN is for members within a few milliseconds of each other. Its numbers are measured by TestMeasure... in
// measure_test.go, which names the command.
//
// An idle node wakes 37.5 times a second for it: to send 12.5 probes, for their answers, and for as many probes by others.
// The ticks of gossip fall together with those of probing. Measured over loopback on two cores with much else to do, the
// worst of three processes: 10 ms of processor time and 343 voluntary context switches a second, where probes every 50 ms
// and gossip every 20 ms took 19 ms and 654 at the same moment.
//
// With 2 members a silent one is first met by a probe within two intervals (memberlist lets some ticks pass when there is one
// to probe); with many it takes an interval on average, and five once in a hundred. The probe fails after one ProbeInterval, 80 ms. Then the member is suspect for 320 ms (up to 10
// members; 543 ms with 50, 736 ms with 200) before it counts as failed, so that it can object. Measured in simulated time,
// until all others knew, median, 99th of 100 and longest of 400 runs: 2 members 0.47, 0.56 and 0.56 s, 3 members 0.45, 0.60
// and 0.62 s, 5 members 0.45, 0.68 and 0.69 s, 10 members 0.46, 0.73 and 0.83 s; of 100 runs with 50 members median 0.69 and
// longest 1.09 s. So 0.7 s hold for up to 3 members always, for 5 as good as always, for 10 mostly, for 50 half of the time.
//
// What keeps this from accusing the living: suspicion lasts longer than a freeze of 300 ms, and begins one interval after
// the probe did. A member that is probed right after it froze has 100 ms left to object; one that froze when the probe
// before was already lost, under 5 % loss, has 20 ms, two rounds of hurried pings. A longer freeze is reported as a failure,
// and then as a return. Measured in simulated time under 5 % loss, false reports after freezes of 300 ms at any moment of a
// probe: none after 3,000 freezes each with 3, 5 and 8 members, none after 60 with 50 members.
func LAN() Timing {
	return Timing{
		// What an idle node costs, and the wait for the first probe with its long tail.
		ProbeInterval: 80 * time.Millisecond,
		// Far above a LAN's round trip, and less than half the interval: a member asked to probe in one's stead waits as
		// long again before it says that it got no answer, and if that came after the interval, the asking node would
		// take the missing word as a fault of its own and slow down.
		ProbeTimeout: 25 * time.Millisecond,
		// With 5 % loss a direct probe fails once in 10, all four ways once in 1,600, and TCP is tried too.
		IndirectProbes: 3,
		// 320 ms: more than the freeze that must pass for nothing, because suspicion can begin with it.
		SuspicionMult: 4,
		// Suspicion is as short as it may be, however many confirm it: others meet the member only at their own probes,
		// and to wait for them makes the rare long detection longer. An objection ends it in any case.
		SuspicionMaxMult: 1,
		// The library's own value: probes stretch to 0.64 s on a node that fails to hear what it should.
		AwarenessMax: 8,
		// A multiple of ProbeInterval, so that these ticks wake nobody: memberlist starts both tickers at once. They take
		// news on that was heard from others; what is urgent of one's own hurries ahead.
		GossipInterval: 80 * time.Millisecond,
		GossipNodes:    3,
		// An objection is out at once, has reached each of up to 8 members three times within 80 ms, and all of up to 4 twice
		// within 20 ms. Only while there is news: memberlist's own ticks would cost 50 wakeups a second to be as short as 20 ms.
		HurryInterval: 10 * time.Millisecond,
		HurryPings:    24,
		// As often as one hurry sends: who misses what a suspect says for itself takes it for failed until the next full
		// exchange. Only while there is news.
		RetransmitMult: 24,
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
		// News of leaving is out after a hurry; this is for a node that is alone without knowing it.
		LeaveTimeout: 2 * time.Second,
		// Below Ethernet's 1,500 with room for tunnels.
		PacketSize: 1400,
		// The library's own values.
		IncomingQueue:       1024,
		QueueReportInterval: 30 * time.Second,
	}
}

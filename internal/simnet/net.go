package simnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// What a lost segment of a stream costs: TCP's shortest retransmission timeout, and that of the first packet of all.
const (
	retransmit    = 200 * time.Millisecond
	retransmitSYN = time.Second
)

// Net is a network of hosts. Its methods may be called at any time from any goroutine.
type Net struct {
	mu      sync.Mutex
	hosts   map[string]*Host // by name
	byIP    map[string]*Host
	cuts    map[link]bool
	streams map[*half]bool // every direction of every connection that has not ended
	changed chan struct{}  // closed and replaced when something blocked may have become possible
	rng     *rand.Rand
	loss    float64
	delay   time.Duration
	jitter  time.Duration
	closed  bool
}

type link struct{ from, to *Host }

// New makes a network without hosts and without faults. In a bubble, call it inside.
func New() *Net {
	return &Net{
		hosts:   make(map[string]*Host),
		byIP:    make(map[string]*Host),
		cuts:    make(map[link]bool),
		streams: make(map[*half]bool),
		changed: make(chan struct{}),
		rng:     rand.New(rand.NewPCG(1, 1)),
	}
}

// Host returns the host of that name and makes it if it is new. Its address is the next free one of 10.0.0.0/8.
func (n *Net) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[name]; h != nil {
		return h
	}
	i := len(n.hosts)
	h := &Host{
		net:       n,
		name:      name,
		ip:        net.IPv4(10, byte(i/250/250), byte(i/250%250), byte(i%250+1)).To4(),
		nextPort:  firstEphemeral,
		listeners: make(map[int]*listener),
		packets:   make(map[int]*transport),
	}
	n.hosts[name], n.byIP[h.ip.String()] = h, h
	return h
}

// Cut stops everything between a and b. Hosts are given by name and must exist.
func (n *Net) Cut(a, b string) {
	n.change(func() {
		n.cuts[link{n.must(a), n.must(b)}] = true
		n.cuts[link{n.must(b), n.must(a)}] = true
	})
}

// CutOneWay stops everything that goes from one host to another, but not back.
func (n *Net) CutOneWay(from, to string) {
	n.change(func() { n.cuts[link{n.must(from), n.must(to)}] = true })
}

// Heal ends the cuts between a and b, both ways.
func (n *Net) Heal(a, b string) {
	n.change(func() {
		delete(n.cuts, link{n.must(a), n.must(b)})
		delete(n.cuts, link{n.must(b), n.must(a)})
	})
}

// Isolate cuts a host off from all others, also those made later, until Rejoin.
func (n *Net) Isolate(host string) { n.change(func() { n.must(host).isolated = true }) }

// Rejoin ends Isolate; single cuts stay.
func (n *Net) Rejoin(host string) { n.change(func() { n.must(host).isolated = false }) }

// HealAll ends every cut and every isolation, but no pause.
func (n *Net) HealAll() {
	n.change(func() {
		clear(n.cuts)
		for _, h := range n.hosts {
			h.isolated = false
		}
	})
}

// SetLoss loses each packet and each segment of a stream with the given probability from now on. Equal seeds give equal
// draws; which packet meets which draw still depends on the scheduler.
func (n *Net) SetLoss(rate float64, seed uint64) {
	n.change(func() { n.loss, n.rng = rate, rand.New(rand.NewPCG(seed, seed)) })
}

// SetDelay makes everything sent from now on take delay, plus up to jitter, one way. Packets may overtake each other within
// the jitter, the bytes of a stream may not.
func (n *Net) SetDelay(delay, jitter time.Duration) {
	n.change(func() { n.delay, n.jitter = delay, jitter })
}

// Pause freezes a host until Resume: see the package comment.
func (n *Net) Pause(host string) { n.change(func() { n.must(host).paused = true }) }

// Resume ends Pause and lets everything through that waited, in its order.
func (n *Net) Resume(host string) {
	n.change(func() {
		h := n.must(host)
		h.paused = false
		out, in := h.outbox, h.inbox
		h.outbox, h.inbox = nil, nil
		for _, p := range in {
			n.arrive(p)
		}
		for _, p := range out {
			n.launch(p)
		}
	})
}

// Close ends every connection and listener; all further calls to reach anyone fail. It may be called twice.
func (n *Net) Close() {
	n.change(func() {
		n.closed = true
		for _, h := range n.hosts {
			h.closePorts()
		}
		for s := range n.streams {
			s.fail(net.ErrClosed)
		}
	})
}

// change does f under the lock and then moves what f may have set free.
func (n *Net) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.changed)
	n.changed = make(chan struct{})
	for s := range n.streams {
		s.pump()
	}
}

// must finds a host. An unknown one is a slip of the pen in a test, which would otherwise cut nothing and pass.
func (n *Net) must(name string) *Host {
	h := n.hosts[name]
	if h == nil {
		panic(fmt.Sprintf("simnet: there is no host %q", name))
	}
	return h
}

// open says whether a stream from one host to another moves now. Callers hold mu, as for all that follows.
func (n *Net) open(from, to *Host) bool {
	return n.linked(from, to) && !from.paused && !to.paused
}

// linked says whether no cut is between two hosts.
func (n *Net) linked(from, to *Host) bool {
	return !n.closed && (from == to || !from.isolated && !to.isolated && !n.cuts[link{from, to}])
}

func (n *Net) lost() bool { return n.loss > 0 && n.rng.Float64() < n.loss }

func (n *Net) travel() time.Duration {
	if n.jitter <= 0 {
		return n.delay
	}
	return n.delay + time.Duration(n.rng.Int64N(int64(n.jitter)))
}

// travelReliably is the travel time of something that is sent again when it is lost.
func (n *Net) travelReliably(from, to *Host, again time.Duration) time.Duration {
	if from == to {
		return 0
	}
	d := n.travel()
	for wait := again; n.lost() && wait < time.Minute; wait *= 2 {
		d += wait
	}
	return d
}

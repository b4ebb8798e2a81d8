package bubble_test

import (
	"strings"
	"sync"
)

// links is which node's machine reaches which.
type links struct {
	held sync.Mutex
	cuts map[[2]*node]bool // from one to another
	dead map[*node]bool    // agents that were killed and have not ended: they reach nobody
}

// cut stops everything between two machines, cutOneWay what goes from one to the other: then their database servers, which
// need answers, have lost each other too.
func (w *world) cut(a, b *node) {
	w.cutOneWay(a, b)
	w.cutOneWay(b, a)
}

func (w *world) cutOneWay(from, to *node) {
	w.held.Lock()
	w.cuts[[2]*node{from, to}] = true
	w.held.Unlock()
	w.net.CutOneWay(string(from.id), string(to.id))
	w.group.Cut(from.server, to.server)
	w.wake()
}

// isolate cuts a machine off from all others.
func (w *world) isolate(n *node) {
	for _, other := range w.nodes {
		if other != n {
			w.cut(n, other)
		}
	}
	w.log.say(w.t, "%s is cut off", n.id)
}

// deafen lets a machine hear nobody, mute lets nobody hear it.
func (w *world) deafen(n *node) {
	for _, other := range w.nodes {
		if other != n {
			w.cutOneWay(other, n)
		}
	}
	w.log.say(w.t, "%s is deaf", n.id)
}

func (w *world) mute(n *node) {
	for _, other := range w.nodes {
		if other != n {
			w.cutOneWay(n, other)
		}
	}
	w.log.say(w.t, "%s is mute", n.id)
}

// healAll ends every cut.
func (w *world) healAll() {
	w.held.Lock()
	clear(w.cuts)
	w.net.HealAll()
	for n := range w.dead {
		w.net.Isolate(string(n.id))
	}
	w.held.Unlock()
	for i, a := range w.group.Servers() {
		for _, b := range w.group.Servers()[:i] {
			w.group.Heal(a, b)
		}
	}
	w.wake()
	w.nudge()
	w.log.say(w.t, "all is healed")
}

// isolateAgent cuts a node's agent off from everybody until rejoinAgent, whatever is healed meanwhile.
func (w *world) isolateAgent(n *node) {
	w.held.Lock()
	defer w.held.Unlock()
	w.dead[n] = true
	w.net.Isolate(string(n.id))
}

func (w *world) rejoinAgent(n *node) {
	w.held.Lock()
	defer w.held.Unlock()
	delete(w.dead, n)
	w.net.Rejoin(string(n.id))
}

// reaches reports whether a connection between two machines works.
func (w *world) reaches(a, b *node) bool {
	w.held.Lock()
	defer w.held.Unlock()
	return a == b || !w.cuts[[2]*node{a, b}] && !w.cuts[[2]*node{b, a}]
}

// partition is a shape: the groups of nodes, by number, that reach each other.
type partition [][]int

func (p partition) String() string {
	var all []string
	for _, group := range p {
		text := ""
		for _, i := range group {
			text += string(rune('1' + i))
		}
		all = append(all, text)
	}
	return strings.Join(all, "-")
}

// partitions are all ways to divide n nodes into groups: 5 for three, 52 for five, one of which divides nothing.
func partitions(n int) []partition {
	if n == 0 {
		return []partition{nil}
	}
	var all []partition
	for _, p := range partitions(n - 1) {
		for i := range p {
			next := p.clone()
			next[i] = append(next[i], n-1)
			all = append(all, next)
		}
		all = append(all, append(p.clone(), []int{n - 1}))
	}
	return all
}

func (p partition) clone() partition {
	var c partition
	for _, group := range p {
		c = append(c, append([]int(nil), group...))
	}
	return c
}

// majority is the group that holds most of n nodes, nil if there is none.
func (p partition) majority(n int) []int {
	for _, group := range p {
		if 2*len(group) > n {
			return group
		}
	}
	return nil
}

// strike divides the nodes.
func (w *world) strike(p partition) {
	for i, group := range p {
		for _, other := range p[:i] {
			for _, a := range group {
				for _, b := range other {
					w.cut(w.nodes[a], w.nodes[b])
				}
			}
		}
	}
	w.log.say(w.t, "partition %s", p)
}

package bubble_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// held is how long a network stays broken, and late the part at the end of it in which what should work has to.
const (
	held = 6 * time.Second
	late = 2 * time.Second
)

// Every division of three and of five machines into groups that do not reach each other.
func TestEveryDivision(t *testing.T) {
	for _, size := range []int{3, 5} {
		want := map[int]int{3: 5, 5: 52}[size] // Bell's numbers
		all := partitions(size)
		if len(all) != want {
			t.Fatalf("%d divisions of %d nodes, want %d", len(all), size, want)
		}
		all = slices.DeleteFunc(all, func(p partition) bool { return len(p) == 1 }) // it divides nothing
		for i, p := range some(all) {
			t.Run(p.String(), func(t *testing.T) {
				t.Parallel()
				inBubble(t, []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB}[i%2], size, func(w *world) { w.divide(p) })
			})
		}
	}
}

// divide breaks the network under load, looks at what the parts do, heals it, and waits until all is well.
func (w *world) divide(p partition) {
	before, primary := w.newest(), w.primary()
	w.strike(p)
	time.Sleep(held - late)
	nearlyOver := time.Now()
	time.Sleep(late)
	majority := w.members(p.majority(len(w.nodes)))
	// G7: where there is no majority, and in a minority, nothing is decided.
	if now := w.newest(); majority == nil && (now.Epoch != before.Epoch || now.Phase != registry.Serving) {
		w.t.Errorf("nobody had a majority, and %s in epoch %d followed %s in epoch %d: %s", now.Phase, now.Epoch, before.Phase, before.Epoch, now.Cause)
	}
	for _, n := range w.nodes {
		if d, _ := n.feed().State().Database(database); !slices.Contains(majority, n) && d.Epoch != before.Epoch {
			w.t.Errorf("%s is not in the majority, and was in epoch %d before and is in %d now", n.id, before.Epoch, d.Epoch)
		}
	}
	for _, group := range p {
		members := w.members(group)
		if why := w.mustWrite(members, majority, primary); why != "" && w.sinceIn(members, nearlyOver) == 0 {
			w.t.Errorf("no write through %s in the last %s: %s; now %s", partition{group}, late, why, w.newest().Why())
		}
	}
	w.healAll()
	took := w.agree("all agree after the division")
	w.log.say(w.t, "all agreed after %s", took)
}

func (w *world) members(group []int) (all []*node) {
	for _, i := range group {
		all = append(all, w.nodes[i])
	}
	return all
}

// mustWrite says why a group has to take writes while the network is divided; "": it need not.
func (w *world) mustWrite(group, majority []*node, primary *node) string {
	k, ackers := w.acks(), len(w.nodes)-1
	switch {
	case slices.Contains(group, primary):
		if len(group)-1 >= k {
			return "the primary has its acknowledgements here" // G7 where this is no majority
		}
	case len(majority) > 0 && majority[0] == group[0] && len(group) >= ackers-k+1:
		return "a majority, and enough ackers to exclude the primary"
	}
	return ""
}

// sinceIn is how many writes were acknowledged through the names of these nodes since a moment.
func (w *world) sinceIn(group []*node, since time.Time) (count int) {
	w.look.Lock()
	defer w.look.Unlock()
	for _, n := range group {
		for _, at := range w.written[n] {
			if at.After(since) {
				count++
			}
		}
	}
	return count
}

// shape is a network that is broken in another way than into groups.
type shape struct {
	size int
	name string
	cut  func(w *world)
}

// shapes are what can be broken between so many nodes: one direction of a link, a link, all directions to or from one
// node; everything but a bridge, a chain and a ring.
func shapes(size int) (all []shape) {
	add := func(name string, cut func(*world)) {
		all = append(all, shape{size, fmt.Sprintf("%d nodes, %s", size, name), cut})
	}
	for a := range size {
		add(fmt.Sprintf("%d is deaf", a+1), func(w *world) { w.deafen(w.nodes[a]) })
		add(fmt.Sprintf("%d is mute", a+1), func(w *world) { w.mute(w.nodes[a]) })
		for b := range size {
			if a != b && (size == 3 || b == (a+1)%size) {
				add(fmt.Sprintf("no way from %d to %d", a+1, b+1), func(w *world) { w.cutOneWay(w.nodes[a], w.nodes[b]) })
			}
			if a < b && (size == 3 || a == 0 || b == a+1) { // the first reigns
				add(fmt.Sprintf("no link between %d and %d", a+1, b+1), func(w *world) { w.cut(w.nodes[a], w.nodes[b]) })
			}
		}
		if size > 3 { // of three, the bridge is a missing link
			add(fmt.Sprintf("%d is the bridge", a+1), func(w *world) {
				for i := 1; i < size; i++ {
					for j := 1; j < i; j++ {
						if (i <= size/2) != (j <= size/2) {
							w.cut(w.nodes[(a+i)%size], w.nodes[(a+j)%size])
						}
					}
				}
			})
			add(fmt.Sprintf("a chain that begins at %d", a+1), func(w *world) { w.keepOnly(a, size-1) })
		}
	}
	if size > 3 {
		add("a ring", func(w *world) { w.keepOnly(0, size) })
	}
	add("a ring of one direction", func(w *world) {
		for i, n := range w.nodes {
			w.cutOneWay(w.nodes[(i+1)%size], n)
		}
	})
	return all
}

// keepOnly keeps so many links of the ring that begins at a node, and cuts all others.
func (w *world) keepOnly(from, links int) {
	size := len(w.nodes)
	for i := range size {
		for j := range i {
			near := i-j == 1 && j < links || i-j == size-1 && links == size
			if !near {
				w.cut(w.nodes[(from+i)%size], w.nodes[(from+j)%size])
			}
		}
	}
}

// What is no division into groups: somebody reaches somebody who does not reach everybody. Nothing is asked of the time
// while it lasts but that no guarantee is broken.
func TestEveryCrookedNetwork(t *testing.T) {
	for i, s := range some(append(shapes(3), shapes(5)...)) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB}[i%2], s.size, func(w *world) {
				s.cut(w)
				w.log.say(w.t, "%s", s.name)
				time.Sleep(held)
				w.healAll()
				w.agree("all agree after " + s.name)
			})
		})
	}
}

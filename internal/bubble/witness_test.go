package bubble_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/mysqldtest"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/registry"
)

// How often a writer writes, how long it waits for an answer, and how often a hosts file is read.
const (
	writeEvery = 100 * time.Millisecond
	writeTime  = time.Second
	readEvery  = 50 * time.Millisecond
	// The same of somebody who asks a server for the present.
	askEvery = time.Second
	askTime  = 3 * time.Second
)

// witness remembers what was acknowledged and what every node has shown. Its lock is never held while the model of the
// database servers is called, which calls onAck under its own.
type witness struct {
	look    sync.Mutex
	acked   []mysqldtest.Txn
	known   map[mysqldtest.Txn]bool
	waiting map[mysqldtest.Txn]chan struct{}
	written map[*node][]time.Time // when writes through its name were acknowledged

	head     *registry.State // the newest that anybody has
	reigning registry.Epoch  // last established
	by       *node
	shown    map[*node]shown
	notices  []func(*node, *registry.Database)
	outage   time.Duration // the longest between two acknowledged writes of anybody
	lastAck  time.Time
	reads    int // of the present that were answered
}

// shown is what a node's hosts file says.
type shown struct {
	index, epoch uint64
	primary      string // ip, empty: none
}

func (v *witness) init() {
	v.known, v.waiting = map[mysqldtest.Txn]bool{}, map[mysqldtest.Txn]chan struct{}{}
	v.written, v.shown = map[*node][]time.Time{}, map[*node]shown{}
	v.head = registry.New(cluster)
}

// broken says that a guarantee does not hold.
func (w *world) broken(guarantee, format string, args ...any) {
	text := guarantee + ": " + fmt.Sprintf(format, args...)
	w.log.say(w.t, "BROKEN %s", text)
	w.t.Error(text)
}

// onAck is called when a client is answered with OK, while the group is locked.
func (w *world) onAck(by *mysqldtest.Server, t mysqldtest.Txn) {
	w.look.Lock()
	defer w.look.Unlock()
	switch {
	case w.by == nil:
		w.broken("G1", "%s acknowledges %s before anybody was established", by.ID, t)
	case w.by.server != by && !w.by.server.HoldsLocked(t):
		w.broken("G1", "%s acknowledges %s, which %s lacks, established in epoch %d", by.ID, t, w.by.server.ID, w.reigning)
	}
	w.acked = append(w.acked, t)
	w.known[t] = true
	if c := w.waiting[t]; c != nil {
		close(c)
		delete(w.waiting, t)
	}
}

// commit writes on a node's server, from another node or, if that is nil, beside it. ok is false when nobody took the write.
func (w *world) commit(ctx context.Context, on, from *node) (ok bool, err error) {
	if from != nil && !w.reaches(from, on) {
		return false, nil
	}
	t, ok := w.group.Commit(on.server)
	if !ok {
		return false, nil
	}
	w.nudge()
	w.look.Lock()
	answered := w.waiting[t]
	if !w.known[t] && answered == nil {
		answered = make(chan struct{})
		w.waiting[t] = answered
	}
	w.look.Unlock()
	if answered == nil {
		return true, nil
	}
	select {
	case <-answered:
		return true, nil
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// write is an application on this machine: it writes to where the hosts file says, again and again.
func (n *node) write(ctx context.Context) {
	w := n.w
	for ctx.Err() == nil {
		time.Sleep(writeEvery)
		on := w.at(w.shows(n).primary)
		if on == nil {
			continue
		}
		wait, cancel := context.WithTimeout(ctx, writeTime)
		ok, err := w.commit(wait, on, n)
		cancel()
		if !ok || err != nil {
			continue
		}
		w.look.Lock()
		now := time.Now()
		w.written[n] = append(w.written[n], now)
		if !w.lastAck.IsZero() {
			w.outage = max(w.outage, now.Sub(w.lastAck))
		}
		w.lastAck = now
		w.look.Unlock()
	}
}

// through is how many writes were acknowledged through a node's name.
func (w *world) through(n *node) int {
	w.look.Lock()
	defer w.look.Unlock()
	return len(w.written[n])
}

// at is the node with this address.
func (w *world) at(ip string) *node {
	for _, n := range w.nodes {
		if n.host.IP() == ip {
			return n
		}
	}
	return nil
}

func (w *world) shows(n *node) shown {
	w.look.Lock()
	defer w.look.Unlock()
	return w.shown[n]
}

// readHosts reads the node's hosts file again and again and checks G6 and G8.
func (n *node) readHosts(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(readEvery)
		text, err := os.ReadFile(n.hosts())
		if err != nil || !strings.HasPrefix(string(text), "127.0.0.1 localhost\n") {
			n.w.broken("G8", "the hosts file of %s: %v: %q", n.id, err, text)
			return
		}
		now, count := parseHosts(string(text))
		was := n.w.shows(n)
		if now.index < was.index || now.epoch < was.epoch || count > 1 {
			n.w.broken("G6", "the hosts file of %s says %+v after %+v, %d primaries", n.id, now, was, count)
		}
		n.w.look.Lock()
		n.w.shown[n] = now
		n.w.look.Unlock()
	}
}

// read asks a server again and again for the present, and checks G9: it never hears of an older reign than one that was
// established before it asked.
func (w *world) read(ctx context.Context, server *api.Client) {
	for ctx.Err() == nil {
		time.Sleep(askEvery)
		w.look.Lock()
		known := w.reigning
		w.look.Unlock()
		wait, cancel := context.WithTimeout(ctx, askTime)
		v, err := server.Database(wait, database, api.Current)
		cancel()
		if err != nil {
			continue // it has no majority, or is down
		}
		w.look.Lock()
		w.reads++
		w.look.Unlock()
		if v.Database.Epoch < known {
			w.broken("G9", "a read of the present says epoch %d, and epoch %d was established before", v.Database.Epoch, known)
		}
	}
}

// parseHosts also returns how many addresses the primary's name has.
func parseHosts(text string) (s shown, primaries int) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "# BEGIN baton "+cluster) {
			_, rest, _ := strings.Cut(line, " epoch=")
			_, _ = fmt.Sscanf(rest, "%d gen=%d", &s.epoch, &s.index) // a line that is otherwise stays at 0 and is noticed
			continue
		}
		if len(fields) == 2 && fields[1] == "primary."+database+".db."+domain {
			s.primary = fields[0]
			primaries++
		}
	}
	return s, primaries
}

// watch looks at every state that a node has, at the moment it has it.
func (w *world) watch(ctx context.Context, n *node, f promote.Feed) {
	var last *registry.State
	for ctx.Err() == nil {
		changed := f.Changed()
		s := f.State()
		if last == nil || s.Index() != last.Index() {
			w.saw(n, last, s)
			last = s
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (w *world) saw(n *node, last, s *registry.State) {
	if last != nil && s.Index() < last.Index() {
		w.broken("G6", "%s went back from %d to %d", n.id, last.Index(), s.Index())
	}
	d, ok := s.Database(database)
	if !ok {
		return
	}
	w.checkName(n, s, d)
	if last != nil {
		if before, ok := last.Database(database); ok && d.Epoch < before.Epoch {
			w.broken("G6", "%s went back from epoch %d to %d", n.id, before.Epoch, d.Epoch)
		}
	}
	w.look.Lock()
	newest := s.Index() > w.head.Index()
	if newest {
		w.head = s
	}
	established := d.Phase == registry.Serving && d.Epoch > w.reigning
	if established {
		w.reigning, w.by = d.Epoch, w.nodeOf(d.Primary)
	}
	by, acked, notices := w.by, w.acked, w.notices
	w.look.Unlock()
	if established {
		w.log.say(w.t, "%s is established in epoch %d: %s", d.Primary, d.Epoch, d.Cause)
		for _, t := range acked {
			if w.worth == registry.Lossless && !by.server.Holds(t) {
				w.broken("G2", "%s is established in epoch %d without %s", d.Primary, d.Epoch, t)
			}
		}
	}
	if newest {
		for _, notice := range notices {
			notice(n, d)
		}
	}
}

// checkName checks G6 in one state: the primary's name has one address or none, and it is that of who reigns.
func (w *world) checkName(n *node, s *registry.State, d *registry.Database) {
	for _, r := range s.Records() {
		if r.Name != "primary."+database+".db" || len(r.Addrs) == 0 {
			continue
		}
		on := w.nodeOf(d.Primary)
		if len(r.Addrs) != 1 || d.Phase != registry.Serving || r.Addrs[0].String() != on.host.IP() {
			w.broken("G6", "%s shows %v in %s of epoch %d, whose primary is %s", n.id, r.Addrs, d.Phase, d.Epoch, d.Primary)
		}
	}
}

func (w *world) nodeOf(id registry.InstanceID) *node {
	for _, n := range w.nodes {
		if n.server.ID == string(id) {
			return n
		}
	}
	return nil
}

// notice calls f with every new state of the database, at the moment at which the first node has it: the leader, before any
// message about it has arrived anywhere.
func (w *world) notice(f func(*node, *registry.Database)) {
	w.look.Lock()
	defer w.look.Unlock()
	w.notices = append(w.notices, f)
}

// newest is the database in the newest state that anybody has.
func (w *world) newest() *registry.Database {
	w.look.Lock()
	defer w.look.Unlock()
	if d, ok := w.head.Database(database); ok {
		return d
	}
	return &registry.Database{}
}

// notWhole says what is missing until somebody reigns and every other member follows and acknowledges.
func (w *world) notWhole() string {
	d := w.newest()
	if d.Phase != registry.Serving || d.Change != nil || d.Durability != w.worth || d.IsLossless() && len(d.Ackers) != len(d.Members)-1 {
		return fmt.Sprintf("%s in epoch %d, ackers %v, change %v, refusal %v", d.Phase, d.Epoch, d.Ackers, d.Change, d.Refusal)
	}
	return ""
}

// disagree says what is missing until all know one leader, every node shows the same primary and every writer writes, since a moment.
func (w *world) disagree(since time.Time) string {
	d := w.newest()
	if d.Phase != registry.Serving {
		return fmt.Sprintf("%s in epoch %d: %s; %s", d.Phase, d.Epoch, d.Cause, d.Refusal)
	}
	on := w.nodeOf(d.Primary)
	var open []string
	for _, n := range w.nodes {
		if n.server.Writable() {
			open = append(open, n.server.ID)
		}
	}
	if len(open) != 1 || open[0] != on.server.ID {
		return fmt.Sprintf("%v take writes, %s is primary", open, d.Primary)
	}
	for _, n := range w.nodes {
		if leader := n.believes(); leader == "" || leader != w.nodes[0].believes() || n.leads() != (leader == n.id) {
			return fmt.Sprintf("%s takes %q for the leader, %s takes %q", n.id, leader, w.nodes[0].id, w.nodes[0].believes())
		}
	}
	w.look.Lock()
	defer w.look.Unlock()
	for _, n := range w.nodes {
		if s := w.shown[n]; s.primary != on.host.IP() || s.epoch != uint64(d.Epoch) {
			return fmt.Sprintf("the hosts file of %s shows %+v, %s is primary in epoch %d", n.id, s, d.Primary, d.Epoch)
		}
		if all := w.written[n]; len(all) == 0 || all[len(all)-1].Before(since) {
			return fmt.Sprintf("no write through %s since", n.id)
		}
	}
	return ""
}

package discovery

import (
	"fmt"
	"net"

	"github.com/hashicorp/memberlist"
)

// delegate is what memberlist calls. Nothing in it waits: many calls come with memberlist's lock held, and others from the
// loop that reads packets.
type delegate struct {
	name    string
	meta    []byte
	members *members
	logs    *logQueue
	urgent  urgency
	notices *memberlist.TransmitLimitedQueue
}

func (d *delegate) warn(format string, args ...any) {
	d.logs.put("[WARN] " + fmt.Sprintf(format, args...))
}

// NodeMeta is sent with every message that this node is alive.
func (d *delegate) NodeMeta(int) []byte { return d.meta }

// NotifyMsg takes a notice of another Gossip and, if it is news, passes it on.
func (d *delegate) NotifyMsg(b []byte) {
	name, l, err := decodeLeave(b)
	if err != nil {
		d.warn("ignoring a message: %v", err)
		return
	}
	if d.members.goodbye(name, l) {
		d.spread(encodeLeave(name, l))
	}
}

// GetBroadcasts is asked for notices to send along with each packet of news.
func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.notices.GetBroadcasts(overhead, limit)
}

// LocalState adds nothing to full exchanges: a notice missed is not worth keeping.
func (d *delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState has nothing to take.
func (d *delegate) MergeRemoteState([]byte, bool) {}

// NotifyAlive refuses members whose name could not have been configured.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	if !validName(n.Name) {
		return fmt.Errorf("%.80q is not a node name", n.Name)
	}
	return nil
}

// NotifyJoin is called for new members and for returning ones.
func (d *delegate) NotifyJoin(n *memberlist.Node) { d.alive(n) }

// NotifyUpdate is called when a member's metadata changed.
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.alive(n) }

func (d *delegate) alive(n *memberlist.Node) {
	if err := d.members.alive(n); err != nil {
		d.warn("ignoring what %s says of itself: %v", n.Name, err)
	}
	d.urgent.raise()
}

// NotifyLeave is called for members that failed and for those that left.
func (d *delegate) NotifyLeave(n *memberlist.Node) {
	d.members.gone(n.Name)
	d.urgent.raise()
}

// NotifyConflict is called when two nodes use one name. memberlist keeps the first.
func (d *delegate) NotifyConflict(existing, other *memberlist.Node) {
	whose := "the node name " + existing.Name
	if existing.Name == d.name {
		whose = "this node's name"
	}
	d.warn("%s is used at %s and at %s: one of them must be renamed or stopped (a machine that changed its address is let in once its old one has failed)",
		whose, hostPort(existing), hostPort(other))
}

func hostPort(n *memberlist.Node) string {
	return (&net.TCPAddr{IP: n.Addr, Port: int(n.Port)}).String()
}

func (d *delegate) spread(notice []byte) { d.notices.QueueBroadcast(broadcast(notice)) }

// broadcast is a notice in the queue.
type broadcast []byte

// Invalidates is false: notices do not replace each other.
func (b broadcast) Invalidates(memberlist.Broadcast) bool { return false }

// Message is the notice.
func (b broadcast) Message() []byte { return b }

// Finished needs nothing done.
func (b broadcast) Finished() {}

// UniqueBroadcast says that no two notices in the queue are about the same thing.
func (b broadcast) UniqueBroadcast() {}

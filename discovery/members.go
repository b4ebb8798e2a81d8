package discovery

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// State is how a member is seen from here.
type State int

// The states of a member.
const (
	Alive  State = iota // answers, to this node or to others
	Failed              // stopped answering without a word
	Left                // said goodbye
)

// String is the state in lower case.
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Failed:
		return "failed"
	case Left:
		return "left"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Member is a node as gossip last spoke of it.
type Member struct {
	Name  string
	Addr  netip.AddrPort // of its gossip
	Meta  Meta           // zero if it could not be read
	State State
	Since time.Time // of the state, on this machine's clock

	life life
}

// members is what gossip has told. Its methods are called by memberlist, mostly under memberlist's lock, and never wait
// for anything but each other.
type members struct {
	mu      sync.Mutex
	byName  map[string]*Member
	leaving map[string]life // lives whose goodbye was heard; in step with byName
	changed chan struct{}
}

func newMembers() *members {
	return &members{byName: make(map[string]*Member), leaving: make(map[string]life), changed: make(chan struct{})}
}

// snapshot is all members by name.
func (m *members) snapshot() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Member, 0, len(m.byName))
	for _, one := range m.byName {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (m *members) find(name string) (Member, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if one := m.byName[name]; one != nil {
		return *one, true
	}
	return Member{}, false
}

// count is how many members are alive, for the library.
func (m *members) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, one := range m.byName {
		if one.State == Alive {
			n++
		}
	}
	return n
}

func (m *members) changes() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// alive takes in a member that joined, returned or changed. The node belongs to memberlist: everything is copied.
func (m *members) alive(n *memberlist.Node) error {
	addr, _ := netip.AddrFromSlice(n.Addr)
	meta, l, err := decodeMeta(n.Meta)
	m.mu.Lock()
	defer m.mu.Unlock()
	since := time.Now()
	if old := m.byName[n.Name]; old != nil && old.State == Alive && old.life == l {
		since = old.Since
	}
	m.byName[n.Name] = &Member{Name: n.Name, Addr: netip.AddrPortFrom(addr.Unmap(), n.Port), Meta: meta, State: Alive, Since: since, life: l}
	if m.leaving[n.Name] != l {
		delete(m.leaving, n.Name)
	}
	m.signal()
	return err
}

// gone takes in that a member is no longer there.
func (m *members) gone(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.byName[name]
	if one == nil {
		return
	}
	one.State, one.Since = Failed, time.Now()
	if l, ok := m.leaving[name]; ok && l == one.life {
		one.State = Left
	}
	m.signal()
}

// goodbye takes in a notice of leaving, before or after the fact, and says whether it was news.
func (m *members) goodbye(name string, l life) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.byName[name]
	if known, ok := m.leaving[name]; one == nil || one.life != l || ok && known == l {
		return false
	}
	m.leaving[name] = l
	if one.State == Failed {
		one.State = Left
		m.signal()
	}
	return true
}

// forget drops members that have been gone for long enough.
func (m *members) forget(failed, left time.Duration, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.byName)
	for name, one := range m.byName {
		age := now.Sub(one.Since)
		if one.State == Failed && age > failed || one.State == Left && age > left {
			delete(m.byName, name)
			delete(m.leaving, name)
		}
	}
	if len(m.byName) != before {
		m.signal()
	}
}

func (m *members) signal() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Kind is what happened to a member.
type Kind int

// The kinds of event.
const (
	Joined    Kind = iota // seen for the first time, or again after it left
	Updated               // its address or metadata changed
	Unreached             // it failed
	Returned              // it was failed and answers again, or is a new life that nobody saw the old one end of
	Departed              // it left
)

// String is the kind in lower case.
func (k Kind) String() string {
	names := []string{"joined", "updated", "unreached", "returned", "departed"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// Event is one change of one member, with the member as it was afterwards.
type Event struct {
	Kind   Kind
	Member Member
}

// Diff yields what happened between two snapshots, each in order of name. What began and ended in between is not seen, and
// members that were forgotten make no event.
func Diff(before, after []Member) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		i := 0
		for _, now := range after {
			for i < len(before) && before[i].Name < now.Name {
				i++
			}
			was, known := Member{}, i < len(before) && before[i].Name == now.Name
			if known {
				was = before[i]
			}
			if kind, ok := compare(was, known, now); ok && !yield(Event{kind, now}) {
				return
			}
		}
	}
}

func compare(was Member, known bool, now Member) (Kind, bool) {
	if !known || was.State == Left && now.State == Alive {
		return Joined, now.State == Alive
	}
	switch {
	case now.State == Failed:
		return Unreached, was.State != Failed
	case now.State == Left:
		return Departed, was.State != Left
	case was.State == Failed || was.life != now.life:
		return Returned, true
	}
	return Updated, was.Addr != now.Addr || was.Meta != now.Meta
}

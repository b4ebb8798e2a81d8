package registry

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
)

// IDs have their own types so that arguments cannot be swapped. All of them are lower-case DNS labels (ValidName).
type (
	// ClusterID names the cluster; certificates, gossip and data directories carry it.
	ClusterID string
	// NodeID names a machine's baton; it never changes and is not an address.
	NodeID string
	// InstanceID names one database server inside its database.
	InstanceID string
	// DatabaseName names a replicated database.
	DatabaseName string
	// ServiceName names a service.
	ServiceName string
	// Epoch numbers the reigns of a database's primary; 0 means none yet. It only grows.
	Epoch uint64
	// Index is the position of the last command that a State contains; it only grows.
	Index uint64
)

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ValidName reports why s cannot be a name in the cluster, or nil: names are DNS labels of 1 to 63 lower-case letters,
// digits and inner hyphens, because every one of them becomes part of a DNS name and of a hosts file.
func ValidName(s string) error {
	if namePattern.MatchString(s) {
		return nil
	}
	return fmt.Errorf("name %q: want 1 to 63 of a-z, 0-9 and inner hyphens", s)
}

// validAddr reports why a cannot be published, or nil. Everything here ends in a DNS answer and in a line of a hosts file:
// a zone means something on one machine only and may hold any byte, and one address must not have two spellings.
func validAddr(a netip.Addr) error {
	switch {
	case a.Zone() != "":
		return fmt.Errorf("address %q: an address with a zone cannot be published", a)
	case a.Is4In6():
		return fmt.Errorf("address %s: write it as %s", a, a.Unmap())
	case a.IsUnspecified() || a.IsMulticast():
		return fmt.Errorf("address %s: nobody can be reached there", a)
	}
	return nil
}

// checkAddr parses s and reports why it cannot be published, or nil.
func checkAddr(s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	return validAddr(a)
}

// Role says whether a node votes.
type Role string

// The roles of a node.
const (
	RoleServer Role = "server" // a Raft voter
	RoleClient Role = "client" // follows the state stream of any server
)

// Flavor is the family of a database server.
type Flavor string

// The flavors.
const (
	MySQL   Flavor = "mysql"
	MariaDB Flavor = "mariadb"
)

// Phase is where a database stands in its life; see the package comment.
type Phase string

// The phases.
const (
	Forming   Phase = "forming"
	Closing   Phase = "closing"
	Fencing   Phase = "fencing"
	Promoting Phase = "promoting"
	Serving   Phase = "serving"
)

// Durability is what an acknowledged commit is worth, a committed decision and never a server's timeout.
type Durability string

// The durabilities. Only Lossless carries G1 and G2 without a clock.
const (
	Lossless Durability = "lossless"
	Degraded Durability = "degraded"
	Async    Durability = "async"
)

// Preference orders the candidates of an election.
type Preference string

// The preferences, best first.
const (
	Prefer     Preference = "prefer"
	Normal     Preference = "normal"
	LastResort Preference = "last-resort"
	Never      Preference = "never"
)

// Rank is smaller for the better preference.
func (p Preference) Rank() int {
	return slices.Index([]Preference{Prefer, Normal, LastResort, Never}, p)
}

// Cause names a situation (PrimaryGone, Switchover, ...) and says it in words. Code is one of promote's names.
type Cause struct {
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// ReplicaUnproven is the code of a member that Apply itself keeps out of rotation, because a newcomer or a former primary
// may hold too little, or too much, to be read from; SetRotation puts it back when it is seen to follow.
const ReplicaUnproven = "ReplicaUnproven"

// Zero reports whether no cause is recorded.
func (c Cause) Zero() bool { return c.Code == "" }

func (c Cause) String() string {
	if c.Detail == "" {
		return c.Code
	}
	return c.Code + ": " + c.Detail
}

// Node is a machine that runs baton.
type Node struct {
	ID      NodeID `json:"id"`
	Address string `json:"address"` // IP address others use
	API     string `json:"api"`     // host:port of its API
	Role    Role   `json:"role"`
	Zone    string `json:"zone,omitempty"`
	Version string `json:"version,omitempty"`
}

// ServiceInstance is one running copy of a service.
type ServiceInstance struct {
	Service ServiceName `json:"service"`
	ID      string      `json:"id"` // unique on its node
	Node    NodeID      `json:"node"`
	Address string      `json:"address"` // IP address
	Port    uint16      `json:"port"`
	Tags    []string    `json:"tags,omitempty"`
	Weight  uint16      `json:"weight,omitempty"`
	Failing Cause       `json:"failing,omitzero"` // zero: in rotation
}

// Member is one database server of a database.
type Member struct {
	ID          InstanceID `json:"id"`
	Node        NodeID     `json:"node"`
	Address     string     `json:"address"` // ip:port on which it serves applications and replicas
	ServerUUID  string     `json:"server_uuid,omitempty"`
	ServerID    uint32     `json:"server_id,omitempty"`
	Flavor      Flavor     `json:"flavor"`
	Version     string     `json:"version,omitempty"`
	Zone        string     `json:"zone,omitempty"`
	Preference  Preference `json:"preference"`
	PromiseFile string     `json:"promise_file,omitempty"`   // its guard acts on no state that names another (G3); see promote
	OutOf       Cause      `json:"out_of_rotation,omitzero"` // why replicas.<db>.db leaves it out; zero: in rotation
	Leaving     Cause      `json:"leaving,omitzero"`         // why it is to leave the database; zero: it stays. See Leave
	Rejoin      Wish       `json:"rejoin,omitzero"`          // how an operator wants it brought back; zero: as its node says. See Rejoin
}

// SourceKey is how the transactions that this member originates are told apart in a GTID set: the server's UUID on
// MySQL, its server id on MariaDB.
func (m Member) SourceKey() string {
	if m.Flavor == MariaDB {
		return fmt.Sprint(m.ServerID)
	}
	return m.ServerUUID
}

// Policy is what an operator wants of a database.
type Policy struct {
	Expect int  `json:"expect"` // members that must be present before the first primary is chosen
	K      int  `json:"k"`      // acknowledgements a commit waits for
	Paused bool `json:"paused,omitempty"`
	// MaxLagSeconds is how far a replica may be behind and still be in replicas.<db>.db.
	MaxLagSeconds int `json:"max_lag_seconds"`
	// SwitchoverSeconds is how long a planned hand-over may keep the former primary closed before it is undone.
	SwitchoverSeconds int `json:"switchover_seconds"`
	// Durability is what commits are to be worth: Lossless (also ""), or Async. Database.Durability is what they are.
	Durability Durability `json:"durability,omitempty"`
	// WhenAlone is what a lossless primary does that nobody acknowledges any more: Block (also ""), or Yield.
	WhenAlone WhenAlone `json:"when_alone,omitempty"`
}

// DefaultPolicy is a three-server database that loses nothing to one failure.
func DefaultPolicy() Policy {
	return Policy{Expect: 3, K: 1, MaxLagSeconds: 30, SwitchoverSeconds: 3}
}

// Validate says what is wrong with the policy.
func (p Policy) Validate() error {
	switch {
	case p.Expect < 2:
		return fmt.Errorf("expect = %d: a database needs at least 2 members to survive a failure", p.Expect)
	case p.K < 1 || p.K >= p.Expect:
		return fmt.Errorf("k = %d: want 1 to %d acknowledgements for %d members", p.K, p.Expect-1, p.Expect)
	case p.MaxLagSeconds < 1 || p.SwitchoverSeconds < 1:
		return fmt.Errorf("max_lag_seconds = %d, switchover_seconds = %d: want at least 1", p.MaxLagSeconds, p.SwitchoverSeconds)
	}
	return p.validateDurability()
}

// Evidence is what one member reported when it was fenced or closed for an epoch.
type Evidence struct {
	Instance InstanceID `json:"instance"`
	Position string     `json:"position"` // GTID set: received and executed
	Amnesiac bool       `json:"amnesiac,omitempty"`
}

// Event is one line of a database's history.
type Event struct {
	Index    Index      `json:"index"`
	AtMillis int64      `json:"at_ms"` // proposer's wall clock, for people only
	Epoch    Epoch      `json:"epoch"`
	Phase    Phase      `json:"phase"`
	Instance InstanceID `json:"instance,omitempty"`
	Cause    Cause      `json:"cause"`
}

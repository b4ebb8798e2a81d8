package chaos

import (
	"context"
	"slices"
	"time"
)

// Role says whom a fault strikes. It is resolved to a host when the fault is injected.
type Role string

// The roles.
const (
	Primary  Role = "primary"  // the host of the database's primary
	Replica  Role = "replica"  // one of the other two
	Leader   Role = "leader"   // the host of the coordinator that leads
	Follower Role = "follower" // one of the others
	All      Role = "all"
)

// Part is what a fault occupies: two faults that strike at a time have no part in common, so that each can be healed
// without regard to the other.
type Part string

// The parts.
const (
	Server Part = "server" // the database servers' processes
	Baton  Part = "baton"  // the processes of baton
	Net    Part = "net"
	Disk   Part = "disk"
	SQL    Part = "sql" // what people and applications do on a server
)

// Effect is what a fault on its own may cause; what none of them allows is a finding. Nothing may ever be lost,
// acknowledged twice, or stay broken after healing.
type Effect string

// The effects.
const (
	Survived Effect = "survived" // a failover; writes go on within seconds
	Blocking Effect = "blocking" // writes may wait until it is healed, for as long as it lasts
	Harmless Effect = "harmless" // no failover at all
	// HarmlessBlocking is no failover either, and writes may wait.
	HarmlessBlocking Effect = "harmless, blocking"
)

func (e Effect) harmless() bool { return e == Harmless || e == HarmlessBlocking }

// Kind is one kind of fault.
type Kind struct {
	Name   string
	Role   Role
	Parts  []Part
	Effect Effect
	// Hold is how long it lasts, at least and at most, before it is healed. A kill is over at once.
	Hold [2]time.Duration
	// Weight is how often it is drawn, relative to others.
	Weight int
	// Inject does it on a host and returns what heals it. One that fails must have healed itself.
	inject func(ctx context.Context, f *field, host int) (heal, error)
}

// exact says that the fault is harmless because it does not last longer than it says.
func (k Kind) exact() bool { return k.Effect == Harmless && k.Hold[0] == k.Hold[1] }

// heal takes a fault back. It is called once.
type heal func(context.Context) error

// Kinds are all kinds of faults.
func Kinds() []Kind {
	return slices.Concat(serverKinds(), batonKinds(), netKinds(), diskKinds(), sqlKinds())
}

// CalmKinds are those that must not cause a failover.
func CalmKinds() []Kind {
	return slices.DeleteFunc(Kinds(), func(k Kind) bool { return !k.Effect.harmless() })
}

// lasts makes a Hold.
func lasts(from, to time.Duration) [2]time.Duration { return [2]time.Duration{from, to} }

// nothing heals what heals by itself.
func nothing(context.Context) error { return nil }

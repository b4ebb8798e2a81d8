package promote

import (
	"testing"

	"github.com/baton-db/baton/registry"
)

// handing is a reign of db1 whose hand-over to db2 is being prepared: db3 is to move.
func handing() *registry.Database {
	return group(3).with(func(d *registry.Database) {
		d.Revision = 4
		d.Handover = &registry.Handover{To: "db2", Movers: []registry.InstanceID{"db3"}, Cause: registry.Cause{Code: "Switchover"}}
	}).d
}

func TestAnAckerMovesToTheWantedWinnerBeforeThePrimaryCloses(t *testing.T) {
	d := handing()
	moved := but(following(d, "db3", db2at, Acknowledges), func(l *Local) { l.Connected = true })
	over := handing()
	over.Handover = nil
	runNext(t, []next{
		{"it follows the primary", d, "db3", following(d, "db3", db1at, Acknowledges), "move"},
		{"it follows the wanted winner", d, "db3", moved, "wait"},
		{"it is only connecting", d, "db3", but(moved, func(l *Local) { l.Connected = false }), "move"},
		{"it does not acknowledge there", d, "db3", but(moved, func(l *Local) { l.SemiSync = Silent }), "move"},
		{"it has not promised the revision", d, "db3", but(moved, func(l *Local) { l.Record.Revision = 3 }), "promise"},
		{"the wanted winner stays", d, "db2", following(d, "db2", db1at, Acknowledges), "wait"},
		{"the primary goes on", d, "db1", reigning(d), "wait"},
		{"it may lack what it has acknowledged", d, "db3", but(following(d, "db3", db1at, Acknowledges), func(l *Local) { l.CaughtUp = false }), "measure"},
		{"its server was restarted meanwhile", d, "db3", but(moved, func(l *Local) { l.CaughtUp, l.Receiving = false, false }), "rejoin db1 acks"},
		{"somebody opened it", d, "db3", but(moved, func(l *Local) { l.ReadOnly = false }), "shut"},
		{"it was given up", over, "db3", moved, "rejoin db1 acks"},
	})
	closing := group(3).closing().d
	elected := group(3).promoting().d
	runNext(t, []next{
		{"the primary closes", closing, "db3", following(closing, "db3", db2at, Acknowledges), "wait"},
		{"the wanted winner was elected", elected, "db3", but(following(elected, "db3", db2at, Acknowledges), func(l *Local) { l.Record.Follows = 1 }), "follow db2 acks"},
	})
}

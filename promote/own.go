package promote

import (
	"errors"
	"fmt"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// ErrLostOwn: a server lacks transactions that it wrote itself. A disk that lost its last writes does that, and a copy that
// was made too early.
var ErrLostOwn = errors.New("has lost what it wrote itself")

// lostOwn is what the base has of id's own transactions and id has not. MySQL drops what comes back to the server that wrote
// it, without a word and without an error, so that such a server would acknowledge and lack it for ever (seen on 9.7.4 after
// the disk of a primary had died). MariaDB is not judged
// here: whether it takes its own transactions back was not seen.
func lostOwn(d *registry.Database, id registry.InstanceID, st mysqld.Status) (mysqld.GTIDSet, error) {
	if st.Flavor != mysqld.MySQL {
		return mysqld.GTIDSet{}, nil
	}
	base, err := mysqld.ParseGTIDSet(st.Flavor, d.Base)
	if err != nil {
		return mysqld.GTIDSet{}, fmt.Errorf("base of epoch %d: %w", d.Epoch, err)
	}
	me, _ := d.Member(id)
	return base.Only(me.SourceKey()).Minus(st.Position()), nil
}

// lostOwn refuses to follow, and says why; nil when nothing is lost.
func (g *Guard) lostOwn(lost mysqld.GTIDSet) error {
	if lost.IsEmpty() {
		return nil
	}
	g.note(func(r *health.Guard) { r.CaughtUp = false })
	return fmt.Errorf("%s %w: %s. No source can send it that again, so it is kept out. Way out: give it a fresh copy of another server and a server id of its own",
		g.cfg.Instance, ErrLostOwn, lost)
}

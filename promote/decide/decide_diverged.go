package decide

import (
	"fmt"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// diverged is what member id holds and nobody can have been answered for: its own guard saw in the last reign that the
// reigning primary lacks it. Everything acknowledged before that reign is in its base, and in it only its source wrote, so the
// rest may be given up, and must not be asked of a winner: members that hold the markers of two winners that were never
// established would block every election. What was seen in an earlier reign proves nothing: its writer may have reigned since.
func (e election) diverged(id registry.InstanceID) (mysqld.GTIDSet, error) {
	g, none := e.view[id].Guard, mysqld.GTIDSet{}
	if g.Diverged == "" || g.DivergedIn != e.d.Epoch-1 {
		return none, nil
	}
	extra, err := e.parse(g.Diverged)
	if err != nil {
		return none, fmt.Errorf("what %s holds and the primary lacked: %w", id, err)
	}
	began, err := e.parse(e.d.Reign.Base)
	if err != nil {
		return none, fmt.Errorf("base of the last reign: %w", err)
	}
	return extra.Minus(began).Without(e.d.Reign.Source), nil
}

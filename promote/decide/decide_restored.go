package decide

import (
	"fmt"
	"slices"

	"github.com/baton-db/baton/registry"
)

// restored says that the registry is older than what its own guards have promised, which are the youngest that is left of it.
// An epoch that was minted before must not be minted again: the fences of its first life would count, at positions of then, and
// what was acknowledged since would be lost. Members that count for nothing may come from elsewhere, and stop nobody.
func (e election) restored() registry.Cause {
	for _, m := range e.d.Members {
		counts := e.d.Epoch == 0 || m.ID == e.d.Primary || m.ID == e.d.Former || e.d.IsAcker(m.ID) || slices.Contains(e.d.NextAckers, m.ID)
		g := e.view[m.ID].Guard
		if counts && (g.Promise > e.d.Epoch || g.Promise == e.d.Epoch && g.Revision > e.d.Revision) {
			return registry.Cause{Code: RegistryBehind, Detail: fmt.Sprintf("%s has promised epoch %d, revision %d, and the registry is at epoch %d, revision %d: it was restored from something older, and nobody is promoted by it. "+
				"Way out: bring back the servers that hold the newer one; if they are gone for good: docs/operate.md, \"When the registry was restored\"",
				m.ID, g.Promise, g.Revision, e.d.Epoch, e.d.Revision)}
		}
	}
	return registry.Cause{}
}

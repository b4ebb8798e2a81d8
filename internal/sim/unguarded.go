package sim

import (
	"slices"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// unguarded lets the machine of the primary stand still until a is fenced, and its agent dead: what only the fence itself can
// stop. Left to chance, that comes together in one schedule of a hundred thousand.
func (w *world) unguarded(a, _ *host) bool {
	p := w.primary()
	if w.shape.Flavor != mysqld.MySQL || p == nil || p == a || !a.server.Running() || !p.standsStill() { // MariaDB's fence is the guard's promise alone
		return false
	}
	a.doomed = true
	return true
}

// dies lets the agent of a doomed host die as soon as a leader has heard that its server is fenced, somebody start replication
// there, and the primary go on that it followed: nobody fences the server again, and what was reported is believed.
func (h *host) dies(r *health.Report) {
	w := h.world
	d := w.truth()
	fenced := r.Guard.Fenced == d.Epoch && slices.Contains([]registry.Phase{registry.Fencing, registry.Promoting}, d.Phase)
	if !h.doomed || !fenced || h.guard == nil {
		return
	}
	w.tell("    %s: its agent dies, and somebody starts replication", h.id)
	h.doomed = false
	h.end()
	h.server.HumanStarts()
	if former := w.host(d.Former); former != nil {
		former.goesOn()
	}
}

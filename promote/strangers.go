package promote

import (
	"fmt"
	"slices"
	"strings"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// strangers counts the replicas that acknowledge to the primary without being its ackers, and names those that may be the
// ones. A commit that only they have acknowledged is found by no election. Who is connected is known by server id, who
// acknowledges only by number; so an acker that is connected is taken for one that acknowledges.
func strangers(d *registry.Database, acking int, connected []mysqld.Follower) (int, string) {
	known := map[uint32]bool{}
	for _, id := range slices.Concat(d.Ackers, d.NextAckers) {
		if m, ok := d.Member(id); ok {
			known[m.ServerID] = true
		}
	}
	ours := map[uint32]bool{}
	var names []string
	for _, f := range connected {
		if known[f.ServerID] {
			ours[f.ServerID] = true
			continue
		}
		names = append(names, fmt.Sprintf("server id %d at %s:%d", f.ServerID, f.Host, f.Port))
	}
	n := acking - len(ours)
	if len(connected) == 0 { // not to be seen
		n = acking - len(known)
	}
	if n <= 0 {
		return 0, ""
	}
	if len(names) == 0 {
		names = []string{"unknown: see SHOW PROCESSLIST on the primary"}
	}
	return n, strings.Join(names, ", ")
}

// tellStrangers reports who acknowledges without being an acker of the reign.
func (g *Guard) tellStrangers(d *registry.Database, l Local) {
	text := ""
	if d.Phase == registry.Serving && d.Primary == g.cfg.Instance && !l.ReadOnly && l.AsksFor > 0 {
		if n, names := strangers(d, l.Acking, l.Followers); n > 0 {
			text = fmt.Sprintf("%d of those that acknowledge are no ackers of %s: %s", n, d.Name, names)
		}
	}
	g.note(func(r *health.Guard) {
		if text != "" && text != r.Strangers {
			g.log.Warn("acknowledgements of strangers count", "who", text)
		}
		r.Strangers = text
	})
}

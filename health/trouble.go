package health

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/baton-db/baton/registry"
)

// Troubles are what is wrong with members of d that do not keep it from being written to, in words for people. What a
// primary was kept from as a replica does not matter while it reigns.
func (v View) Troubles(d *registry.Database) []string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(v)) { // also who was not let in
		if why := v[id].Impostor(d); why != "" {
			all = append(all, why)
		}
	}
	for _, m := range d.Members {
		all = append(all, v[m.ID].hindered(d, m)...)
		if !m.OutOf.Zero() && m.ID != d.Primary {
			all = append(all, fmt.Sprintf("not read from: %s", m.OutOf))
		}
		all = append(all, v[m.ID].Power.troubles(m.ID)...)
		var unsafe []string
		for _, f := range v[m.ID].Findings {
			if f.Fatal {
				unsafe = append(unsafe, f.Setting+" = "+f.Have)
			}
		}
		if who := v[m.ID].Guard.Strangers; who != "" && m.ID == d.Primary {
			more := "commits wait for one acknowledgement more for each"
			if m.Flavor == registry.MariaDB {
				more = "acknowledged writes could be lost, for MariaDB cannot wait for more than one"
			}
			all = append(all, fmt.Sprintf("%s; %s. Way out: on that server turn semi-sync off (rpl_semi_sync_replica_enabled) and restart its receiver, or register it with an agent", who, more))
		}
		if len(unsafe) > 0 {
			all = append(all, fmt.Sprintf("acknowledged writes could be lost: %s has %s. Way out: see FINDINGS in baton db show %s",
				m.ID, strings.Join(unsafe, ", "), d.Name))
		}
	}
	return all
}

// hindered says why a replica that is heard does not get on. What it said when it was taken out of rotation may be over.
func (h Heard) hindered(d *registry.Database, m registry.Member) []string {
	var all []string
	if d.Phase != registry.Serving || m.ID == d.Primary || !h.Ever() || h.UnreachableMillis > 0 {
		return nil
	}
	if why := h.Replication.Broken(); h.Replication != nil && !h.Replication.Applier {
		all = append(all, fmt.Sprintf("%s: %s. Way out: mend what it names on that server and START REPLICA, or give it a fresh copy", m.ID, why))
	}
	if h.Guard.Stuck != "" {
		all = append(all, fmt.Sprintf("%s does not acknowledge yet: %s", m.ID, h.Guard.Stuck))
	}
	return all
}

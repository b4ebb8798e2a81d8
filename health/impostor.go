package health

import (
	"fmt"

	"github.com/baton-db/baton/registry"
)

// Impostor says why the server that reports cannot be who its name in d says, with the way out; "": it can. A data directory that
// was copied gives a server the identity of another: a primary takes both for one and keeps cutting one of them off, and what
// either has written cannot be told apart. Such a server is not let in as an acker.
func (h Heard) Impostor(d *registry.Database) string {
	own := h.Report.Member
	if !h.Ever() || own.Flavor == "" {
		return ""
	}
	for _, m := range d.Members {
		switch {
		case m.ID == h.Instance && m.Flavor != own.Flavor:
			return fmt.Sprintf("%s is a server of %s and is registered as one of %s: another server is in its place. Way out: put back the one that belongs there, or give the other a database of its own",
				h.Instance, own.Flavor, m.Flavor)
		case m.ID == h.Instance || m.Flavor != own.Flavor:
		case m.SourceKey() == own.SourceKey() && own.Flavor == registry.MySQL:
			return fmt.Sprintf("%s has the server_uuid %s of %s: a copied data directory. Way out: stop it, delete auto.cnf in its data directory, give it a server_id of its own, and start it",
				h.Instance, own.ServerUUID, m.ID)
		case m.ServerID == own.ServerID && own.ServerID != 0:
			return fmt.Sprintf("%s has the server_id %d of %s: the primary takes them for one. Way out: give it a server_id of its own, and restart it",
				h.Instance, own.ServerID, m.ID)
		}
	}
	return ""
}

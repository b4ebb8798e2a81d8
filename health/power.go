package health

import (
	"cmp"
	"fmt"

	"github.com/baton-db/baton/registry"
)

// Power is what is known of the settings by which what a server has committed survives a loss of power.
type Power struct {
	// Loose are settings that are wrong now, as "sync_binlog = 0", and Problem why they could not be put back.
	Loose   string `json:"loose,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Torn says why this server may lack what its GTIDs name: power was lost while they were wrong; with the way out.
	Torn string `json:"torn,omitempty"`
	// Restored is how often settings were put back since the agent was started, RestoredAt when that was last done by the agent's
	// wall clock (RFC 3339, for people), Last what was wrong then, and LastBy who had set it, where the server knows. Recent says
	// that it was less than an hour ago.
	Restored   int    `json:"restored,omitempty"`
	RestoredAt string `json:"restored_at,omitempty"`
	Last       string `json:"last,omitempty"`
	LastBy     string `json:"last_by,omitempty"`
	Recent     bool   `json:"recent,omitempty"`
}

// Forgets says why what this server acknowledges or commits could be gone after it was started again, in words for people; "":
// nothing is known against it.
func (r Report) Forgets() string {
	for _, f := range r.Findings {
		if f.Volatile {
			return cmp.Or(r.Power.Torn, r.Power.Loose, f.Setting+" = "+f.Have)
		}
	}
	return cmp.Or(r.Power.Torn, r.Power.Loose)
}

// troubles say what is wrong with the server id, or was of late.
func (p Power) troubles(id registry.InstanceID) (all []string) {
	if p.Torn != "" {
		all = append(all, fmt.Sprintf("%s does not count in elections (NotDurable): %s", id, p.Torn))
	}
	if p.Loose != "" && p.Problem != "" {
		all = append(all, fmt.Sprintf("a loss of power on %s could take what it has committed (NotDurable): %s, and that could not be put back: %s. "+
			"Way out: set it to 1, in its configuration file too; what baton's account needs to do it is in docs/durability.md", id, p.Loose, p.Problem))
	}
	if p.Recent {
		all = append(all, fmt.Sprintf("%s had %s until it was put back at %s, %d times since its agent was started; it was set by %s. "+
			"This is said for an hour. Way out: find who does that; see that its configuration file has 1", id, p.Last, p.RestoredAt, p.Restored,
			cmp.Or(p.LastBy, "somebody whom the server does not name")))
	}
	return all
}

package operate

import (
	"fmt"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// Pause turns the wish that d be left alone, or no longer, into a command; nil where nothing has to be changed. Who pauses it again
// gives another reason. by is whose certificate it came with.
func Pause(d *registry.Database, req api.PauseRequest, by string) *registry.SetPause {
	if !req.Paused && !d.Policy.Paused {
		return nil
	}
	cause := registry.Cause{Code: registry.DatabaseResumed, Detail: "by " + by}
	if req.Paused {
		cause.Code = registry.DatabasePaused
	}
	if req.By != "" {
		cause.Detail += fmt.Sprintf(" (%s)", req.By)
	}
	if req.Reason != "" {
		cause.Detail += ": " + req.Reason
	}
	return &registry.SetPause{Database: d.Name, Paused: req.Paused, Cause: cause}
}

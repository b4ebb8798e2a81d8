package decide

import (
	"slices"

	"github.com/baton-db/baton/registry"
)

// compareLasting is negative where b could forget what it commits and a not: what b then holds proves nothing.
func (e election) compareLasting(a, b registry.Member) int {
	forgets := func(m registry.Member) int { return min(1, len(e.view[m.ID].Forgets())) }
	return forgets(a) - forgets(b)
}

// lasting are those of ids who would not forget what they acknowledge, where they are enough; else all of them.
func (e election) lasting(ids []registry.InstanceID) []registry.InstanceID {
	firm := slices.DeleteFunc(slices.Clone(ids), func(id registry.InstanceID) bool { return e.view[id].Forgets() != "" })
	if k, enough := e.acks(firm); enough && k >= e.d.Policy.K {
		return firm
	}
	return ids
}

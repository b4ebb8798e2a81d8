package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// Heal waits until all followers follow and may acknowledge. A diverged server is given an empty data directory, as an
// operator would: it then copies everything from the primary's binary logs. It returns who was.
func (r *Rig) Heal(ctx context.Context, followers int) ([]registry.InstanceID, error) {
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var wiped []registry.InstanceID
	// An agent calls a server diverged until it has looked at the emptied one.
	again := map[registry.InstanceID]time.Time{}
	for limit.Err() == nil {
		v, err := r.Client.Database(limit, databaseName, api.Stale)
		if err == nil && ready(v, followers) {
			return wiped, nil
		}
		for _, i := range v.Instances {
			if i.Report != nil && i.Report.Guard.Diverged != "" && i.Instance != v.Database.Primary && v.Database.Phase == registry.Serving && time.Now().After(again[i.Instance]) {
				if err := r.wipe(ctx, i.Instance); err != nil {
					return wiped, err
				}
				wiped = append(wiped, i.Instance)
				again[i.Instance] = time.Now().Add(10 * time.Second)
			}
		}
		rest(limit, 50*time.Millisecond)
	}
	_, err := r.Serving(ctx, followers) // says what is lacking
	return wiped, err
}

func (r *Rig) wipe(ctx context.Context, id registry.InstanceID) error {
	s, err := r.Database(id)
	if err != nil {
		return err
	}
	if err := s.Kill(); err != nil {
		return err
	}
	if err := s.Wipe(); err != nil {
		return err
	}
	// Another server id than before: a replica does not take events that carry its own, and what this server wrote while
	// it was primary is part of what it has to copy.
	r.fresh++
	s.SetExtra(fmt.Sprintf("--server-id=%d", 100+r.fresh))
	return s.Start(ctx)
}

package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// steady is for how long all must have followed: what somebody wrote on a replica shows when the next write reaches it.
const steady = time.Second

// Heal waits until all followers have followed for a second, and may acknowledge. A diverged server is given the data directory of another replica,
// as an operator would who restores a snapshot; where nobody else follows it gets an empty one, and copies everything from
// the primary's binary logs. It returns who was.
func (r *Rig) Heal(ctx context.Context, followers int) ([]registry.InstanceID, error) {
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var wiped []registry.InstanceID
	// An agent calls a server diverged until it has looked at the emptied one.
	again := map[registry.InstanceID]time.Time{}
	var since time.Time
	for limit.Err() == nil {
		v, err := r.Client.Database(limit, databaseName, api.Stale)
		switch {
		case err != nil || !ready(v, followers):
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= steady:
			return wiped, nil
		}
		for _, i := range v.Instances {
			if i.Report != nil && i.Report.Guard.Diverged != "" && i.Instance != v.Database.Primary && v.Database.Phase == registry.Serving && time.Now().After(again[i.Instance]) {
				if err := r.wipe(ctx, i.Instance, follower(v)); err != nil {
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

// follower is a replica that holds what the primary has, or "".
func follower(v api.DatabaseView) registry.InstanceID {
	for _, i := range v.Instances {
		if i.Report != nil && i.Instance != v.Database.Primary && v.Database.IsAcker(i.Instance) &&
			i.Report.Guard.Follows == v.Database.Epoch && i.Report.Guard.CaughtUp && i.Report.Guard.Diverged == "" {
			return i.Instance
		}
	}
	return ""
}

func (r *Rig) wipe(ctx context.Context, id, like registry.InstanceID) error {
	s, err := r.Database(id)
	if err != nil {
		return err
	}
	if err := s.Kill(); err != nil {
		return err
	}
	other, err := r.Database(like)
	if err == nil {
		err = s.CopyFrom(other) // which fails when that one has just died
	}
	if err != nil {
		if err := s.Wipe(); err != nil {
			return err
		}
	}
	// Another server id than before: a replica does not take events that carry its own, and what this server wrote while
	// it was primary is part of what it has to copy.
	r.fresh++
	s.SetExtra(fmt.Sprintf("--server-id=%d", 100+r.fresh))
	return s.Start(ctx)
}

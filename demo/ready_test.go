package demo

import (
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

func TestOnlyThoseWhoAreHeardCountAsFollowing(t *testing.T) {
	view := func(change func(primary, replica *api.InstanceView)) api.DatabaseView {
		now, later := int64(50), int64(80)
		primary := api.InstanceView{Instance: "db1", AgeMillis: &now, Report: &health.Report{Guard: health.Guard{Open: 3}}}
		replica := api.InstanceView{Instance: "db2", AgeMillis: &later, Report: &health.Report{Guard: health.Guard{Follows: 3, CaughtUp: true},
			Replication: &health.Replication{Receiver: "running", Applier: true}}}
		change(&primary, &replica)
		return api.DatabaseView{Database: &registry.Database{Phase: registry.Serving, Primary: "db1", Epoch: 3, Ackers: []registry.InstanceID{"db2"}},
			Instances: []api.InstanceView{primary, replica}}
	}
	long := unheard.Milliseconds()
	for _, c := range []struct {
		name   string
		change func(primary, replica *api.InstanceView)
		want   bool
	}{
		{"all is well", func(_, _ *api.InstanceView) {}, true},
		{"the replica's agent is unheard", func(_, r *api.InstanceView) { r.AgeMillis = &long }, false},
		{"the replica's server does not answer its agent", func(_, r *api.InstanceView) { r.Report.UnreachableMillis = long }, false},
		{"the replica never reported", func(_, r *api.InstanceView) { r.AgeMillis, r.Report = nil, nil }, false},
		{"the primary's agent is unheard", func(p, _ *api.InstanceView) { p.AgeMillis = &long }, false},
		{"the primary is closed", func(p, _ *api.InstanceView) { p.Report.Guard.Open = 2 }, false},
		{"the primary's commits wait", func(p, _ *api.InstanceView) { p.Report.Canary.BlockedMillis = 300 }, false},
		{"the replica follows an older reign", func(_, r *api.InstanceView) { r.Report.Guard.Follows = 2 }, false},
		{"the replica may have forgotten what it acknowledged", func(_, r *api.InstanceView) { r.Report.Guard.Amnesiac = true }, false},
		{"the replica does not receive", func(_, r *api.InstanceView) { r.Report.Replication.Receiver = "connecting" }, false},
		{"the replica hears nothing", func(_, r *api.InstanceView) { r.Report.Replication.SilenceMillis = long }, false},
		{"the replica does not apply", func(_, r *api.InstanceView) { r.Report.Replication.Applier = false }, false},
	} {
		if got := ready(view(c.change), 1); got != c.want {
			t.Errorf("%s: ready %t", c.name, got)
		}
	}
}

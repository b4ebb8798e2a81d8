package registry_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/baton-db/baton/registry"
)

func prepare(e registry.Epoch, to registry.InstanceID) *registry.Prepare {
	return &registry.Prepare{Database: "orders", Epoch: e, To: to, Cause: why("Switchover"), AtMillis: 5000}
}

func TestAHandOverIsPreparedWhileThePrimaryServes(t *testing.T) {
	s := serving(t)
	d := orders(t, s)
	to := d.Ackers[0]
	is := orders(t, with(t, s, prepare(d.Epoch, to)))
	if is.Phase != registry.Serving || is.Epoch != d.Epoch || is.Primary != d.Primary || !slices.Equal(is.Ackers, d.Ackers) || is.Revision != d.Revision+1 {
		t.Errorf("phase %s, epoch %d, primary %s, ackers %v, revision %d: only the revision may change", is.Phase, is.Epoch, is.Primary, is.Ackers, is.Revision)
	}
	if is.Handover == nil || is.Handover.To != to || !slices.Equal(is.Handover.Movers, d.Ackers[1:]) {
		t.Fatalf("hand-over %+v, want all other ackers of %v to follow %s", is.Handover, d.Ackers, to)
	}
	for _, m := range is.Handover.Movers {
		if !slices.Contains(is.Armed, registry.Armed{Instance: m, Source: to}) {
			t.Errorf("%s may acknowledge for %s, and that is not recorded: %v", m, to, is.Armed)
		}
	}
	if after := orders(t, with(t, s, prepare(d.Epoch, to), revoke(d.Epoch+1, to))); after.Handover != nil || after.Phase != registry.Closing {
		t.Errorf("phase %s with %+v prepared, want closing and nothing", after.Phase, after.Handover)
	}
}

func TestAPreparationLeavesThePrimaryItsAcknowledgements(t *testing.T) {
	for _, c := range []struct {
		name   string
		ackers []registry.InstanceID
		k      int
		to     registry.InstanceID
		want   []registry.InstanceID
	}{
		{"the wanted winner acknowledges", []registry.InstanceID{"db2", "db3", "db4"}, 1, "db3", []registry.InstanceID{"db2", "db4"}},
		{"one more is needed", []registry.InstanceID{"db2", "db3", "db4"}, 2, "db2", []registry.InstanceID{"db4"}},
		{"all are needed", []registry.InstanceID{"db2", "db3"}, 2, "db2", nil},
		{"the wanted winner does not acknowledge", []registry.InstanceID{"db2", "db3"}, 1, "db4", []registry.InstanceID{"db3"}},
		{"nobody else is there", []registry.InstanceID{"db2"}, 1, "db2", nil},
		{"who leaves stays", []registry.InstanceID{"db2", "db5"}, 1, "db2", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &registry.Database{Ackers: c.ackers, K: c.k, Members: []registry.Member{{ID: "db5", Leaving: why(registry.MemberLeaving)}}}
			if got := d.Movers(c.to); !slices.Equal(got, c.want) {
				t.Errorf("%v follow %s, want %v", got, c.to, c.want)
			}
		})
	}
}

func TestAPreparationThatFitsNoMoreIsRefused(t *testing.T) {
	s := serving(t)
	d := orders(t, s)
	prepared := with(t, s, prepare(d.Epoch, "db2"))
	giveUp := func(revision uint64) *registry.Prepare {
		c := prepare(d.Epoch, "")
		c.Revision = revision
		return c
	}
	for name, c := range map[string]struct {
		state *registry.State
		c     registry.Command
		want  error
	}{
		"of another epoch":            {s, prepare(d.Epoch+1, "db2"), registry.ErrStale},
		"a second one":                {prepared, prepare(d.Epoch, "db3"), registry.ErrStale},
		"while the ackers change":     {with(t, s, &registry.ChangeAckers{Database: "orders", Epoch: d.Epoch, K: 2, Cause: why("AcksChange")}), prepare(d.Epoch, "db2"), registry.ErrStale},
		"to the primary":              {s, prepare(d.Epoch, d.Primary), registry.ErrInvalid},
		"to a stranger":               {s, prepare(d.Epoch, "db9"), registry.ErrInvalid},
		"between two reigns":          {with(t, s, revoke(d.Epoch+1, "")), prepare(d.Epoch+1, "db2"), registry.ErrStale},
		"given up: there is none":     {s, giveUp(d.Revision), registry.ErrStale},
		"given up: decided before":    {prepared, giveUp(d.Revision), registry.ErrStale},
		"given up":                    {prepared, giveUp(d.Revision + 1), nil},
		"the wanted winner leaves":    {prepared, leave("db2", registry.MemberLeaving), registry.ErrInvalid},
		"the ackers change meanwhile": {prepared, &registry.ChangeAckers{Database: "orders", Epoch: d.Epoch, K: 2, Cause: why("AcksChange")}, registry.ErrStale},
	} {
		t.Run(name, func(t *testing.T) {
			next, err := c.state.Next(c.state.Index()+1, c.c)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if err == nil && orders(t, next).Handover != nil {
				t.Error("it goes on")
			}
		})
	}
}

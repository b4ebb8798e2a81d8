package registry_test

import (
	"errors"
	"testing"

	"github.com/baton-db/baton/registry"
)

func TestAWishToComeBackEndsWithItsEpochAndStaysOverARegistration(t *testing.T) {
	s := with(t, serving(t), putMember("db4"))
	d, _ := s.Database("orders")
	wish := func(id registry.InstanceID, how string, epoch registry.Epoch) error {
		_, err := (&registry.Rejoin{Database: "orders", Epoch: epoch, Instance: id, How: how, Cause: why("Rejoin"), AtMillis: 5}).Apply(s)
		return err
	}
	for name, c := range map[string]struct{ got, want error }{
		"the primary":      {wish(d.Primary, "clone", d.Epoch), registry.ErrInvalid},
		"an acker":         {wish(d.Ackers[0], "clone", d.Epoch), registry.ErrInvalid},
		"a stranger":       {wish("db9", "clone", d.Epoch), registry.ErrUnknown},
		"in another epoch": {wish("db4", "clone", d.Epoch+1), registry.ErrStale},
		"in no known way":  {wish("db4", "merge", d.Epoch), registry.ErrInvalid},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	s = with(t, s, &registry.Rejoin{Database: "orders", Epoch: d.Epoch, Instance: "db4", How: "clone", Cause: why("Rejoin"), AtMillis: 5}, putMember("db4"))
	d, _ = s.Database("orders")
	m, _ := d.Member("db4")
	if want := (registry.Wish{How: "clone", Epoch: d.Epoch, AtMillis: 5}); m.Rejoin != want {
		t.Errorf("the wish is %+v, want %+v", m.Rejoin, want)
	}
	if last := d.History[len(d.History)-1]; last.Instance != "db4" || last.Cause.Code != "Rejoin" {
		t.Errorf("the history ends with %+v", last)
	}
}

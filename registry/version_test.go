package registry_test

import (
	"testing"

	"github.com/baton-db/baton/registry"
)

func TestAServerFollowsItsOwnSeriesAndOlderOnes(t *testing.T) {
	for _, c := range []struct {
		replica, source string
		want            bool
	}{
		{"10.11.19-MariaDB-0+deb12u1", "10.11.4-MariaDB", true},
		{"10.11.4-MariaDB", "10.11.19-MariaDB-0+deb12u1", true},
		{"11.8.6-MariaDB-0+deb13u1", "10.11.19-MariaDB", true},
		{"10.11.19-MariaDB", "11.8.6-MariaDB", false},
		{"10.6.9-MariaDB", "10.11.19-MariaDB", false},
		{"8.4.5", "8.0.36-28", true},
		{"8.0.36-28", "8.4.5", false},
		{"9.7.4-2", "8.4.5", true},
		{"8.10.0", "8.4.5", true},
		{"", "8.4.5", true},
		{"8.4.5", "", true},
		{"what", "8.4.5", true},
		{"8", "8.4.5", true},
	} {
		if got := (registry.Member{Version: c.replica}).CanFollow(registry.Member{Version: c.source}); got != c.want {
			t.Errorf("%q follows %q: got %t, want %t", c.replica, c.source, got, c.want)
		}
	}
}

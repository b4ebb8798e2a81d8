package identity_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/identity"
)

func TestNameReadsWhatItWrites(t *testing.T) {
	for _, want := range []identity.Name{
		{Cluster: "orders", Role: identity.RoleServer, Node: "s1"},
		{Cluster: "a", Role: identity.RoleClient, Node: "db-eu-1"},
		{Cluster: "0rders", Role: identity.RoleOperator, Node: strings.Repeat("x", 63)},
	} {
		got, err := identity.ParseName(want.String())
		if err != nil || got != want {
			t.Errorf("ParseName(%q) = %v, %v", want.String(), got, err)
		}
	}
}

func TestNameRefusesAnythingElse(t *testing.T) {
	for _, s := range []string{
		"", "baton://", "baton://orders/server", "baton://orders/server/", "baton:///server/s1", "baton://orders/admin/s1",
		"baton://orders/server/s1/x", "baton://Orders/server/s1", "baton://orders/server/S1", "spiffe://orders/server/s1",
		"baton://orders/server/s1?x", "baton://orders:1/server/s1", "baton://u@orders/server/s1", "baton://orders/server/..",
		"baton://orders/server/-s1", "baton://orders/server/s1-", "baton://orders/server/s 1", "baton://orders/server/s1\x00",
		"baton://orders/server/s1\n", "baton://orders/server/\u202es1", "baton://orders/server/" + strings.Repeat("x", 64),
	} {
		if n, err := identity.ParseName(s); err == nil {
			t.Errorf("ParseName(%q) = %v, want an error", s, n)
		}
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("baton://orders/server/s1")
	f.Add("baton://orders/client/db-1/..")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := identity.ParseName(s)
		if err != nil {
			return
		}
		if n.String() != s {
			t.Errorf("%q was read as %v, which is written otherwise", s, n)
		}
		if err := n.Validate(); err != nil {
			t.Errorf("%q was read as an invalid name: %v", s, err)
		}
	})
}

func FuzzParseFingerprint(f *testing.F) {
	f.Add(identity.Fingerprint{1, 2, 3}.String())
	f.Fuzz(func(t *testing.T, s string) {
		fp, err := identity.ParseFingerprint(s)
		if err == nil && !strings.EqualFold(fp.String(), s) {
			t.Errorf("%q was read as %s", s, fp)
		}
	})
}

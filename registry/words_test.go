package registry_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/registry"
)

func TestNamesAreDNSLabels(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "db1": true, "1": true, "orders-eu-2": true, "a--b": true, "xn--bcher-kva": true, strings.Repeat("a", 63): true,
		"": false, strings.Repeat("a", 64): false, "-a": false, "a-": false, "-": false, "DB1": false, "a.b": false, "a_b": false,
		"a b": false, "a/b": false, "bücher": false, "a\n": false, "\na": false, "a\x00": false, "*": false,
	} {
		if err := registry.ValidName(name); (err == nil) != ok {
			t.Errorf("%q: %v, want valid %t", name, err, ok)
		}
	}
}

func TestAPolicyMustSurviveAFailure(t *testing.T) {
	for _, c := range []struct {
		edit func(*registry.Policy)
		ok   bool
	}{
		{func(p *registry.Policy) {}, true},
		{func(p *registry.Policy) { p.Expect = 2 }, true},
		{func(p *registry.Policy) { p.Expect, p.K = 5, 4 }, true},
		{func(p *registry.Policy) { p.Expect = 1 }, false},
		{func(p *registry.Policy) { p.K = 0 }, false},
		{func(p *registry.Policy) { p.K = 3 }, false},
		{func(p *registry.Policy) { p.MaxLagSeconds = 0 }, false},
		{func(p *registry.Policy) { p.SwitchoverSeconds = -1 }, false},
	} {
		p := registry.DefaultPolicy()
		c.edit(&p)
		if err := p.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v, want valid %t", p, err, c.ok)
		}
	}
}

func TestPreferencesAreRankedAndUnknownOnesAreNot(t *testing.T) {
	last := -1
	for _, p := range []registry.Preference{registry.Prefer, registry.Normal, registry.LastResort, registry.Never} {
		if p.Rank() <= last {
			t.Errorf("%s ranks %d, behind %d", p, p.Rank(), last)
		}
		last = p.Rank()
	}
	if r := registry.Preference("best").Rank(); r >= 0 {
		t.Errorf("an unknown preference ranks %d", r)
	}
}

func TestTheSourceKeyIsWhatGTIDsCarry(t *testing.T) {
	m := registry.Member{ServerUUID: "uuid-1", ServerID: 7, Flavor: registry.MySQL}
	if got := m.SourceKey(); got != "uuid-1" {
		t.Errorf("mysql: %q", got)
	}
	m.Flavor = registry.MariaDB
	if got := m.SourceKey(); got != "7" {
		t.Errorf("mariadb: %q", got)
	}
}

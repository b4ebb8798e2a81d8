package health_test

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

func TestWhatALossOfPowerCouldTakeIsTold(t *testing.T) {
	d := &registry.Database{Name: "orders", Phase: registry.Serving, Primary: "db1", Members: []registry.Member{{ID: "db1"}, {ID: "db2"}}}
	for name, c := range map[string]struct {
		power   health.Power
		want    []string // nothing: it is no trouble
		forgets bool
	}{
		"all is well":          {health.Power{}, nil, false},
		"about to be put back": {health.Power{Loose: "sync_binlog = 0"}, nil, true},
		"it cannot be":         {health.Power{Loose: "sync_binlog = 0", Problem: "you need BINLOG ADMIN"}, []string{"NotDurable", "sync_binlog = 0", "BINLOG ADMIN", "Way out"}, true},
		"it was":               {health.Power{Restored: 3, Recent: true, RestoredAt: "2026-01-02T03:04:05Z", Last: "sync_binlog = 0", LastBy: "joe@h"}, []string{"db1 had sync_binlog = 0", "3 times", "joe@h", "03:04:05", "Way out"}, false},
		"nobody knows by whom": {health.Power{Restored: 1, Recent: true, Last: "sync_binlog = 0"}, []string{"somebody"}, false},
		"that is long ago":     {health.Power{Restored: 1, Last: "sync_binlog = 0"}, nil, false},
		"the power was lost":   {health.Power{Torn: "its machine was started again. Way out: a copy"}, []string{"NotDurable", "does not count", "Way out"}, true},
	} {
		h := health.Heard{Report: health.Report{Boot: "b", Power: c.power}}
		got := strings.Join(health.View{"db1": h}.Troubles(d), "\n")
		if c.want == nil && got != "" {
			t.Errorf("%s: %q", name, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if got := h.Forgets() != ""; got != c.forgets {
			t.Errorf("%s: forgets %t", name, got)
		}
	}
	f := health.Report{Findings: []health.Finding{{Setting: "charset", Fatal: true}, {Setting: "relay_log_recovery", Have: "ON", Fatal: true, Volatile: true}}}
	if got := f.Forgets(); got != "relay_log_recovery = ON" {
		t.Errorf("%q", got)
	}
}

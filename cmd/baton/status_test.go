package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// Before the first leader nothing is agreed on, so nothing is known of what the node files say.
func TestStatusWithoutALeaderDoesNotBlameTheConfiguration(t *testing.T) {
	for leader, want := range map[registry.NodeID]string{
		"":    "no databases are known here; without a leader none can be made known",
		"db1": "no databases: none of the nodes has a mysql block in its configuration",
	} {
		var w strings.Builder
		p := newPage()
		drawStatus(p, api.Status{Cluster: "prod", Node: "db1", Verdict: api.Degraded, Raft: api.RaftStatus{Leader: leader}})
		if err := p.flush(&w); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(w.String(), "\n"+want+"\n") {
			t.Errorf("leader %q: want %q at the end of\n%s", leader, want, w.String())
		}
	}
}

func TestAPausedDatabaseIsShownLoudly(t *testing.T) {
	var w strings.Builder
	p := newPage()
	pause := registry.Pause{AtMillis: 1, Cause: registry.Cause{Code: registry.DatabasePaused, Detail: "by alice: the network"}}
	drawDatabases(p, []api.DatabaseSummary{{Name: "orders", Phase: registry.Serving, Paused: true, Pause: pause}, {Name: "users", Phase: registry.Serving}})
	v := ordersView()
	d := *v.Database
	d.Policy.Paused, d.Pause = true, pause
	v.Database = &d
	drawDatabase(p, v, 0)
	if err := p.flush(&w); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"serving,PAUSED", "  PAUSED   since 1970-01-01T00:00:00Z by alice: the network"} {
		if strings.Count(w.String(), want) != 1 {
			t.Errorf("want %q once in\n%s", want, w.String())
		}
	}
}

// A script that asks whether all is well must not read yes where nothing can be decided.
func TestStatusWithoutALeaderIsShownAndSaysSoByItsExitStatus(t *testing.T) {
	f := newFake(t)
	for waiting, want := range map[bool]int{false: 0, true: exitUnreachable} {
		f.waiting = waiting
		var out, said bytes.Buffer
		code := run(t.Context(), []string{"status", "--addr", f.addr, "--identity", f.operator}, streams{strings.NewReader(""), &out, &said})
		if code != want || !strings.Contains(out.String(), "seen from  db1") || strings.Contains(said.String(), "no leader") != waiting {
			t.Errorf("without a leader %t: exit status %d, want %d; it says %s%s", waiting, code, want, out.String(), said.String())
		}
	}
}

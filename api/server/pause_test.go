package server_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

func TestAPauseIsRecordedShownAndTakenBack(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	for _, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		r.node("s1").Receive(report(id, 1))
	}
	client := r.client(r.as(identity.RoleOperator, "alice"), "s1")
	ask := func(req api.PauseRequest) api.PauseResult {
		t.Helper()
		res, err := client.Pause(t.Context(), "orders", req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	last := func() registry.Cause {
		d, _ := r.node("s1").State().Database("orders")
		return d.History[len(d.History)-1].Cause
	}
	res := ask(api.PauseRequest{Paused: true, Reason: "the network", By: "root"})
	by := res.Pause.Cause.Detail
	if !res.Paused || res.Index == 0 || res.Pause.AtMillis == 0 || !strings.Contains(by, "alice (root): the network") || last() != res.Pause.Cause {
		t.Errorf("paused: %+v, in the history %s", res, last())
	}
	st, err := client.Status(t.Context(), api.Current)
	if err != nil {
		t.Fatal(err)
	}
	said := slices.ContainsFunc(st.Reasons, func(s string) bool {
		return strings.HasPrefix(s, "orders: PAUSED since ") && strings.Contains(s, by) && strings.Contains(s, "baton db resume orders")
	})
	if st.Verdict != api.Degraded || !said || !st.Databases[0].Paused {
		t.Errorf("%s: %q", st.Verdict, st.Reasons)
	}
	if res := ask(api.PauseRequest{By: "root"}); res.Paused || res.Pause != (registry.Pause{}) || res.Index == 0 || last().Code != registry.DatabaseResumed {
		t.Errorf("resumed: %+v, in the history %s", res, last())
	}
	before := r.node("s1").State().Index()
	if res := ask(api.PauseRequest{}); res.Paused || res.Index != 0 || r.node("s1").State().Index() != before {
		t.Errorf("resumed although it was not paused: %+v", res)
	}
	if st, err := client.Status(t.Context(), api.Current); err != nil || strings.Contains(strings.Join(st.Reasons, "\n"), "PAUSED") {
		t.Errorf("resumed: %q, %v", st.Reasons, err)
	}
	for name, req := range map[string]api.PauseRequest{"reason": {Paused: true, Reason: "two\nlines"}, "by": {Paused: true, By: "two\nlines"}} {
		_, err := client.Pause(t.Context(), "orders", req)
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Code != api.CodeMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

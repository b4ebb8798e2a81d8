package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

func TestASwitchoverIsRefusedWithTheReasonAndTheWayOut(t *testing.T) {
	for name, c := range map[string]struct {
		to      registry.InstanceID
		prepare func(r *rig, db2 *health.Report)
		code    api.Code
		detail  string
	}{
		"no such replica": {"db7", nil, api.CodeNoInstance, "orders has no replica db7"},
		"already primary": {"db1", nil, api.CodeIsPrimary, "db1 is the primary"},
		"an election is under way": {"db2", func(r *rig, _ *health.Report) {
			r.must(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: "PrimaryGone", Detail: "process exited"}})
		}, api.CodeElecting, "process exited"},
		"paused": {"db2", func(r *rig, _ *health.Report) {
			p := registry.DefaultPolicy()
			p.Paused = true
			r.must(&registry.PutDatabase{Name: "orders", Policy: p})
		}, api.CodePaused, "paused"},
		"never heard":            {"db3", nil, api.CodeSilent, "has not reported"},
		"server is off":          {"db2", func(_ *rig, h *health.Report) { h.Process = health.ProcessExited }, api.CodeSilent, "process exited"},
		"not caught up":          {"db2", func(_ *rig, h *health.Report) { h.Guard.CaughtUp = false }, api.CodeNotCaughtUp, "has not caught up with db1"},
		"follows an older epoch": {"db2", func(_ *rig, h *health.Report) { h.Guard.Follows = 0 }, api.CodeNotCaughtUp, "epoch 1"},
		"not replicating": {"db2", func(_ *rig, h *health.Report) {
			h.Replication.Receiver, h.Replication.Error = "connecting", "error 2003"
		}, api.CodeNotCaughtUp, "error 2003"},
		"no replication": {"db2", func(_ *rig, h *health.Report) { h.Replication = nil }, api.CodeNotCaughtUp, "no source"},
		"lagging":        {"db2", func(_ *rig, h *health.Report) { h.Replication.LagSeconds = 40 }, api.CodeLagging, "40 s behind, at most 3 s"},
		"lag not known":  {"db2", func(_ *rig, h *health.Report) { h.Replication.LagSeconds = -1 }, api.CodeLagging, "not known"},
		"diverged":       {"db2", func(_ *rig, h *health.Report) { h.Guard.Diverged = "uuid-2:7" }, api.CodeMayNotLead, "uuid-2:7"},
		"delayed":        {"db2", func(_ *rig, h *health.Report) { h.Replication.DelaySeconds = 3600 }, api.CodeMayNotLead, "kept 3600 s behind on purpose"},
		"nobody could follow it": {"db2", func(r *rig, _ *health.Report) {
			for n, version := range []string{"8.4.5", "9.7.4", "8.4.5"} {
				m := member(registry.InstanceID(fmt.Sprintf("db%d", n+1)), n+1)
				m.Member.Version = version
				r.must(m)
			}
		}, api.CodeMayNotLead, "db2 runs 9.7.4"},
		"unsafe setting": {"db2", func(_ *rig, h *health.Report) {
			h.Findings = []health.Finding{{Code: "BT-3201", Setting: "sync_binlog", Have: "0", Want: "1", Fix: "SET PERSIST sync_binlog=1", Fatal: true}}
		}, api.CodeMayNotLead, "sync_binlog is 0, want 1"},
		"never": {"db2", func(r *rig, _ *health.Report) {
			m := member("db2", 2)
			m.Member.Preference = registry.Never
			r.must(m)
		}, api.CodeMayNotLead, "never"},
		"no acker fits": {"", func(_ *rig, h *health.Report) { h.Replication.LagSeconds = 40 }, api.CodeNoCandidate, "db2 is 40 s behind"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil, "s1")
			r.reign()
			h := report("db2", 1)
			if c.prepare != nil {
				c.prepare(r, &h)
			}
			r.node("s1").Receive(h)
			before := r.node("s1").State().Index()
			_, err := r.client(r.as(identity.RoleOperator, "alice"), "s1").Switchover(t.Context(), "orders", api.SwitchoverRequest{To: c.to}, 0)
			p, ok := errors.AsType[*api.Problem](err)
			if !ok || p.Code != c.code || !strings.Contains(p.Detail, c.detail) || p.Hint == "" || p.Index != before {
				t.Errorf("got %+v, want %s with %q and a hint", err, c.code, c.detail)
			}
			if r.node("s1").State().Index() != before {
				t.Error("something was committed")
			}
		})
	}
}

func TestWithoutATargetTheBestAckerIsChosen(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	r.reign()
	for _, id := range []registry.NodeID{"s1", "s2"} {
		slow := report("db2", 1)
		slow.Replication.LagSeconds = 2
		r.node(id).Receive(slow)
		r.node(id).Receive(report("db3", 1))
	}
	res, err := r.client(r.as(identity.RoleOperator, "alice"), "s2").Switchover(t.Context(), "orders", api.SwitchoverRequest{Reason: "kernel upgrade"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := r.node("s1").State().Database("orders")
	if res.To != "db3" || res.From != "db1" || res.Epoch != 2 || res.Outcome != api.OutcomeRunning || d.Phase != registry.Serving || d.Handover == nil || d.Handover.To != "db3" {
		t.Fatalf("%+v; %s, prepared is %+v", res, d.Phase, d.Handover)
	}
	if want := "by operator/alice: kernel upgrade"; d.Handover.Cause.Detail != want {
		t.Errorf("the history says %q, want %q", d.Handover.Cause.Detail, want)
	}
}

func TestASwitchoverIsWaitedForToItsEnd(t *testing.T) {
	for winner, outcome := range map[registry.InstanceID]api.Outcome{
		"db2": api.OutcomeDone, "db1": api.OutcomeUndone, "db3": api.OutcomeOther,
	} {
		t.Run(string(outcome), func(t *testing.T) {
			r := start(t, nil, "s1")
			r.reign()
			r.node("s1").Receive(report("db2", 1))
			run(t, func(ctx context.Context) error { // what promote and the guards do
				r.untilPrepared(t)
				r.must(&registry.Revoke{Database: "orders", Epoch: 2, To: "db2", Cause: registry.Cause{Code: "Switchover"}})
				r.elect(2, winner, registry.ProofClosed, []registry.Evidence{{Instance: "db1"}})
				r.must(&registry.Establish{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: "Established"}})
				return nil
			})
			res, err := r.client(r.as(identity.RoleOperator, "alice"), "s1").Switchover(t.Context(), "orders", api.SwitchoverRequest{To: "db2"}, 30*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if res.Outcome != outcome || res.Primary != winner || res.Phase != registry.Serving || res.Timings.Serving < res.Timings.Revoked || res.Timings.Revoked == 0 {
				t.Errorf("%+v", res)
			}
		})
	}
}

func (r *rig) untilPrepared(t *testing.T) {
	until(t, "a hand-over is prepared", r.node("s1").Changed, func() bool {
		d, _ := r.node("s1").State().Database("orders")
		return d.Handover != nil
	})
}

func TestASwitchoverThatIsGivenUpBeforeItBeginsIsUndone(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	r.node("s1").Receive(report("db2", 1))
	run(t, func(ctx context.Context) error { // what promote does when db2 falls away
		r.untilPrepared(t)
		d, _ := r.node("s1").State().Database("orders")
		r.must(&registry.Prepare{Database: "orders", Epoch: 1, Revision: d.Revision, Cause: registry.Cause{Code: "PreparationOver"}})
		return nil
	})
	res, err := r.client(r.as(identity.RoleOperator, "alice"), "s1").Switchover(t.Context(), "orders", api.SwitchoverRequest{To: "db2"}, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if res.Outcome != api.OutcomeUndone || res.Primary != "db1" || res.Phase != registry.Serving {
		t.Errorf("%+v", res)
	}
}

func TestAReplicaThatIsNeededWhereItIsIsNotMoved(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	r.must(&registry.ChangeAckers{Database: "orders", Epoch: 1, K: 2, Cause: registry.Cause{Code: "AcksChange"}})
	d, _ := r.node("s1").State().Database("orders")
	r.must(&registry.AdvanceChange{Database: "orders", Epoch: 1, Revision: d.Revision, Cause: registry.Cause{Code: "AcksChanged"}})
	r.node("s1").Receive(report("db2", 1))
	if _, err := r.client(r.as(identity.RoleOperator, "alice"), "s1").Switchover(t.Context(), "orders", api.SwitchoverRequest{To: "db2"}, 0); err != nil {
		t.Fatal(err)
	}
	if d, _ = r.node("s1").State().Database("orders"); d.Phase != registry.Closing || d.To != "db2" {
		t.Errorf("%s to %q with k 2 of 2 ackers, want closing at once", d.Phase, d.To)
	}
}

func TestASwitchoverThatDoesNotEndIsReportedAsRunning(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	r.node("s1").Receive(report("db2", 1))
	a := r.raw(r.as(identity.RoleOperator, "alice"), "POST", "/v1/databases/orders/switchover?wait=50ms", `{"to":"db2"}`, "Content-Type", "application/json")
	if a.status != 202 || !strings.Contains(a.body, `"outcome":"running"`) || !strings.Contains(a.body, `"phase":"serving"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Somebody else ends the reign between the look and the proposal: the epoch in the command refuses it.
func TestASwitchoverFromAnOlderStateIsRefusedAsStale(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	r.node("s1").Receive(report("db2", 1))
	r.node("s1").onCommit = func() {
		r.must(&registry.Revoke{Database: "orders", Epoch: 2, Cause: registry.Cause{Code: "PrimaryGone"}})
	}
	a := r.raw(r.as(identity.RoleOperator, "alice"), "POST", "/v1/databases/orders/switchover", `{"to":"db2"}`, "Content-Type", "application/json")
	if a.status != 409 || a.problem.Code != api.CodeStale || a.problem.Index != r.node("s1").State().Index() {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestADatabaseIsShownWithWhatIsSeenOfIt(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	r.node("s1").Receive(report("db2", 1))
	stranger := report("db9", 1)
	stranger.Replication = nil
	r.node("s1").Receive(stranger)
	c := r.client(r.as(identity.RoleOperator, "alice"), "s1")
	v, err := c.Database(t.Context(), "orders", api.Current)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, i := range v.Instances {
		parts = append(parts, string(i.Instance)+" "+string(i.Part))
		if heard := i.Instance == "db2" || i.Instance == "db9"; heard != (i.AgeMillis != nil) || heard != (i.Report != nil) {
			t.Errorf("%s: age %v", i.Instance, i.AgeMillis)
		}
	}
	if got, want := strings.Join(parts, ", "), "db1 primary, db2 acker, db3 acker, db9 stranger"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	topology, err := c.Topology(t.Context(), "orders", api.Current)
	if err != nil {
		t.Fatal(err)
	}
	if n := topology.Nodes[1]; n.Follows != "db1" || !n.CaughtUp || n.LagSeconds == nil || *n.LagSeconds != 0 {
		t.Errorf("%+v", n)
	}
	if n := topology.Nodes[0]; n.Follows != "" || n.LagSeconds != nil || n.AgeMillis != nil {
		t.Errorf("%+v", n)
	}
	st, err := c.Status(t.Context(), api.Current)
	if err != nil {
		t.Fatal(err)
	}
	if st.Verdict != api.Degraded || !strings.Contains(strings.Join(st.Reasons, "\n"), "1 of 3 members are heard") {
		t.Errorf("%+v", st)
	}
	_, err = c.Database(t.Context(), "books", api.Current)
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Code != api.CodeNoDatabase {
		t.Errorf("got %v", err)
	}
	if l, err := c.Databases(t.Context(), api.Current); err != nil || len(l.Databases) != 1 {
		t.Errorf("%+v %v", l, err)
	}
	if l, err := c.Members(t.Context()); err != nil || len(l.Members) != 1 {
		t.Errorf("%+v %v", l, err)
	}
}

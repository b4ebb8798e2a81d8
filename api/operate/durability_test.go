package operate_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// blocked is a database whose primary db1 is unheard; db2 has less than db1 was last heard to have.
func blocked() (*registry.Database, health.View) {
	const u = "00000000-0000-0000-0000-000000000001"
	d := &registry.Database{Name: "orders", Policy: registry.DefaultPolicy(), Epoch: 7, Phase: registry.Serving, Primary: "db1", K: 1,
		Ackers: []registry.InstanceID{"db2", "db3"}, Durability: registry.Lossless}
	view := health.View{}
	for id, position := range map[registry.InstanceID]string{"db1": u + ":1-9", "db2": u + ":1-7"} {
		h := health.Heard{Age: 100 * time.Millisecond}
		h.Boot, h.Process, h.Position = "boot", health.ProcessRunning, position
		if id == "db1" {
			h.Age = time.Minute
		}
		view[id] = h
	}
	for _, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		d.Members = append(d.Members, registry.Member{ID: id, Flavor: registry.MySQL, Preference: registry.Normal})
	}
	return d, view
}

func TestALossIsAcceptedOnlyWhereItIsMeantAndNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*registry.Database, health.View, *api.PromoteRequest)
		want   api.Code
	}{
		"meant and needed": {func(*registry.Database, health.View, *api.PromoteRequest) {}, ""},
		"another epoch":    {func(_ *registry.Database, _ health.View, r *api.PromoteRequest) { r.Epoch = 6 }, api.CodeStale},
		"no reason":        {func(_ *registry.Database, _ health.View, r *api.PromoteRequest) { r.Reason = "" }, api.CodeMalformed},
		"a stranger":       {func(_ *registry.Database, _ health.View, r *api.PromoteRequest) { r.To = "db9" }, api.CodeNoInstance},
		"the primary":      {func(_ *registry.Database, _ health.View, r *api.PromoteRequest) { r.To = "db1" }, api.CodeMayNotLead},
		"it serves": {func(_ *registry.Database, v health.View, _ *api.PromoteRequest) {
			h := v["db1"]
			h.Age = 0
			v["db1"] = h
		}, api.CodeServes},
		"it was emptied": {func(_ *registry.Database, v health.View, r *api.PromoteRequest) { r.To = "db2"; empty(v, "db2") }, api.CodeMayNotLead},
		"paused":         {func(d *registry.Database, _ health.View, _ *api.PromoteRequest) { d.Policy.Paused = true }, api.CodePaused},
	} {
		d, view := blocked()
		req := api.PromoteRequest{Epoch: 7, Reason: "it burned", By: "alice"}
		c.change(d, view, &req)
		command, err := operate.Promote(d, view, req, "operator/ops")
		var p *api.Problem
		switch {
		case c.want == "":
			if err != nil || command.Epoch != 7 || !strings.Contains(command.Cause.Detail, "operator/ops (alice): it burned") {
				t.Errorf("%s: %+v, %v", name, command, err)
			}
		case !errors.As(err, &p) || p.Code != c.want || p.Hint == "":
			t.Errorf("%s: %v, want %s with a way out", name, err, c.want)
		}
	}
}

func TestAPlanSaysWhatIsKnownToBeLost(t *testing.T) {
	d, view := blocked()
	losses, unheard := operate.Losses(d, view)
	if len(losses) != 1 || losses[0].Instance != "db2" || !strings.HasSuffix(losses[0].Lacks, ":8-9") || len(unheard) != 2 {
		t.Errorf("losses %+v, unheard %v", losses, unheard)
	}
	empty(view, "db2")
	if losses, unheard = operate.Losses(d, view); len(losses) != 0 || len(unheard) != 3 {
		t.Errorf("one that was emptied: losses %+v, unheard %v", losses, unheard)
	}
}

// empty lets a server report that a copy which did not end has removed its data.
func empty(v health.View, id registry.InstanceID) {
	h := v[id]
	h.Returning = &health.Returning{Doing: "wait", Why: "a copy did not end", Replaced: true}
	v[id] = h
}

func TestADurabilityThatThereIsNotIsRefused(t *testing.T) {
	d, _ := blocked()
	for _, req := range []api.DurabilityRequest{{}, {Durability: registry.Degraded}, {WhenAlone: "wait"}} {
		if c, err := operate.Durability(d, req); err == nil {
			t.Errorf("%+v: %+v", req, c)
		}
	}
	c, err := operate.Durability(d, api.DurabilityRequest{WhenAlone: registry.Yield})
	if p, ok := c.(*registry.PutDatabase); err != nil || !ok || !p.Policy.Degrades() || p.Policy.K != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

package operate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/registry"
)

func TestAPauseSaysWhoWantsItAndWhy(t *testing.T) {
	for _, c := range []struct {
		name   string
		paused bool // it is
		req    api.PauseRequest
		want   *registry.SetPause
	}{
		{"pause", false, api.PauseRequest{Paused: true, Reason: "the network", By: "root"},
			&registry.SetPause{Database: "orders", Paused: true, Cause: registry.Cause{Code: "DatabasePaused", Detail: "by alice (root): the network"}}},
		{"pause, for no reason", false, api.PauseRequest{Paused: true},
			&registry.SetPause{Database: "orders", Paused: true, Cause: registry.Cause{Code: "DatabasePaused", Detail: "by alice"}}},
		{"pause again, for another reason", true, api.PauseRequest{Paused: true, Reason: "it takes longer"},
			&registry.SetPause{Database: "orders", Paused: true, Cause: registry.Cause{Code: "DatabasePaused", Detail: "by alice: it takes longer"}}},
		{"resume", true, api.PauseRequest{Reason: "done"},
			&registry.SetPause{Database: "orders", Cause: registry.Cause{Code: "DatabaseResumed", Detail: "by alice: done"}}},
		{"resume what is not paused", false, api.PauseRequest{}, nil},
	} {
		d := &registry.Database{Name: "orders", Policy: registry.DefaultPolicy()}
		d.Policy.Paused = c.paused
		if diff := cmp.Diff(c.want, operate.Pause(d, c.req, "alice")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

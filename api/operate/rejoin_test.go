package operate_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

func TestAWishToBringAServerBackIsJudgedWithAWayOut(t *testing.T) {
	// db3 was primary before, and is diverged.
	diverged := func(d *registry.Database, v health.View) {
		d.Ackers = d.Ackers[:1]
		v["db3"] = health.Heard{Report: health.Report{Boot: "1", Process: health.ProcessRunning, Guard: health.Guard{Diverged: "u:9"}}}
	}
	dead := func(d *registry.Database, v health.View) {
		diverged(d, v)
		v["db3"] = health.Heard{Report: health.Report{Boot: "1", Process: health.ProcessExited, Returning: &health.Returning{Doing: "wait"}}}
	}
	for _, c := range []struct {
		name    string
		prepare func(*registry.Database, health.View)
		req     api.RejoinRequest
		want    string // the command, or the code of the problem
	}{
		{"clone", diverged, api.RejoinRequest{Instance: "db3", How: "clone", Reason: "now"}, "db3 clone 1 Rejoin: clone, by alice: now"},
		{"wait", diverged, api.RejoinRequest{Instance: "db3", How: "wait"}, "db3 wait 1 Rejoin: wait, by alice"},
		{"rewind one that runs", diverged, api.RejoinRequest{Instance: "db3", How: "rewind"}, "BT-3132"},
		{"rewind one that is dead", dead, api.RejoinRequest{Instance: "db3", How: "rewind"}, "db3 rewind 1 Rejoin: rewind, by alice"},
		{"clone MariaDB", func(d *registry.Database, v health.View) { diverged(d, v); d.Members[2].Flavor = registry.MariaDB },
			api.RejoinRequest{Instance: "db3", How: "clone"}, "BT-3132"},
		{"one that acknowledges", func(d *registry.Database, v health.View) { diverged(d, v); d.Ackers = append(d.Ackers, "db3") },
			api.RejoinRequest{Instance: "db3", How: "clone"}, "BT-3131"},
		{"one that is well", func(d *registry.Database, _ health.View) { d.Ackers = d.Ackers[:1] }, api.RejoinRequest{Instance: "db3", How: "clone"}, "BT-3131"},
		{"one whose node is not heard", func(d *registry.Database, v health.View) {
			diverged(d, v)
			v["db3"] = health.Heard{Report: v["db3"].Report, Age: time.Minute}
		}, api.RejoinRequest{Instance: "db3", How: "clone"}, "BT-3113"},
		{"the primary", diverged, api.RejoinRequest{Instance: "db1", How: "clone"}, "BT-3111"},
		{"a stranger", diverged, api.RejoinRequest{Instance: "db9", How: "clone"}, "BT-3110"},
		{"while an election is under way", func(d *registry.Database, v health.View) { diverged(d, v); d.Phase = registry.Fencing },
			api.RejoinRequest{Instance: "db3", How: "clone"}, "BT-3112"},
		{"in no way", diverged, api.RejoinRequest{Instance: "db3"}, "BT-5001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, v := orders()
			c.prepare(d, v)
			command, err := operate.Rejoin(d, v, c.req, "alice")
			got := ""
			if command != nil {
				got = fmt.Sprintf("%s %s %d %s", command.Instance, command.How, command.Epoch, command.Cause)
			}
			if p, ok := errors.AsType[*api.Problem](err); ok {
				got = string(p.Code)
				if p.Hint == "" {
					t.Errorf("%v names no way out", p)
				}
			}
			if got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

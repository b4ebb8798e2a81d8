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

// orders is db1 with db2 and db3 as ackers, all of them heard.
func orders() (*registry.Database, health.View) {
	d := &registry.Database{Name: "orders", Policy: registry.DefaultPolicy(), Epoch: 1, Phase: registry.Serving, Primary: "db1", K: 1,
		Ackers: []registry.InstanceID{"db2", "db3"}}
	v := health.View{}
	for _, id := range []registry.InstanceID{"db1", "db2", "db3"} {
		d.Members = append(d.Members, registry.Member{ID: id, Node: registry.NodeID(id), Flavor: registry.MySQL})
		if id != "db1" {
			d.Armed = append(d.Armed, registry.Armed{Instance: id, Source: "db1"})
		}
		v[id] = health.Heard{Report: health.Report{Boot: "1"}}
	}
	return d, v
}

func TestAWishAboutAckersIsJudgedWithAWayOut(t *testing.T) {
	unheard := func(_ *registry.Database, v health.View) {
		v["db3"] = health.Heard{Report: health.Report{Boot: "1"}, Age: time.Minute}
	}
	for _, c := range []struct {
		name    string
		prepare func(*registry.Database, health.View)
		req     api.AckersRequest
		want    string // the command, or the code of the problem
	}{
		{"remove", nil, api.AckersRequest{Remove: "db3", Reason: "old"}, "leave db3 MemberLeaving: by alice: old"},
		{"remove one that is not heard", unheard, api.AckersRequest{Remove: "db3"}, "BT-3113"},
		{"remove one that was never heard", func(_ *registry.Database, v health.View) { delete(v, "db3") }, api.AckersRequest{Remove: "db3"}, "BT-3113"},
		{"remove one that is lost", unheard, api.AckersRequest{Remove: "db3", Lost: true}, "leave db3 MemberLost: by alice"},
		{"remove one as lost that is heard", nil, api.AckersRequest{Remove: "db3", Lost: true}, "BT-3121"},
		{"remove one that is not heard and acknowledges for nobody", func(d *registry.Database, v health.View) {
			unheard(d, v)
			d.Ackers, d.Armed = d.Ackers[:1], d.Armed[:1]
		}, api.AckersRequest{Remove: "db3"}, "leave db3 MemberLeaving: by alice"},
		{"remove the primary", nil, api.AckersRequest{Remove: "db1"}, "BT-3111"},
		{"remove a stranger", nil, api.AckersRequest{Remove: "db9"}, "BT-3110"},
		{"too few would be left", func(d *registry.Database, _ health.View) { d.Ackers = d.Ackers[1:] }, api.AckersRequest{Remove: "db3"}, "BT-3120"},
		{"too few would be left when the other has left", func(d *registry.Database, _ health.View) {
			d.Members[1].Leaving = registry.Cause{Code: registry.MemberLeaving}
		}, api.AckersRequest{Remove: "db3"}, "BT-3120"},
		{"too few would be left for what is wanted", func(d *registry.Database, _ health.View) { d.Policy.K = 2 }, api.AckersRequest{Remove: "db3"}, "BT-3120"},
		{"while an election is under way", func(d *registry.Database, _ health.View) { d.Phase = registry.Fencing }, api.AckersRequest{Remove: "db3"}, "BT-3112"},
		{"while it is paused", func(d *registry.Database, _ health.View) { d.Policy.Paused = true }, api.AckersRequest{K: 2}, "BT-3118"},
		{"undo", func(d *registry.Database, _ health.View) {
			d.Members[2].Leaving = registry.Cause{Code: registry.MemberLeaving}
		},
			api.AckersRequest{Remove: "db3", Undo: true}, "leave db3 "},
		{"let it in again", func(d *registry.Database, _ health.View) { d.Removed = []registry.Removed{{Instance: "db4"}} },
			api.AckersRequest{Remove: "db4", Undo: true}, "leave db4 "},
		{"undo nothing", nil, api.AckersRequest{Remove: "db3", Undo: true}, "BT-3110"},
		{"more", nil, api.AckersRequest{K: 2}, "policy k 2"},
		{"more than there are", nil, api.AckersRequest{K: 3}, "BT-3120"},
		{"more on MariaDB", func(d *registry.Database, _ health.View) { d.Members[0].Flavor = registry.MariaDB }, api.AckersRequest{K: 2}, "BT-3120"},
		{"nothing", nil, api.AckersRequest{}, "BT-5001"},
		{"two things", nil, api.AckersRequest{Remove: "db3", K: 2}, "BT-5001"},
		{"fewer than none", nil, api.AckersRequest{K: -1}, "BT-5001"},
		{"lost and undone", nil, api.AckersRequest{Remove: "db3", Lost: true, Undo: true}, "BT-5001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, v := orders()
			if c.prepare != nil {
				c.prepare(d, v)
			}
			command, err := operate.Ackers(d, v, c.req, "alice")
			got := ""
			switch x := command.(type) {
			case *registry.Leave:
				got = fmt.Sprintf("leave %s %s", x.Instance, x.Cause)
			case *registry.PutDatabase:
				got = fmt.Sprintf("policy k %d", x.Policy.K)
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

package promote

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

func TestSomebodyElsesChangeOfHowCommitsWaitIsPutBack(t *testing.T) {
	d := group(4).d
	got := Next(d, "db1", but(reigning(d), func(l *Local) { l.Weak = "it gave up waiting" }))
	if got.Verb != Ask || got.K != d.K {
		t.Errorf("%+v, want to wait again", got)
	}
}

// With strangers that acknowledge, K of the ackers must still be among those that a commit has waited for.
func TestCommitsWaitForOneMoreForEachStrangerThatAcknowledges(t *testing.T) {
	connected := func(ids ...uint32) (all []mysqld.Follower) {
		for _, id := range ids {
			all = append(all, mysqld.Follower{ServerID: id, Host: "10.0.0.9", Port: 3306})
		}
		return all
	}
	for name, c := range map[string]struct {
		acking    int
		connected []mysqld.Follower
		asks      int // what it waits for now
		want      int // what it is to wait for, 0: that
	}{
		"only ackers":                         {2, connected(2, 3), 1, 0},
		"a replica that does not acknowledge": {2, connected(2, 3, 9), 1, 0},
		"a stranger":                          {3, connected(2, 3, 9), 1, 2},
		"a stranger in place of an acker":     {2, connected(2, 9), 1, 2},
		"two strangers":                       {3, connected(2, 8, 9), 1, 3},
		"it waits for more already":           {3, connected(2, 3, 9), 2, 0},
		"the stranger has gone":               {2, connected(2, 3), 2, 1},
		"who is connected cannot be seen":     {3, nil, 1, 2},
	} {
		for _, flavor := range []registry.Flavor{registry.MySQL, registry.MariaDB} {
			d := group(3).with(func(d *registry.Database) {
				for i := range d.Members {
					d.Members[i].ServerID, d.Members[i].Flavor = uint32(i+1), flavor
				}
			}).d
			got := Next(d, "db1", but(reigning(d), func(l *Local) { l.AsksFor, l.Acking, l.Followers = c.asks, c.acking, c.connected }))
			want := c.want
			if flavor == registry.MariaDB {
				if c.asks != 1 {
					continue // it never waits for more
				}
				want = 0
			}
			if got.K != want {
				t.Errorf("%s, %s: %+v, want K %d", flavor, name, got, want)
			}
		}
	}
}

func TestStrangersThatAcknowledgeAreReportedWhileThePrimaryIsOpen(t *testing.T) {
	d := group(3).with(func(d *registry.Database) {
		for i := range d.Members {
			d.Members[i].ServerID = uint32(i + 1)
		}
	}).d
	g := &Guard{cfg: GuardConfig{Instance: "db1", Notify: func() {}}, log: slog.New(slog.DiscardHandler)}
	look := func(change func(*Local)) string {
		g.tellStrangers(d, but(reigning(d), func(l *Local) {
			l.AsksFor, l.Acking = 1, 3
			l.Followers = []mysqld.Follower{{ServerID: 2}, {ServerID: 3}, {ServerID: 9, Host: "10.0.0.9", Port: 3306}}
			change(l)
		}))
		return g.done.report.Strangers
	}
	if got, want := look(func(*Local) {}), "server id 9 at 10.0.0.9:3306"; !strings.Contains(got, want) {
		t.Errorf("reported %q, want %q in it", got, want)
	}
	for name, change := range map[string]func(*Local){
		"it has gone":               func(l *Local) { l.Acking, l.Followers = 2, l.Followers[:2] },
		"the primary is closed":     func(l *Local) { l.ReadOnly = true },
		"commits wait for nobody":   func(l *Local) { l.AsksFor = 0 },
		"it does not acknowledge":   func(l *Local) { l.Acking = 2 },
		"an acker is not connected": func(l *Local) { l.Acking, l.Followers = 1, l.Followers[1:2] },
	} {
		if look(func(*Local) {}); look(change) != "" {
			t.Errorf("%s: still reported %q", name, g.done.report.Strangers)
		}
	}
}

package discovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func TestDiffSaysWhatHappened(t *testing.T) {
	m := func(name string, s State, l life) Member { return Member{Name: name, State: s, life: l} }
	zone := m("a", Alive, 1)
	zone.Meta.Zone = "z2"
	for _, c := range []struct {
		name          string
		before, after []Member
		want          string
	}{
		{"first", nil, []Member{m("a", Alive, 1), m("b", Failed, 1), m("c", Left, 1)}, "joined a"},
		{"nothing", []Member{m("a", Alive, 1)}, []Member{m("a", Alive, 1)}, ""},
		{"metadata", []Member{m("a", Alive, 1)}, []Member{zone}, "updated a"},
		{"failed", []Member{m("a", Alive, 1)}, []Member{m("a", Failed, 1)}, "unreached a"},
		{"left", []Member{m("a", Alive, 1)}, []Member{m("a", Left, 1)}, "departed a"},
		{"failed, then known to have left", []Member{m("a", Failed, 1)}, []Member{m("a", Left, 1)}, "departed a"},
		{"returned", []Member{m("a", Failed, 1)}, []Member{m("a", Alive, 1)}, "returned a"},
		{"restarted unseen", []Member{m("a", Alive, 1)}, []Member{m("a", Alive, 2)}, "returned a"},
		{"joined again", []Member{m("a", Left, 1)}, []Member{m("a", Alive, 2)}, "joined a"},
		{"forgotten", []Member{m("a", Left, 1), m("b", Alive, 1)}, []Member{m("b", Alive, 1)}, ""},
		{"several", []Member{m("b", Alive, 1), m("d", Alive, 1)}, []Member{m("a", Alive, 1), m("b", Left, 1), m("c", Alive, 1), m("d", Failed, 1)},
			"joined a,departed b,joined c,unreached d"},
	} {
		var got []string
		for e := range Diff(c.before, c.after) {
			got = append(got, fmt.Sprint(e.Kind, " ", e.Member.Name))
		}
		if strings.Join(got, ",") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The goodbye and the end reach a member by different ways, in any order.
func TestGoodbyeCountsBeforeAndAfterTheEnd(t *testing.T) {
	meta, err := Meta{}.encode("a", 7)
	if err != nil {
		t.Fatal(err)
	}
	node := &memberlist.Node{Name: "a", Addr: []byte{10, 0, 0, 1}, Port: 1, Meta: meta}
	gone := func(m *members) { m.gone("a") }
	bye := func(l life) func(*members) { return func(m *members) { m.goodbye("a", l) } }
	again := func(m *members) { _ = m.alive(node) }
	for _, c := range []struct {
		name  string
		steps []func(*members)
		want  State
	}{
		{"no goodbye", []func(*members){gone}, Failed},
		{"goodbye alone", []func(*members){bye(7)}, Alive},
		{"goodbye first", []func(*members){bye(7), gone}, Left},
		{"goodbye last", []func(*members){gone, bye(7)}, Left},
		{"goodbye of an earlier life", []func(*members){bye(6), gone}, Failed},
		{"a late word that it was alive", []func(*members){bye(7), again, gone}, Left},
	} {
		m := newMembers()
		again(m)
		for _, step := range c.steps {
			step(m)
		}
		if got, _ := m.find("a"); got.State != c.want {
			t.Errorf("%s: %v, want %v", c.name, got.State, c.want)
		}
	}
}

func TestGoneMembersAreForgottenInTime(t *testing.T) {
	now := time.Now()
	m := newMembers()
	for name, s := range map[string]State{"alive": Alive, "failed": Failed, "left": Left} {
		m.byName[name] = &Member{Name: name, State: s, Since: now}
	}
	names := func() []string {
		var all []string
		for _, one := range m.snapshot() {
			all = append(all, one.Name)
		}
		return all
	}
	for _, c := range []struct {
		after time.Duration
		want  []string
	}{
		{time.Minute, []string{"alive", "failed", "left"}},
		{2 * time.Hour, []string{"alive", "failed"}},
		{48 * time.Hour, []string{"alive"}},
	} {
		changed := m.changes()
		before := len(names())
		m.forget(24*time.Hour, time.Hour, now.Add(c.after))
		if got := names(); !slices.Equal(got, c.want) {
			t.Errorf("after %v: %v, want %v", c.after, got, c.want)
		}
		select {
		case <-changed:
			if len(names()) == before {
				t.Errorf("after %v: a change was announced that was none", c.after)
			}
		default:
			if len(names()) != before {
				t.Errorf("after %v: the change was not announced", c.after)
			}
		}
	}
}

package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// scene is a database and what a leader heard of it, in the words of the tests. Instance dbN has the server UUID that is
// called uN here; positions are written "u1:1-9" in short.
type scene struct {
	d     *registry.Database
	view  health.View
	rules Rules
	clock Clock
}

// group is n members that serve in epoch 1: db1 reigns, the others acknowledge, follow and are heard; all have u1:1-9.
func group(n int) *scene {
	s := &scene{rules: DefaultRules(), view: health.View{}, clock: Clock{Watching: time.Minute, InPhase: time.Minute, NowMillis: 1000}}
	policy := registry.DefaultPolicy()
	policy.Expect = n
	s.d = &registry.Database{Name: "orders", Policy: policy, Epoch: 1, Phase: registry.Serving, Primary: "db1", K: 1,
		Durability: registry.Lossless, Reign: registry.Reign{Base: uuids("u1:1"), Source: uuids("u1")}}
	for i := 1; i <= n; i++ {
		id := registry.InstanceID(fmt.Sprintf("db%d", i))
		s.d.Members = append(s.d.Members, registry.Member{ID: id, Node: registry.NodeID(id), Address: fmt.Sprintf("10.0.0.%d:3306", i),
			ServerUUID: uuids(fmt.Sprintf("u%d", i)), Flavor: registry.MySQL, Preference: registry.Normal, PromiseFile: "file-" + string(id)})
		h := health.Heard{Age: 50 * time.Millisecond}
		h.Boot, h.Instance, h.Process, h.Incarnation, h.ReadOnly, h.Preflight = "boot", id, health.ProcessRunning, "p1", true, true
		h.Position, h.Executed = uuids("u1:1-9"), uuids("u1:1-9")
		h.Guard = health.Guard{Promise: 1, Follows: 1, CaughtUp: true}
		if i == 1 {
			h.ReadOnly = false
			h.Guard = health.Guard{Promise: 1, Marked: 1, Open: 1}
		} else {
			s.d.Ackers = append(s.d.Ackers, id)
			h.Replication = &health.Replication{Source: "10.0.0.1:3306", Receiver: "running", Applier: true, SemiSync: true}
		}
		s.view[id] = h
	}
	return s
}

// uuids writes out the short names of servers.
func uuids(text string) string {
	for i := 1; i <= 9; i++ {
		text = strings.ReplaceAll(text, fmt.Sprintf("u%d", i), fmt.Sprintf("00000000-0000-0000-0000-%012d", i))
	}
	return text
}

// short is the opposite of uuids.
func short(text string) string {
	for i := 1; i <= 9; i++ {
		text = strings.ReplaceAll(text, fmt.Sprintf("00000000-0000-0000-0000-%012d", i), fmt.Sprintf("u%d", i))
	}
	return text
}

func (s *scene) change(id registry.InstanceID, f func(*health.Heard)) *scene {
	h := s.view[id]
	if h.Replication != nil {
		r := *h.Replication
		h.Replication = &r
	}
	f(&h)
	s.view[id] = h
	return s
}

func (s *scene) unheard(id registry.InstanceID, age time.Duration) *scene {
	return s.change(id, func(h *health.Heard) { h.Age = age })
}
func (s *scene) never(id registry.InstanceID) *scene { delete(s.view, id); return s }
func (s *scene) process(id registry.InstanceID, p health.Process) *scene {
	return s.change(id, func(h *health.Heard) { h.Process = p })
}
func (s *scene) unreachable(id registry.InstanceID, ms int64) *scene {
	return s.change(id, func(h *health.Heard) { h.UnreachableMillis = ms })
}
func (s *scene) probed(p health.Probe) *scene {
	return s.change(s.d.Primary, func(h *health.Heard) { h.Probed = p })
}

// reports lets a member that was added report as db2 does.
func (s *scene) reports(id registry.InstanceID) *scene {
	h := s.view["db2"]
	h.Instance = id
	s.view[id] = h
	return s
}

// deaf makes replicas hear nothing from the primary.
func (s *scene) deaf(ids ...registry.InstanceID) *scene {
	for _, id := range ids {
		s.change(id, func(h *health.Heard) { h.Replication.SilenceMillis = 600 })
	}
	return s
}

// hears takes deaf back.
func (s *scene) hears(id registry.InstanceID) *scene {
	return s.change(id, func(h *health.Heard) { h.Replication.SilenceMillis = 0 })
}
func (s *scene) guard(id registry.InstanceID, f func(*health.Guard)) *scene {
	return s.change(id, func(h *health.Heard) { f(&h.Guard) })
}
func (s *scene) amnesiac(ids ...registry.InstanceID) *scene {
	for _, id := range ids {
		s.guard(id, func(g *health.Guard) { g.Amnesiac = true })
	}
	return s
}
func (s *scene) canary(ms int64, waiting bool) *scene {
	return s.change(s.d.Primary, func(h *health.Heard) {
		h.Canary.BlockedMillis, h.Canary.StillMillis, h.Canary.WaitingForAcks = ms, ms, waiting
	})
}

// blocked is a canary that waits for longer than nothing else was committed.
func (s *scene) blocked(ms, still int64) *scene {
	return s.change(s.d.Primary, func(h *health.Heard) { h.Canary.BlockedMillis, h.Canary.StillMillis = ms, still })
}

// locked says that canaries wait for a lock.
func (s *scene) locked() *scene {
	return s.change(s.d.Primary, func(h *health.Heard) { h.Canary.Lock = health.Lock{Waits: "Waiting for global read lock"} })
}

// disk blocks commits: nothing is committed for a while, and for part of that one thread waits for a device.
func (s *scene) disk(still, wait int64) *scene {
	return s.change(s.d.Primary, func(h *health.Heard) {
		h.Canary.BlockedMillis, h.Canary.StillMillis, h.Canary.DiskMillis = still, still, wait
	})
}
func (s *scene) lag(id registry.InstanceID, seconds int) *scene {
	return s.change(id, func(h *health.Heard) { h.Replication.LagSeconds = seconds })
}
func (s *scene) prefer(id registry.InstanceID, p registry.Preference) *scene {
	i := slices.IndexFunc(s.d.Members, func(m registry.Member) bool { return m.ID == id })
	s.d.Members[i].Preference = p
	return s
}
func (s *scene) inPhase(d time.Duration) *scene { s.clock.InPhase = d; return s }
func (s *scene) with(f func(*registry.Database)) *scene {
	f(s.d)
	return s
}
func (s *scene) k(k int) *scene {
	s.d.K, s.d.Policy.K = k, k
	return s
}

// forming is the group before its first reign.
func (s *scene) forming() *scene {
	s.d.Phase, s.d.Epoch, s.d.Primary, s.d.Ackers, s.d.K, s.d.Reign = registry.Forming, 0, "", nil, 0, registry.Reign{}
	for id := range s.view {
		s.guard(id, func(g *health.Guard) { *g = health.Guard{} })
	}
	return s
}

// fencing is the group after the reign of db1 was revoked: nobody is fenced yet, and db1 is gone.
func (s *scene) fencing() *scene {
	s.d.Phase, s.d.Epoch, s.d.Primary, s.d.Former = registry.Fencing, 2, "", "db1"
	s.d.Cause = registry.Cause{Code: PrimaryGone}
	return s.process("db1", health.ProcessExited)
}

// fenced lets a member report that it is fenced, where it stands, and what of it it has applied.
func (s *scene) fenced(id registry.InstanceID, position string) *scene {
	return s.change(id, func(h *health.Heard) {
		h.Guard.Promise, h.Guard.Fenced, h.Guard.FencedPosition = s.d.Epoch, s.d.Epoch, uuids(position)
		h.Position, h.Executed = uuids(position), uuids(position)
	})
}

// closed lets db1 report that it is closed.
func (s *scene) closed(position string) *scene {
	return s.change("db1", func(h *health.Heard) {
		h.Process, h.ReadOnly = health.ProcessRunning, true
		h.Guard = health.Guard{Promise: s.d.Epoch, Closed: s.d.Epoch, ClosedPosition: uuids(position)}
		h.Position = uuids(position)
	})
}

// closing is the group while db1 hands over to db2.
func (s *scene) closing() *scene {
	s.d.Phase, s.d.Epoch, s.d.Primary, s.d.Former, s.d.To = registry.Closing, 2, "", "db1", "db2"
	for id := range s.view {
		s.guard(id, func(g *health.Guard) { g.Promise = 2 })
	}
	return s.inPhase(100 * time.Millisecond)
}

// promoting is the group while db2 is on its way to its first marker.
func (s *scene) promoting() *scene {
	s.fencing()
	s.d.Phase, s.d.Primary, s.d.Base, s.d.Proof = registry.Promoting, "db2", uuids("u1:1-9"), registry.ProofFenced
	s.d.NextK = s.d.Policy.K
	for _, m := range s.d.Members[2:] {
		s.d.NextAckers = append(s.d.NextAckers, m.ID)
	}
	return s.inPhase(100 * time.Millisecond)
}

// catchingUp makes db2 a winner that is to get u1:1-9 from db3, and has u1:1-5.
func (s *scene) catchingUp() *scene {
	s.promoting()
	s.d.CatchUp = &registry.CatchUp{From: "db3", Until: uuids("u1:1-9")}
	return s.fenced("db2", "u1:1-5").fenced("db3", "u1:1-9")
}

// settled says that an Elect of this interregnum has proved a base.
func (s *scene) settled(base string) *scene {
	s.d.Settled = &registry.Settled{Epoch: s.d.Epoch - 1, Base: uuids(base)}
	return s
}

// outcome is a decision in one line: what tests compare.
func (s *scene) outcome() string {
	got := Decide(s.d, s.view, s.rules, s.clock)
	return outcome(got)
}

func outcome(got Decision) string {
	ids := func(all []registry.InstanceID) string {
		text := make([]string, len(all))
		for i, id := range all {
			text[i] = string(id)
		}
		return strings.Join(text, "+")
	}
	switch c := got.Command.(type) {
	case nil:
		if got.Waiting.Zero() {
			return "nothing"
		}
		return "waiting " + got.Waiting.Code
	case *registry.Revoke:
		line := fmt.Sprintf("revoke %d %s", c.Epoch, c.Cause.Code)
		if c.To != "" {
			line += " to " + string(c.To)
		}
		return line
	case *registry.Prepare:
		return fmt.Sprintf("give up at %d", c.Revision)
	case *registry.Escalate:
		return fmt.Sprintf("escalate %d %s", c.Epoch, c.Cause.Code)
	case *registry.Elect:
		line := fmt.Sprintf("elect %d %s by %s base %s ackers %s k %d (%s)", c.Epoch, c.Winner, c.Proof, short(c.Base), ids(c.Ackers), c.K, c.Cause.Code)
		if u := c.CatchUp; u != nil {
			line += fmt.Sprintf(" after %s until %s", u.From, short(u.Until))
		}
		return line
	case *registry.Establish:
		return fmt.Sprintf("establish %d", c.Epoch)
	case *registry.AddAcker:
		return fmt.Sprintf("add acker %d %s", c.Epoch, c.Instance)
	case *registry.ChangeAckers:
		if c.Retire != "" {
			return "change ackers: retire " + string(c.Retire)
		}
		return fmt.Sprintf("change ackers: k %d", c.K)
	case *registry.AdvanceChange:
		return fmt.Sprintf("advance at %d", c.Revision)
	case *registry.RemoveMember:
		return "remove " + string(c.Instance)
	case *registry.SetRotation:
		return fmt.Sprintf("rotation %s %s", c.Instance, c.OutOf.Code)
	}
	return fmt.Sprintf("%T", got.Command)
}

// accepted checks that the registry would commit what was decided: a decision that is refused is made again for ever.
func (s *scene) accepted(t *testing.T) {
	t.Helper()
	c := Decide(s.d, s.view, s.rules, s.clock).Command
	if c == nil {
		return
	}
	if _, err := c.Apply(stateOf(t, s.d)); err != nil {
		t.Errorf("the registry refuses the decision: %v", err)
	}
}

// stateOf is a registry that holds d alone.
func stateOf(t testing.TB, d *registry.Database) *registry.State {
	t.Helper()
	return decoded(t, d)
}

func containsWayOut(text string) bool { return strings.Contains(text, "Way out: ") }

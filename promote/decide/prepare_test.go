package decide

import (
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// handing prepares a hand-over of db1 to db2 at revision 7: db3 is to move.
func (s *scene) handing() *scene {
	s.d.Revision = 7
	s.d.Handover = &registry.Handover{To: "db2", Movers: []registry.InstanceID{"db3"}, Cause: registry.Cause{Code: Switchover}}
	return s.inPhase(100 * time.Millisecond)
}

func (s *scene) moved(id registry.InstanceID) *scene {
	return s.change(id, func(h *health.Heard) { h.Replication.Source = "10.0.0.2:3306" })
}

func TestAHandOverBeginsWhenThoseWhoCanHaveMoved(t *testing.T) {
	handing := func() *scene { return group(3).handing() }
	moved := func() *scene { return handing().moved("db3") }
	runDecided(t, []decided{
		{"nobody has moved", handing(), "nothing"},
		{"it has moved", moved(), "revoke 2 Switchover to db2"},
		{"it has moved, says an old report", moved().unheard("db3", time.Second), "nothing"},
		{"it is connecting", moved().change("db3", func(h *health.Heard) { h.Replication.Receiver = "connecting" }), "nothing"},
		{"it does not acknowledge", moved().change("db3", func(h *health.Heard) { h.Replication.SemiSync = false }), "nothing"},
		{"somebody else has moved", handing().moved("db2"), "nothing"},
		{"it takes too long", handing().inPhase(1600 * time.Millisecond), "revoke 2 Switchover to db2"},
		{"nobody is added meanwhile", handing().with(func(d *registry.Database) { d.Ackers = d.Ackers[:1] }), "nothing"},
		{"paused", moved().with(func(d *registry.Database) { d.Policy.Paused = true }), "give up at 7"},
		{"the wanted winner is gone", moved().process("db2", gone), "give up at 7"},
		{"the wanted winner is unheard for a moment", moved().unheard("db2", 3*time.Second/2-1), "nothing"},
		{"the wanted winner is unheard to the end", moved().unheard("db2", 3*time.Second/2-1).inPhase(3 * time.Second / 2), "give up at 7"},
		{"the wanted winner does not answer now", moved().unreachable("db2", 600), "nothing"},
		{"the wanted winner does not answer to the end", moved().unreachable("db2", 600).inPhase(3 * time.Second / 2), "give up at 7"},
		{"the wanted winner stands still", moved().process("db2", health.ProcessStopped), "give up at 7"},
		{"the wanted winner is to leave", moved().member("db2", func(m *registry.Member) { m.Leaving = registry.Cause{Code: registry.MemberLeaving} }), "give up at 7"},
		{"the primary is gone", handing().process("db1", gone), "revoke 2 PrimaryGone"},
		{"the primary is gone and cannot be replaced", handing().process("db1", gone).unheard("db3", time.Second), "give up at 7"},
		{"the primary is gone and the database paused", handing().process("db1", gone).with(func(d *registry.Database) { d.Policy.Paused = true }), "give up at 7"},
		{"the primary hangs, and whoever follows another cannot know", moved().unreachable("db1", 3100).deaf("db2"), "revoke 2 PrimaryHung"},
		{"the primary hangs, and who follows it hears it", moved().unreachable("db1", 600), "nothing"},
		{"the primary hangs to the end", moved().unreachable("db1", 600).inPhase(3 * time.Second / 2), "give up at 7"},
	})
}

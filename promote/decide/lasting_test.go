package decide

import (
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// loose lets a member say that a loss of power could take what it has committed.
func (s *scene) loose(ids ...registry.InstanceID) *scene {
	for _, id := range ids {
		s.change(id, func(h *health.Heard) { h.Power.Loose, h.Power.Problem = "sync_binlog = 0", "denied" })
	}
	return s
}

// torn lets a member say that it may have lost rows, as its agent does.
func (s *scene) torn(id registry.InstanceID) *scene {
	return s.change(id, func(h *health.Heard) {
		h.Power.Torn, h.Guard.Amnesiac, h.Guard.CaughtUp = "its machine was started again", true, false
	})
}

// Who could forget what it acknowledges is made an acker only where there is nobody else; who may have forgotten, never.
func TestWhoCouldForgetWithThePowerCountsForLittle(t *testing.T) {
	joining := func() *scene {
		return group(3).with(func(d *registry.Database) { d.Ackers = []registry.InstanceID{"db2"} })
	}
	fenced := func(n int) *scene {
		s := group(n).fencing()
		for _, m := range s.d.Members[1:] {
			s.fenced(m.ID, "u1:1-9")
		}
		return s
	}
	runDecided(t, []decided{
		{"one that keeps everything joins", joining(), "add acker 1 db3"},
		{"one that could forget does not", joining().loose("db3"), "waiting NotDurable"},
		{"nor one that throws away what it received when it starts", joining().change("db3", func(h *health.Heard) {
			h.Findings = []health.Finding{{Setting: "relay_log_recovery", Have: "ON", Fatal: true, Volatile: true}}
		}), "waiting NotDurable"},
		{"a setting of another kind is no matter for that", joining().change("db3", func(h *health.Heard) {
			h.Findings = []health.Finding{{Setting: "performance_schema", Have: "OFF"}}
		}), "add acker 1 db3"},
		{"an acker stays one: what it says while it runs is true", group(3).loose("db2"), "nothing"},
		{"who could forget wins last", fenced(4).loose("db2"), "elect 2 db3 by fenced base u1:1-9 ackers db4 k 1 (Elected)"},
		{"but before there is nobody", fenced(3).loose("db2", "db3"), "elect 2 db2 by fenced base u1:1-9 ackers db3 k 1 (Elected)"},
		{"and acknowledges where nobody else can", fenced(3).loose("db2"), "elect 2 db3 by fenced base u1:1-9 ackers db2 k 1 (Elected)"},
		{"a torn one is not read from", group(3).torn("db3"), "rotation db3 NotDurable"},
		{"it proves nothing", fenced(3).torn("db3"), "waiting AckersMissing"},
		{"with k = 2 it need not", fenced(5).k(2).torn("db2"), "elect 2 db3 by fenced base u1:1-9 ackers db4+db5 k 2 (Elected)"},
		{"it is not elected although all could follow it", fenced(4).settled("u1:1-9").runs("8.0.36", "8.0.36", "8.4.0", "8.4.0").torn("db2"),
			"elect 2 db3 by settled base u1:1-9 ackers db4 k 1 (Elected)"},
		{"it is handed nothing", group(3).closing().closed("u1:1-9").torn("db2"), "waiting Switchover"},
		{"a torn former primary does not speak for itself", group(3).fencing().closed("u1:1-9").torn("db1").fenced("db2", "u1:1-9"), "waiting AckersMissing"},
		{"whole ackers do without it", group(4).fencing().closed("u1:1-9").torn("db1").fenced("db2", "u1:1-9").fenced("db3", "u1:1-9").fenced("db4", "u1:1-9"),
			"elect 2 db2 by fenced base u1:1-9 ackers db3+db4 k 1 (Elected)"},
	})
}

package promote

import (
	"slices"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// event is one kind of thing that can happen.
type event struct {
	name   string
	weight int
	do     func(*sim)
	repair bool
}

func (s *sim) anyHost() *host { return s.hosts[s.rng.IntN(len(s.hosts))] }

func (s *sim) anyLeader() *coordinator { return s.leaders[s.rng.IntN(len(s.leaders))] }

func work() []event {
	return []event{
		{"act", 80, func(s *sim) { s.anyHost().act() }, false},
		{"sync", 15, func(s *sim) {
			if h := s.anyHost(); !h.deaf && h.guard != nil {
				h.announce()
				h.view += s.rng.IntN(len(s.states) - h.view)
			}
		}, false},
		{"look", 20, func(s *sim) {
			if h := s.anyHost(); h.guard != nil {
				h.eyes.Look()
			}
		}, false},
		{"report", 15, func(s *sim) { s.anyHost().report() }, false},
		{"mail", 60, func(s *sim) {
			if len(s.mail) == 0 {
				return
			}
			i := 0
			if s.rng.IntN(4) == 0 {
				i = s.rng.IntN(len(s.mail))
			}
			m := s.mail[i]
			s.mail = slices.Delete(s.mail, i, i+1)
			if s.rng.IntN(20) > 0 {
				m.to.receive(m.report)
			}
		}, false},
		{"follow the log", 8, func(s *sim) { c := s.anyLeader(); c.view += s.rng.IntN(len(s.states) - c.view) }, false},
		{"decide", 10, func(s *sim) { s.anyLeader().decide() }, false},
		{"propose", 12, func(s *sim) { s.anyLeader().propose() }, false},
		{"write", 4, func(s *sim) { s.group.Commit(s.anyHost().server) }, false},
		{"deliver", 25, func(s *sim) { s.group.Deliver(s.anyHost().server) }, false},
		{"ack", 20, func(s *sim) { s.group.Ack(s.anyHost().server) }, false},
		{"apply", 20, func(s *sim) { s.group.Apply(s.anyHost().server) }, false},
	}
}

func faults() []event {
	return []event{
		{"crash", 2, func(s *sim) { h := s.anyHost(); s.tell("%s crashes", h.id); h.server.Crash() }, false},
		{"crash the primary", 2, func(s *sim) {
			if d := s.database(); d.Primary != "" {
				s.tell("%s crashes", d.Primary)
				s.host(d.Primary).server.Crash()
			}
		}, false},
		{"start", 8, func(s *sim) {
			if h := s.anyHost(); !h.server.Running() {
				s.tell("%s starts", h.id)
				h.server.Start()
			}
		}, true},
		{"freeze", 2, func(s *sim) { h := s.anyHost(); s.tell("%s freezes", h.id); h.server.Freeze() }, false},
		{"thaw", 4, func(s *sim) { h := s.anyHost(); s.tell("%s thaws", h.id); h.server.Thaw() }, true},
		{"agent dies", 2, func(s *sim) {
			if h := s.anyHost(); h.guard != nil {
				s.tell("agent of %s dies", h.id)
				h.end()
			}
		}, false},
		{"promise file lost", 1, func(s *sim) {
			if h := s.anyHost(); h.guard == nil {
				s.tell("%s loses its promise file", h.id)
				h.forget()
			}
		}, false},
		{"agent starts", 8, func(s *sim) {
			if h := s.anyHost(); h.guard == nil {
				h.begin()
				s.tell("agent of %s starts at state %d of %d", h.id, h.view, len(s.states)-1)
			}
		}, true},
		{"agent deaf", 2, func(s *sim) { s.anyHost().deaf = true }, false},
		{"agent hears", 6, func(s *sim) { s.anyHost().deaf = false }, true},
		{"new leader", 1, func(s *sim) { s.anyLeader().reset() }, false},
		{"human starts replication", 2, func(s *sim) {
			if h := s.anyHost(); s.group.Flavor == mysqld.MySQL { // MariaDB's fence is the guard's promise alone
				s.tell("somebody says START REPLICA on %s", h.id)
				h.server.HumanStarts()
			}
		}, false},
		{"cut", 2, func(s *sim) {
			a, b := s.anyHost(), s.anyHost()
			s.group.Cut(a.server, b.server)
			s.tell("cut %s %s", a.id, b.id)
		}, false},
		{"heal", 4, func(s *sim) { a, b := s.anyHost(), s.anyHost(); s.group.Heal(a.server, b.server) }, true},
		{"switchover", 2, func(s *sim) {
			d := s.database()
			s.commit("operator", &registry.Revoke{Database: simDatabase, Epoch: d.Epoch + 1, To: s.anyHost().id, Cause: registry.Cause{Code: Switchover}})
		}, false},
		{"power cut", 1, func(s *sim) {
			s.tell("power cut")
			for _, h := range s.hosts {
				h.server.Crash()
				if h.guard != nil {
					h.end()
				}
			}
		}, false},
	}
}

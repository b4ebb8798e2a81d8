package mysqldtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
)

// sets are the executed and the received GTID set, as the family means them.
func (s *Server) sets() (executed, received mysqld.GTIDSet) {
	visible := s.log
	if s.group.Flavor == mysqld.MySQL {
		visible = s.log[:s.committed]
	}
	return s.group.set(visible), s.group.set(s.relay)
}

// set is a GTID set of transactions. It panics where a test has made what no server can print.
func (g *Group) set(all []Txn) mysqld.GTIDSet {
	parts := make([]string, 0, len(all))
	for _, t := range all {
		if g.Flavor == mysqld.MySQL {
			parts = append(parts, fmt.Sprintf("%s:%d", g.servers[t.Origin-1].UUID(), t.Number))
		} else {
			parts = append(parts, fmt.Sprintf("0-%d-%d", t.Origin, t.Number))
		}
	}
	set, err := mysqld.ParseGTIDSet(g.Flavor, strings.Join(parts, ","))
	if err != nil {
		panic(err)
	}
	return set
}

// status is what the server says of itself.
func (s *Server) status() mysqld.Status {
	st := mysqld.Status{Flavor: s.group.Flavor, Version: "model", UUID: s.UUID(), ServerID: s.Number, ReadOnly: s.readOnly}
	st.Executed, st.Received = s.sets()
	st.SemiSync = mysqld.SemiSync{SourceEnabled: s.waits, ReplicaEnabled: s.heeds, K: s.k, Timeout: time.Hour}
	for _, r := range s.group.servers {
		if r.acking && r.connected() == s {
			st.SemiSync.ConnectedAckers++
		}
	}
	if !s.set {
		return st
	}
	rep := &mysqld.Replication{Receiver: mysqld.ReceiverStopped, Applier: s.applier, ReceiverError: s.broken,
		Heard: fmt.Sprint(s.beats, len(s.relay), len(s.log)), SemiSyncActive: s.acking && s.receiver}
	switch {
	case s.fenced != "":
		rep.SourceHost, rep.SourcePort = "fenced-"+s.fenced+".invalid", s.Port
	case s.source != nil:
		rep.SourceHost, rep.SourcePort = s.source.Host, s.source.Port
	}
	if s.receiver {
		rep.Receiver = "connecting"
		if s.connected() != nil {
			rep.Receiver = "running"
		}
	}
	lag := 0
	rep.LagSeconds = &lag
	st.Replication = rep
	return st
}

// Observer watches one server, and knows what it saw when it last looked.
type Observer struct {
	server *Server
	now    func() time.Time
	seen   health.Observation
	good   time.Time // when the server last answered
	heard  time.Time // when its receiver last heard
	change chan struct{}
}

// NewObserver returns an observer that has not looked yet. now is its clock.
func NewObserver(s *Server, now func() time.Time) *Observer {
	o := &Observer{server: s, now: now, good: now(), heard: now(), change: make(chan struct{})}
	o.seen.Process = health.ProcessUnknown
	return o
}

// Look asks the server, its process and its receiver.
func (o *Observer) Look() {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	o.look()
}

func (o *Observer) look() {
	s, now, was := o.server, o.now(), o.seen
	incarnation := fmt.Sprintf("%s-%d", s.ID, s.starts)
	if o.seen.Incarnation != incarnation && s.running {
		o.seen = health.Observation{Incarnation: incarnation}
		o.good, o.heard = now, now
	}
	switch {
	case !s.running:
		o.seen.Process = health.ProcessExited
	case s.stopped:
		o.seen.Process = health.ProcessStopped
	default:
		o.seen.Process = health.ProcessRunning
	}
	o.seen.Err = nil
	if s.answers() {
		if s.connected() != nil {
			s.beats++
			o.heard = now
		}
		o.seen.Status, o.seen.Good, o.good = s.status(), true, now
	} else {
		o.seen.Err = ErrDown
	}
	if was.Process != o.seen.Process || was.Incarnation != o.seen.Incarnation || was.Status.ReadOnly != o.seen.Status.ReadOnly ||
		was.Status.Position().String() != o.seen.Status.Position().String() {
		close(o.change)
		o.change = make(chan struct{})
	}
}

// Latest is what the last look saw.
func (o *Observer) Latest() health.Observation {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	return o.latest()
}

func (o *Observer) latest() health.Observation {
	seen, now := o.seen, o.now()
	if seen.Err != nil {
		seen.Unreachable = max(now.Sub(o.good), time.Millisecond)
	}
	seen.Silence = now.Sub(o.heard)
	return seen
}

// Refresh looks, and returns what it saw.
func (o *Observer) Refresh(ctx context.Context) health.Observation {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	if err := ctx.Err(); err != nil {
		seen := o.latest()
		seen.Err = err
		return seen
	}
	o.look()
	return o.latest()
}

// Changed is closed when a look sees something new.
func (o *Observer) Changed() <-chan struct{} {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	return o.change
}

// Kill ends the process that was seen last, and no other.
func (o *Observer) Kill() error {
	s := o.server
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.running && o.seen.Incarnation == fmt.Sprintf("%s-%d", s.ID, s.starts) {
		s.crash()
	}
	return nil
}

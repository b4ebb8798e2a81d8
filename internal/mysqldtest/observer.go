package mysqldtest

import (
	"context"
	"strconv"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
)

// prints are the sets that a server last printed, and of how much.
type prints struct {
	executed mysqld.GTIDSet
	upTo     int // of log[:upTo]
	received mysqld.GTIDSet
	stale    bool // received is out of date
}

// sets are the executed and the received GTID set, as the family means them.
func (s *Server) sets() (executed, received mysqld.GTIDSet) {
	n := len(s.log)
	if s.group.Flavor == mysqld.MySQL {
		n = s.committed
	}
	if n < s.seen.upTo {
		s.seen.executed, s.seen.upTo = mysqld.GTIDSet{}, 0
	}
	for ; s.seen.upTo < n; s.seen.upTo++ {
		s.seen.executed = s.group.joined(s.seen.executed, s.log[s.seen.upTo])
	}
	if s.seen.stale {
		s.seen.received, s.seen.stale = mysqld.GTIDSet{}, false
		for _, t := range s.relay {
			s.seen.received = s.group.joined(s.seen.received, t)
		}
	}
	return s.seen.executed, s.seen.received
}

// joint is what one transaction was last joined to, and what that made: servers get the same in the same order.
type joint struct{ single, before, after mysqld.GTIDSet }

// joined is before and t.
func (g *Group) joined(before mysqld.GTIDSet, t Txn) mysqld.GTIDSet {
	for len(g.joints[t.Origin]) <= int(t.Number) {
		g.joints[t.Origin] = append(g.joints[t.Origin], joint{})
	}
	j := &g.joints[t.Origin][t.Number]
	if j.single.IsEmpty() {
		j.single = g.single(t)
		j.after = j.single
	}
	if !j.before.Equal(before) {
		j.before, j.after = before, before.Union(j.single)
	}
	return j.after
}

// single is the GTID set of one transaction. It panics where a test has made what no server can print.
func (g *Group) single(t Txn) mysqld.GTIDSet {
	text := "0-" + strconv.Itoa(int(t.Origin)) + "-" + strconv.FormatUint(t.Number, 10)
	if g.Flavor == mysqld.MySQL {
		text = g.servers[t.Origin-1].uuid + ":" + strconv.FormatUint(t.Number, 10)
	}
	set, err := mysqld.ParseGTIDSet(g.Flavor, text)
	if err != nil {
		panic(err)
	}
	return set
}

// status is what the server says of itself.
func (s *Server) status() mysqld.Status {
	st := mysqld.Status{Flavor: s.group.Flavor, Version: "model", UUID: s.UUID(), ServerID: s.Number, ReadOnly: s.readOnly}
	st.Executed, st.Received = s.sets()
	st.SemiSync = mysqld.SemiSync{SourceEnabled: s.waits, ReplicaEnabled: s.heeds, K: s.k, Timeout: mysqld.Forever,
		SourceWaits: s.waits, WaitPoint: "AFTER_SYNC", WaitNoReplica: true}
	st.SemiSync.ConnectedAckers = s.ackers()
	if !s.set {
		return st
	}
	rep := &mysqld.Replication{Receiver: mysqld.ReceiverStopped, Applier: s.applier, ReceiverError: s.broken,
		SemiSyncActive: s.acking && s.receiver}
	switch {
	case s.fenced != "":
		rep.SourceHost, rep.SourcePort = "fenced-"+s.fenced+".invalid", s.Port
	case s.source != nil:
		rep.SourceHost, rep.SourcePort = s.source.Host, s.source.Port
	}
	maria := s.group.Flavor == mysqld.MariaDB
	if s.applier && maria {
		rep.ApplierThread = s.sql
	}
	if s.receiver {
		rep.Receiver = "connecting"
		if s.connected() != nil {
			rep.Receiver = "running"
			if maria {
				rep.ReceiverThread = s.io
			}
		}
	}
	rep.LagSeconds = &s.group.lag
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
	went   time.Time // when a commit could last get through
	face   face
	looks  int // that saw something else than the one before
	change chan struct{}
}

// NewObserver returns an observer that has not looked yet. now is its clock.
func NewObserver(s *Server, now func() time.Time) *Observer {
	o := &Observer{server: s, now: now, good: now(), heard: now(), went: now()}
	o.seen.Process = health.ProcessUnknown
	return o
}

// Copy returns an observer of s that has seen what this one has. now is its clock.
func (o *Observer) Copy(s *Server, now func() time.Time) *Observer {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	c := *o
	c.server, c.now, c.change = s, now, nil
	return &c
}

// Look asks the server, its process and its receiver.
func (o *Observer) Look() {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	o.look()
}

// face is all of a server that its status shows.
type face struct {
	conn, starts, committed, log, relay, k, ackers    int
	readOnly, waits, heeds, acking, receiver, applier bool
	set, hears, answers                               bool
	io, sql                                           uint64
	source                                            *Server
	fenced, broken                                    string
}

func (s *Server) face() face {
	f := face{conn: s.conn, starts: s.starts, committed: s.committed, log: len(s.log), relay: len(s.relay), k: s.k, ackers: s.ackers(),
		readOnly: s.readOnly, waits: s.waits, heeds: s.heeds, acking: s.acking, receiver: s.receiver, applier: s.applier, io: s.io, sql: s.sql,
		set: s.set, hears: s.connected() != nil, answers: s.answers(), source: s.source, fenced: s.fenced, broken: s.broken}
	return f
}

// ackers is how many replicas that acknowledge are connected.
func (s *Server) ackers() int {
	n := 0
	for _, r := range s.group.servers {
		if r.acking && r.connected() == s {
			n++
		}
	}
	return n
}

// Looks grows with every look that sees anything but time pass.
func (o *Observer) Looks() int {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	return o.looks
}

func (o *Observer) look() {
	s, now, process := o.server, o.now(), o.seen.Process
	var was health.Observation
	if o.change != nil {
		was = o.seen
	}
	if o.seen.Incarnation != s.name && s.running {
		o.seen = health.Observation{Incarnation: s.name}
		o.good, o.heard, o.went = now, now, now
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
			o.heard = now
		}
		if !s.full && s.committed == len(s.log) {
			o.went = now
		}
		blocked := now.Sub(o.went).Milliseconds()
		o.seen.Canary = health.Canary{BlockedMillis: blocked, StillMillis: blocked, WaitingForAcks: !s.full}
		if f := s.face(); f != o.face || !o.seen.Good {
			o.seen.Status, o.seen.Good, o.face = s.status(), true, f
			o.looks++
		}
		o.good = now
	} else {
		o.seen.Err = ErrDown
		o.looks++
	}
	o.seen.Silence = now.Sub(o.heard)
	if (o.seen.Silence > 0 && s.set) || o.seen.Canary.BlockedMillis > 0 || process != o.seen.Process {
		o.looks++
	}
	if o.change != nil && (was.Process != o.seen.Process || was.Incarnation != o.seen.Incarnation || was.Status.ReadOnly != o.seen.Status.ReadOnly ||
		!was.Status.Position().Equal(o.seen.Status.Position())) {
		close(o.change)
		o.change = nil
	}
}

// Latest is what the last look saw.
func (o *Observer) Latest() health.Observation {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	return o.latest()
}

// Unreachable is what Latest says of it: 0 while the server answers.
func (o *Observer) Unreachable() time.Duration {
	o.server.group.mu.Lock()
	defer o.server.group.mu.Unlock()
	return o.unreachable()
}

func (o *Observer) unreachable() time.Duration {
	if o.seen.Err == nil {
		return 0
	}
	return max(o.now().Sub(o.good), time.Millisecond)
}

func (o *Observer) latest() health.Observation {
	seen := o.seen
	seen.Unreachable, seen.Silence = o.unreachable(), o.now().Sub(o.heard)
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
	if o.change == nil {
		o.change = make(chan struct{})
	}
	return o.change
}

// Kill ends the process that was seen last, and no other.
func (o *Observer) Kill() error {
	s := o.server
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.running && o.seen.Incarnation == s.name {
		s.crash()
	}
	return nil
}

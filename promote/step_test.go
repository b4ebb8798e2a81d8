package promote

import (
	"strings"
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/promote/promise"
	"github.com/baton-db/baton/registry"
)

// on is a well server of member id whose guard has promised the epoch of d and done nothing yet.
func on(d *registry.Database, id registry.InstanceID) Local {
	return Local{Record: promise.Record{File: "file-" + string(id), Promise: d.Epoch, Revision: d.Revision}, Process: health.ProcessRunning, Incarnation: "p1", Answers: true, ReadOnly: true}
}

// leaving is a reign at revision 7 in which db3 is to leave.
func leaving() *registry.Database {
	return group(3).with(func(d *registry.Database) {
		d.Revision = 7
		d.Members[2].Leaving = registry.Cause{Code: registry.MemberLeaving}
	}).d
}

// changing is leaving with a change under way.
func changing(c registry.Change) *registry.Database {
	d := leaving()
	d.Change = &c
	return d
}

// reigning is the server of db1 in the epoch that it was established in.
func reigning(d *registry.Database) Local {
	l := on(d, "db1")
	l.Record.Led, l.Record.LedBy, l.Record.Marked, l.Record.MarkedBy, l.ReadOnly, l.AsksFor = d.Epoch, "p1", d.Epoch, "p1", false, d.K
	return l
}

// following is the server of a replica that follows the member at host 10.0.0.n.
func following(d *registry.Database, id registry.InstanceID, source string, acks SemiSync) Local {
	l := on(d, id)
	l.Record.Follows, l.Source, l.Receiving, l.SemiSync, l.CaughtUp = d.Epoch, source, true, acks, true
	return l
}

func but(l Local, change func(*Local)) Local {
	change(&l)
	return l
}

const (
	db1at = "10.0.0.1:3306"
	db2at = "10.0.0.2:3306"
)

type next struct {
	name string
	d    *registry.Database
	me   registry.InstanceID
	l    Local
	want string // the verb, whom to follow and how
}

func runNext(t *testing.T, rows []next) {
	t.Helper()
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			s := Next(c.d, c.me, c.l)
			got := string(s.Verb)
			if s.Verb == Follow || s.Verb == Rejoin {
				got += " " + string(s.Source.ID) + map[SemiSync]string{Acknowledges: " acks", Silent: " silent"}[s.Acks]
			}
			if got != c.want {
				t.Errorf("got %s (%s), want %s", got, s.Why, c.want)
			}
			if s.Why == "" {
				t.Error("a step without a reason")
			}
		})
	}
}

func TestAPromiseComesBeforeEverythingElse(t *testing.T) {
	d := group(3).fencing().d
	runNext(t, []next{
		{"no epoch yet", group(3).forming().d, "db2", Local{}, "wait"},
		{"a new epoch", d, "db2", but(on(d, "db2"), func(l *Local) { l.Record.Promise = 1 }), "promise"},
		{"two epochs were missed", group(3).fencing().with(func(d *registry.Database) { d.Epoch = 9 }).d, "db2", but(on(d, "db2"), func(l *Local) { l.Record.Promise = 1 }), "promise"},
		{"a promise needs no server", d, "db2", Local{Record: promise.Record{File: "file-db2"}, Process: health.ProcessExited}, "promise"},
		{"the registry seen here is older than the promise", d, "db2", but(on(d, "db2"), func(l *Local) { l.Record.Promise = 3 }), "wait"},
		{"the registry seen here is older than the promise file", d, "db2", but(on(d, "db2"), func(l *Local) { l.Record = promise.Record{File: "another"} }), "wait"},
		{"not a member", d, "db9", but(on(d, "db9"), func(l *Local) { l.Record.Promise = 0 }), "wait"},
		{"the server is down", d, "db2", but(on(d, "db2"), func(l *Local) { l.Process = health.ProcessExited }), "wait"},
		{"the server hangs", d, "db2", but(on(d, "db2"), func(l *Local) { l.Answers = false }), "wait"},
	})
}

func TestAFencedReplicaStaysFenced(t *testing.T) {
	d := group(3).fencing().d
	fenced := but(on(d, "db2"), func(l *Local) { l.Fenced = 2 })
	runNext(t, []next{
		{"it listens", d, "db2", but(following(d, "db2", db1at, Acknowledges), func(l *Local) { l.Record.Follows = 1 }), "fence"},
		{"it follows nobody: that is made durable as well", d, "db2", on(d, "db2"), "fence"},
		{"fenced", d, "db2", fenced, "wait"},
		{"fenced for an older epoch", d, "db2", but(fenced, func(l *Local) { l.Fenced = 1 }), "fence"},
		{"somebody started it", d, "db2", but(fenced, func(l *Local) { l.Receiving = true }), "fence"},
		{"the server was restarted: the guard forgot", d, "db2", but(on(d, "db2"), func(l *Local) { l.Incarnation = "p2" }), "fence"},
		{"a human opened it", d, "db2", but(fenced, func(l *Local) { l.ReadOnly = false }), "shut"},
		{"a member that does not acknowledge is fenced too", d, "db3", on(d, "db3"), "fence"},
	})
}

func TestAFormerPrimaryIsEndedOrAttested(t *testing.T) {
	fencing := group(3).fencing().d
	closing := group(3).closing().d
	promoting := group(3).promoting().d
	over := func(d *registry.Database) Local {
		return but(reigning(group(3).d), func(l *Local) { l.Record.Promise = d.Epoch })
	}
	lost := func(d *registry.Database) Local {
		return but(on(d, "db1"), func(l *Local) { l.ReadOnly, l.AsksFor = false, 1 })
	}
	closed := but(over(closing), func(l *Local) { l.ReadOnly, l.Closed = true, 2 })
	later := group(3).with(func(d *registry.Database) { d.Epoch, d.Primary, d.Ackers = 5, "db2", []registry.InstanceID{"db3"} }).d
	runNext(t, []next{
		{"it reigned and was revoked", fencing, "db1", over(fencing), "kill"},
		{"also when it does not answer", fencing, "db1", but(over(fencing), func(l *Local) { l.Answers = false }), "kill"},
		{"also when it reads as closed: that proves nothing", fencing, "db1", but(over(fencing), func(l *Local) { l.ReadOnly = true }), "kill"},
		{"it missed two epochs", later, "db1", over(later), "kill"},
		{"it led, and its marker may wait", fencing, "db1", but(over(fencing), func(l *Local) { l.Record.Marked, l.Record.MarkedBy = 0, "" }), "kill"},
		{"it is health.ProcessExited already", fencing, "db1", but(over(fencing), func(l *Local) { l.Process = health.ProcessExited }), "wait"},
		{"it was restarted", fencing, "db1", but(over(fencing), func(l *Local) { l.Incarnation, l.ReadOnly = "p2", true }), "attest"},
		{"it was restarted and takes writes", fencing, "db1", but(over(fencing), func(l *Local) { l.Incarnation, l.AsksFor = "p2", 0 }), "shut"},
		{"its promise file was lost, and commits may wait", fencing, "db1", lost(fencing), "kill"},
		{"the same, and it reads as closed", fencing, "db1", but(lost(fencing), func(l *Local) { l.ReadOnly = true }), "kill"},
		{"the same, and it was closed", fencing, "db1", but(lost(fencing), func(l *Local) { l.ReadOnly, l.Closed = true, 2 }), "wait"},
		{"the same in a later reign", later, "db1", lost(later), "kill"},
		{"the same while another is elected", promoting, "db1", lost(promoting), "kill"},
		{"the same, and it is to follow", group(3).promoting().with(func(d *registry.Database) {
			d.NextAckers = []registry.InstanceID{"db1", "db3"}
		}).d, "db1", lost(promoting), "kill"},
		{"it attested", fencing, "db1", but(over(fencing), func(l *Local) { l.Incarnation, l.ReadOnly, l.Closed = "p2", true, 2 }), "wait"},
		{"it follows a winner that was lost: it stops before it says where it stands", fencing, "db1", but(over(fencing), func(l *Local) {
			l.Incarnation, l.ReadOnly, l.Receiving, l.Source = "p2", true, true, db2at
		}), "fence"},
		{"it hands over", closing, "db1", over(closing), "close"},
		{"it handed over", closing, "db1", closed, "wait"},
		{"its agent was restarted before it was asked for its position", closing, "db1", but(closed, func(l *Local) { l.Closed = 0 }), "close"},
		{"others go on receiving meanwhile", closing, "db2", following(closing, "db2", db1at, Acknowledges), "wait"},
		{"it handed over, then the hand-over was escalated", fencing, "db1", closed, "wait"},
		{"it handed over to somebody and acknowledges for it", group(3).promoting().with(func(d *registry.Database) {
			d.NextAckers = []registry.InstanceID{"db1", "db3"}
		}).d, "db1", closed, "follow db2 acks"},
		{"it handed over and was forgotten", promoting, "db1", closed, "wait"},
		{"it handed over, and its agent missed the epochs since", later, "db1", but(closed, func(l *Local) { l.Record.Promise = 5 }), "rejoin db2 silent"},
		{"its agent forgot that it handed over", later, "db1", but(closed, func(l *Local) { l.Record.Promise, l.Closed = 5, 0 }), "kill"},
	})
}

func TestAWinnerLeadsAndOthersFollowIt(t *testing.T) {
	d := group(4).promoting().d
	kept := group(3).closing().with(func(d *registry.Database) {
		d.Phase, d.Primary, d.Proof, d.NextAckers, d.NextK = registry.Promoting, "db1", registry.ProofKept, d.Ackers, 1
	}).d
	won := but(on(d, "db2"), func(l *Local) { l.Fenced = 2 })
	runNext(t, []next{
		{"elected", d, "db2", won, "lead"},
		{"elected, and somebody opened it", d, "db2", but(won, func(l *Local) { l.ReadOnly = false }), "shut"},
		{"its marker is acknowledged", d, "db2", but(won, func(l *Local) {
			l.Record.Led, l.Record.LedBy, l.Record.Marked, l.Record.MarkedBy = 2, "p1", 2, "p1"
		}), "wait"},
		{"it was restarted after that", d, "db2", but(won, func(l *Local) {
			l.Record.Led, l.Record.LedBy, l.Record.Marked, l.Record.MarkedBy = 2, "p0", 2, "p0"
		}), "lead"},
		{"it led in an epoch before this one", d, "db2", but(won, func(l *Local) { l.Record.Led, l.Record.LedBy = 1, "p1" }), "lead"},
		{"an acker", d, "db3", but(on(d, "db3"), func(l *Local) { l.Fenced = 2 }), "follow db2 acks"},
		{"an acker that follows", d, "db3", following(d, "db3", db2at, Acknowledges), "wait"},
		{"an acker that follows silently", d, "db3", following(d, "db3", db2at, Silent), "follow db2 acks"},
		{"an acker that follows another", d, "db3", following(d, "db3", db1at, Acknowledges), "follow db2 acks"},
		{"an acker whose receiver stopped", d, "db3", but(following(d, "db3", db2at, Acknowledges), func(l *Local) { l.Receiving = false }), "follow db2 acks"},
		{"an acker that somebody opened", d, "db3", but(on(d, "db3"), func(l *Local) { l.ReadOnly = false }), "shut"},
		{"who was not heard in time is fenced", d, "db1", on(d, "db1"), "attest"},
		{"a hand-over that is undone stops nobody", kept, "db1", but(reigning(group(3).d), func(l *Local) { l.Record.Promise = 2 }), "lead"},
	})
}

func TestAReignIsKept(t *testing.T) {
	d := group(3).d
	runNext(t, []next{
		{"established, not open yet", d, "db1", but(reigning(d), func(l *Local) { l.ReadOnly = true }), "open"},
		{"open", d, "db1", reigning(d), "wait"},
		{"restarted: it stays closed", d, "db1", but(reigning(d), func(l *Local) { l.Incarnation, l.ReadOnly = "p2", true }), "wait"},
		{"restarted, and takes writes", d, "db1", but(reigning(d), func(l *Local) { l.Incarnation = "p2" }), "shut"},
		{"it is established by a report of a process that is health.ProcessExited", d, "db1", but(on(d, "db1"), func(l *Local) {
			l.Record.Marked, l.Record.MarkedBy, l.Incarnation = 1, "p1", "p2"
		}), "wait"},
		{"its guard has forgotten everything", d, "db1", but(on(d, "db1"), func(l *Local) { l.ReadOnly = false }), "shut"},
		{"a replica", d, "db2", following(d, "db2", db1at, Acknowledges), "wait"},
		{"a replica that somebody opened", d, "db2", but(following(d, "db2", db1at, Acknowledges), func(l *Local) { l.ReadOnly = false }), "shut"},
		{"a replica that follows nobody", d, "db2", on(d, "db2"), "rejoin db1 acks"},
		{"a replica that follows for an older epoch", d, "db2", but(following(d, "db2", db1at, Acknowledges), func(l *Local) { l.Record.Follows = 0 }), "rejoin db1 acks"},
		{"a replica that lost its receiver", d, "db2", but(following(d, "db2", db1at, Acknowledges), func(l *Local) { l.Receiving = false }), "rejoin db1 acks"},
		{"a replica that is no acker follows silently", group(3).with(func(d *registry.Database) { d.Ackers = d.Ackers[:1] }).d, "db3", on(d, "db3"), "rejoin db1 silent"},
		{"an acker from now on", d, "db3", following(d, "db3", db1at, Silent), "rejoin db1 acks"},
		{"following, but not measured", d, "db2", but(following(d, "db2", db1at, Acknowledges), func(l *Local) { l.CaughtUp = false }), "measure"},
	})
}

func TestAGuardTakesItsPartInAChangeOfAckers(t *testing.T) {
	retire, prove := registry.Change{Retire: "db3"}, registry.Change{Retire: "db3", Silent: true}
	runNext(t, []next{
		{"a revision is promised before anything is done in it", leaving(), "db3", but(following(leaving(), "db3", db1at, Acknowledges), func(l *Local) { l.Record.Revision = 6 }), "promise"},
		{"a state from before the change is waited out", leaving(), "db3", but(following(leaving(), "db3", db1at, Acknowledges), func(l *Local) { l.Record.Revision = 8 }), "wait"},
		{"who leaves follows silently", leaving(), "db3", following(leaving(), "db3", db1at, Acknowledges), "rejoin db1 silent"},
		{"also when it was silent in the settings only", leaving(), "db3", following(leaving(), "db3", db1at, Silent), "rejoin db1 silent"},
		{"who leaves is silent", leaving(), "db3", but(following(leaving(), "db3", db1at, Silent), func(l *Local) { l.Silenced = true }), "wait"},
		{"others go on", leaving(), "db2", following(leaving(), "db2", db1at, Acknowledges), "wait"},
		{"nothing to prove before the other is silent", changing(retire), "db1", reigning(changing(retire)), "wait"},
		{"the primary proves", changing(prove), "db1", reigning(changing(prove)), "prove"},
		{"again for each revision", changing(prove), "db1", but(reigning(changing(prove)), func(l *Local) { l.Proved = 6 }), "prove"},
		{"it is proved", changing(prove), "db1", but(reigning(changing(prove)), func(l *Local) { l.Proved = 7 }), "wait"},
		{"more is waited for before it counts", changing(registry.Change{K: 2}), "db1", reigning(changing(registry.Change{K: 2})), "ask"},
		{"and then proved", changing(registry.Change{K: 2}), "db1", but(reigning(changing(registry.Change{K: 2})), func(l *Local) { l.AsksFor = 2 }), "prove"},
		{"less is waited for after it counts", group(4).d, "db1", but(reigning(group(4).d), func(l *Local) { l.AsksFor = 2 }), "ask"},
		{"somebody turned the waiting off", group(4).d, "db1", but(reigning(group(4).d), func(l *Local) { l.AsksFor = 0 }), "ask"},
	})
}

// Whatever the state, no step is named for an epoch below the promise (G3).
func TestNoStepIsNamedBelowThePromise(t *testing.T) {
	for _, d := range []*registry.Database{group(3).d, group(3).fencing().d, group(3).closing().d, group(3).promoting().d} {
		for _, m := range d.Members {
			for _, l := range []Local{on(d, m.ID), reigning(d), following(d, m.ID, db1at, Acknowledges)} {
				l.Record.File, l.Record.Promise = m.PromiseFile, d.Epoch+1
				if s := Next(d, m.ID, l); s.Verb != Wait || !strings.Contains(s.Why, "promised epoch") {
					t.Errorf("%s of %s: %s %s", d.Phase, m.ID, s.Verb, s.Why)
				}
			}
		}
	}
}

package decide

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// Decision is what Decide wants: a command to propose, or nothing and, where something is wrong, why not.
type Decision struct {
	Command registry.Command
	Waiting registry.Cause
}

// Decide names the next step for one database, or none. It is pure: the same state, view and clock give the same
// decision on every server, so a new leader continues where the last one stopped (G5).
func Decide(d *registry.Database, v health.View, r Rules, c Clock) Decision {
	if d.Policy.K > 1 && len(d.Members) > 0 && d.Members[0].Flavor == registry.MariaDB {
		return waiting(Unsupported, "k = %d, but MariaDB acknowledges with one replica only. Way out: set k = 1", d.Policy.K)
	}
	e := election{d: d, view: v, rules: r, clock: c}
	if older := e.restored(); !older.Zero() {
		return Decision{Waiting: older}
	}
	switch d.Phase {
	case registry.Forming:
		return e.forming()
	case registry.Serving:
		return e.serving()
	case registry.Closing:
		return e.closing()
	case registry.Fencing:
		return e.fencing()
	case registry.Promoting:
		return e.promoting()
	}
	return Decision{}
}

// election is the input of one Decide.
type election struct {
	d     *registry.Database
	view  health.View
	rules Rules
	clock Clock
}

func waiting(code, format string, args ...any) Decision {
	return Decision{Waiting: registry.Cause{Code: code, Detail: fmt.Sprintf(format, args...)}}
}

func (e election) revoke(to registry.InstanceID, why registry.Cause) Decision {
	return Decision{Command: &registry.Revoke{Database: e.d.Name, Epoch: e.d.Epoch + 1, To: to, Cause: why, AtMillis: e.clock.NowMillis}}
}

// age is how long ago id was heard; who was never heard is as old as this leader's watch.
func (e election) age(id registry.InstanceID) time.Duration {
	if h, ok := e.view[id]; ok {
		return h.Age
	}
	return e.clock.Watching
}

// fresh returns id's report when it speaks for the present.
func (e election) fresh(id registry.InstanceID) (health.Heard, bool) {
	h, ok := e.view[id]
	return h, ok && h.Age <= e.rules.Fresh
}

// ready reports whether id could be fenced, and could win or acknowledge, now.
func (e election) ready(id registry.InstanceID) bool {
	h, ok := e.fresh(id)
	return ok && !h.Process.Gone() && h.Process != health.ProcessStopped && millis(h.UnreachableMillis) < e.rules.Ready && h.Emptied() == ""
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// forming starts the first election once every expected member is there and none of them disagrees.
func (e election) forming() Decision {
	ready := 0
	missing := ""
	for _, m := range e.d.Members {
		if e.ready(m.ID) && e.view[m.ID].Preflight {
			ready++
			continue
		}
		missing += fmt.Sprintf("; %s unheard for %.1f s", m.ID, e.age(m.ID).Seconds())
	}
	if ready < e.d.Policy.Expect {
		return waiting(MembersMissing, "%d of %d expected members are ready%s. Way out: start the agents and servers that are missing",
			ready, e.d.Policy.Expect, missing)
	}
	if unsafe := e.unsafeSettings(); !unsafe.Zero() {
		return Decision{Waiting: unsafe}
	}
	return e.revoke("", registry.Cause{Code: Formation, Detail: fmt.Sprintf("%d members are ready", ready)})
}

// unsafeSettings names the settings of members with which an acknowledged write could be lost.
func (e election) unsafeSettings() registry.Cause {
	detail := ""
	for _, m := range e.d.Members {
		for _, f := range e.view[m.ID].Findings {
			if f.Fatal {
				detail += fmt.Sprintf(" %s has %s = %s, want %s (%s). Fix: %s;", m.ID, f.Setting, f.Have, f.Want, f.Why, f.Fix)
			}
		}
	}
	if detail == "" {
		return registry.Cause{}
	}
	return registry.Cause{Code: SettingsUnsafe, Detail: "acknowledged writes could be lost:" + detail}
}

// serving looks for a failure of the primary first, and else keeps house.
func (e election) serving() Decision {
	failure, doubt := e.primaryFailure()
	if e.d.Handover != nil && (failure.Zero() || e.d.Policy.Paused || !e.cannotReplace().Zero()) {
		return e.preparing(failure, doubt)
	}
	if failure.Zero() {
		if next := e.durability(); next.Command != nil || doubt.Zero() && !next.Waiting.Zero() && e.housekeeping().Command == nil {
			return next
		}
		if next := e.housekeeping(); next.Command != nil || doubt.Zero() {
			return next
		}
		if doubt.Code == AgentLost && e.d.Durability == registry.Degraded {
			doubt.Detail += ". " + e.mayLose(e.d.Primary).Detail
		}
		return Decision{Waiting: doubt}
	}
	if e.d.Policy.Paused {
		return waiting(Paused, "%s, but the database is paused. Way out: baton db resume %s", failure, e.d.Name)
	}
	if lack := e.cannotReplace(); !lack.Zero() {
		return Decision{Waiting: registry.Cause{Code: lack.Code, Detail: failure.String() + ", but " + lack.Detail}}
	}
	return e.revoke("", failure)
}

// primaryFailure returns the failure that is certain, or else a doubt that people should know of.
func (e election) primaryFailure() (failure, doubt registry.Cause) {
	id := e.d.Primary
	h, heard := e.fresh(id)
	cause := func(code, format string, args ...any) registry.Cause {
		return registry.Cause{Code: code, Detail: fmt.Sprintf(format, args...)}
	}
	deaf, hears := e.hear(e.listeners())
	switch {
	case heard && h.Process.Gone():
		return cause(PrimaryGone, "the process of %s is %s", id, h.Process), doubt
	case heard && e.stalled(h):
		return cause(PrimaryStuck, "no commit got through on %s for %d ms, and its disk hangs or is full", id, h.Canary.StillMillis), doubt
	case heard && e.hung(h) && hears == 0 && deaf > 0:
		return cause(PrimaryHung, "%s has not answered its own agent for %d ms (process %s), and no acker hears it",
			id, h.UnreachableMillis, h.Process), doubt
	case heard && e.hung(h):
		return failure, cause(PrimaryHung, "%s does not answer its agent, but %d ackers hear it or cannot be asked", id, hears)
	case heard && h.UnreachableMillis == 0 && h.Guard.Promise >= e.d.Epoch && h.Guard.Marked != e.d.Epoch && e.clock.InPhase > e.rules.Deaf:
		return cause(PrimaryRestarted, "%s runs as another process since it was established", id), doubt
	case heard && min(millis(h.Canary.BlockedMillis), millis(h.Canary.StillMillis)) >= e.rules.Stuck && !h.Canary.WaitingForAcks && h.Canary.Lock.Waits == "":
		return cause(PrimaryStuck, "no commit got through on %s for %d ms", id, h.Canary.StillMillis), doubt
	case heard && millis(h.Canary.BlockedMillis) >= e.rules.CutOff && h.Canary.WaitingForAcks && e.cutOff():
		return cause(PrimaryCutOff, "commits on %s have waited %d ms for acknowledgements, and enough of %v are there but do not hear it",
			id, h.Canary.BlockedMillis, e.d.Ackers), doubt
	case heard && millis(h.Canary.BlockedMillis) >= e.rules.Stuck && h.Canary.WaitingForAcks:
		return failure, cause(AckersLonely, "commits on %s have waited %d ms for ackers. Way out: bring back one of %v; to go on alone meanwhile: baton db policy %s --when-alone degrade", id, h.Canary.BlockedMillis, e.d.Ackers, e.d.Name)
	case heard && millis(h.Canary.BlockedMillis) >= e.rules.Stuck && h.Canary.Lock.Waits != "":
		return failure, cause(PrimaryLocked, "commits on %s have waited %d ms (%s): %s", id, h.Canary.BlockedMillis, h.Canary.Lock.Waits, h.Canary.Lock.Held())
	case heard || e.age(id) < e.rules.Silence:
		return failure, doubt
	case hears == 0 && deaf > 0 && h.Probed == health.ProbeDead:
		return cause(PrimarySilent, "the agent of %s has been unheard for %.1f s, no acker hears the server, and a probe failed", id, e.age(id).Seconds()), doubt
	case e.age(id) >= e.rules.Closed && e.closed():
		return cause(PrimaryClosed, "the agent of %s has been unheard for %.1f s, and the server says that it takes no writes", id, e.age(id).Seconds()), doubt
	}
	return failure, cause(AgentLost, "the agent of %s has been unheard for %.1f s; the server is heard by %d ackers, probe %q. Way out: start the agent",
		id, e.age(id).Seconds(), hears, h.Probed)
}

// hung reports whether h has left its agent without an answer for too long to be only paused or overloaded.
func (e election) hung(h health.Heard) bool {
	if h.Process == health.ProcessStopped {
		return millis(h.UnreachableMillis) >= e.rules.Frozen
	}
	return millis(h.UnreachableMillis) >= e.rules.Hung
}

// stalled reports whether nothing is committed on h because of its disk. A thread may have been found to wait for it a moment
// later than the commit was. While somebody holds a lock nothing is committed anyhow, and a backup that froze the disk for a snapshot
// holds one.
func (e election) stalled(h health.Heard) bool {
	c, wait := h.Canary, e.rules.Stalled/2
	if c.Lock.Waits != "" {
		wait = e.rules.Stuck
	}
	return min(millis(c.BlockedMillis), millis(c.StillMillis)) >= e.rules.Stalled && millis(c.DiskMillis) >= wait && !c.WaitingForAcks
}

// hear counts who of ids can be asked: who has heard nothing from the primary, and who has.
func (e election) hear(ids []registry.InstanceID) (deaf, hears int) {
	for _, id := range ids {
		h, ok := e.fresh(id)
		switch {
		case !ok || h.Replication == nil || e.moved(h):
		case e.hears(h):
			hears++
		default:
			deaf++
		}
	}
	return deaf, hears
}

// cutOff reports whether so many ackers are there and have not heard the primary for so long that no commit can return, and that
// they can end its reign and serve.
func (e election) cutOff() bool {
	cut := 0
	for _, id := range e.d.Ackers {
		if h, ok := e.fresh(id); ok && h.Replication != nil && !e.moved(h) && millis(h.Replication.SilenceMillis) >= e.rules.CutOff {
			cut++
		}
	}
	return e.d.IsLossless() && cut >= e.d.Need() && e.cannotReplace().Zero()
}

// closed reports whether somebody who hears the primary was told by it that it takes no writes.
func (e election) closed() bool {
	primary, _ := e.d.Member(e.d.Primary)
	return slices.ContainsFunc(e.listeners(), func(id registry.InstanceID) bool {
		h, ok := e.fresh(id)
		return ok && h.Replication != nil && h.Replication.SourceClosed && h.Replication.Source == primary.Address && e.hears(h)
	})
}

// hears reports whether h, who replicates, has heard the primary of late.
func (e election) hears(h health.Heard) bool {
	return millis(h.Replication.SilenceMillis) < e.rules.Deaf
}

// listeners are who could hear the primary: its ackers, and all replicas of one that waits for nobody.
func (e election) listeners() []registry.InstanceID {
	if e.d.IsLossless() {
		return e.d.Ackers
	}
	var all []registry.InstanceID
	for _, m := range e.d.Members {
		if m.ID != e.d.Primary {
			all = append(all, m.ID)
		}
	}
	return all
}

// cannotReplace says what an election would lack. A reign is not ended before its replacement can be had: a primary
// that is only silent may come back.
func (e election) cannotReplace() registry.Cause {
	if !e.d.IsLossless() {
		return e.cannotReplaceAlone()
	}
	ready, missing := 0, "" // whole memories are needed to discover, none to acknowledge for the next primary
	for _, id := range e.d.Ackers {
		h := e.view[id]
		if e.ready(id) && !h.Guard.Amnesiac {
			ready++
			continue
		}
		missing += fmt.Sprintf(" %s (unheard %.1f s, process %s, amnesiac %t);", id, e.age(id).Seconds(), h.Process, h.Guard.Amnesiac)
	}
	followers := 0
	missing += e.delays()
	for _, m := range e.d.Members {
		if m.ID != e.d.Primary && e.mayAct(m) && e.ready(m.ID) {
			followers++
		}
	}
	returned := e.ready(e.d.Primary) && e.view[e.d.Primary].ReadOnly && followers >= e.fewest()
	if returned || (ready >= e.d.Need() && followers > e.fewest()) {
		return registry.Cause{}
	}
	return registry.Cause{Code: AckersMissing, Detail: fmt.Sprintf(
		"%d of %d ackers can be fenced, need %d, and %d replicas are ready, need a winner and %d to acknowledge for it; missing:%s Way out: bring one of them back, or the primary; if they are gone for good: %s",
		ready, len(e.d.Ackers), e.d.Need(), followers, e.fewest(), missing, e.unblock())}
}

// housekeeping lets caught-up replicas acknowledge and keeps the rotation of replicas.
func (e election) housekeeping() Decision {
	change := e.change()
	if change.Command != nil {
		return change
	}
	for _, m := range e.d.Members {
		if m.ID == e.d.Primary {
			continue
		}
		h, fresh := e.fresh(m.ID)
		follows := fresh && h.Guard.Follows == e.d.Epoch && h.Guard.CaughtUp && h.Guard.Diverged == "" && h.Impostor(e.d) == ""
		switch joins, why := follows && !e.d.IsAcker(m.ID) && e.d.Change == nil, h.Forgets(); {
		case joins && why != "":
			change.Waiting = registry.Cause{Code: NotDurable, Detail: fmt.Sprintf("%s is not made an acker: %s. Way out: set it right; baton db show %s says how", m.ID, why, e.d.Name)}
		case joins && e.mayAct(m):
			return Decision{Command: &registry.AddAcker{Database: e.d.Name, Epoch: e.d.Epoch, Instance: m.ID, AtMillis: e.clock.NowMillis,
				Cause: registry.Cause{Code: AckerAdded, Detail: fmt.Sprintf("%s holds everything that %s had when it connected", m.ID, e.d.Primary)}}}
		}
		out := e.outOfRotation(m.ID)
		settling := !out.Zero() && e.clock.InPhase < e.rules.Winner // they are only just being pointed at the new primary
		if out.Code != m.OutOf.Code && !settling {
			return Decision{Command: &registry.SetRotation{Database: e.d.Name, Instance: m.ID, OutOf: out}}
		}
	}
	return change
}

// outOfRotation says why a replica must not be read from; zero: it may.
func (e election) outOfRotation(id registry.InstanceID) registry.Cause {
	h, ok := e.view[id]
	if !ok || h.Age > e.rules.Winner || h.Process.Gone() || millis(h.UnreachableMillis) > e.rules.Winner {
		if e.clock.Watching < e.rules.Winner {
			m, _ := e.d.Member(id)
			return m.OutOf // too early to say
		}
		return registry.Cause{Code: ReplicaUnheard, Detail: fmt.Sprintf("%s does not answer", id)}
	}
	switch rep := h.Replication; {
	case h.Power.Torn != "":
		return registry.Cause{Code: NotDurable, Detail: fmt.Sprintf("%s: %s", id, h.Power.Torn)}
	case h.Guard.Diverged != "":
		return registry.Cause{Code: ReplicaDiverged, Detail: fmt.Sprintf("%s holds %s, which the primary lacks", id, h.Guard.Diverged)}
	case rep == nil || !rep.Applier || rep.Receiver == "stopped" || h.Guard.Follows != e.d.Epoch:
		return registry.Cause{Code: ReplicaBroken, Detail: fmt.Sprintf("%s does not follow the primary: %s", id, broken(h))}
	case rep.DelaySeconds > e.d.Policy.MaxLagSeconds:
		return registry.Cause{Code: ReplicaLagging, Detail: fmt.Sprintf("%s is kept %d s behind on purpose, limit %d s; it does not acknowledge and is not elected",
			id, rep.DelaySeconds, e.d.Policy.MaxLagSeconds)}
	case rep.LagSeconds > e.d.Policy.MaxLagSeconds:
		return registry.Cause{Code: ReplicaLagging, Detail: fmt.Sprintf("%s is %d s behind, limit %d s", id, rep.LagSeconds, e.d.Policy.MaxLagSeconds)}
	}
	return registry.Cause{}
}

// broken is why h does not follow: the errors of its server, and what its guard failed to do about it.
func broken(h health.Heard) string {
	why := []string{}
	for _, text := range []string{cmp.Or(h.Replication.Broken(), h.Replication.Failure()), h.Guard.Problem} {
		if text != "" {
			why = append(why, text)
		}
	}
	if len(why) == 0 {
		return "it follows another, or the one of an earlier epoch"
	}
	return strings.Join(why, "; ")
}

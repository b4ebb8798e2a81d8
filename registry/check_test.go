package registry_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

func TestAnyOrderOfCommandsKeepsTheInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pasts := map[registry.DatabaseName]*past{}
		walk(t, func(before, after *registry.State, c registry.Command, err error) {
			for _, d := range after.Databases() {
				if pasts[d.Name] == nil {
					pasts[d.Name] = &past{passed: map[registry.InstanceID]bool{}, armed: map[registry.Armed]bool{}}
				}
				was, _ := before.Database(d.Name)
				pasts[d.Name].step(t, was, d, c, err)
				checkDatabase(t, d)
				checkPublished(t, after, d)
			}
		})
	})
}

// past remembers what a database has been through, on its own account.
type past struct {
	established bool                         // there has been a primary
	elected     registry.Proof               // of the Elect of this epoch
	proved      bool                         // an Elect of this interregnum proved a base
	armed       map[registry.Armed]bool      // who may acknowledge for whom
	passed      map[registry.InstanceID]bool // who was lost while it caught up, in this interregnum
}

// step holds what one command may do to a database, and what an Elect must prove.
func (p *past) step(t *rapid.T, was, is *registry.Database, c registry.Command, err error) {
	if was == nil || was == is {
		if e, ok := c.(*registry.Elect); ok && was != nil && e.Database == is.Name && err != nil {
			if lack := p.lacks(was, e); lack == "" {
				t.Fatalf("an Elect that proves everything was refused: %v", err)
			}
		}
		return
	}
	revoked := false
	if f, ok := c.(*registry.Forfeit); ok {
		if lack := p.forfeits(was, f); lack != "" {
			t.Fatalf("a Forfeit was accepted: %s", lack)
		}
		p.chosen(was, &f.Elect)
	}
	switch c := c.(type) {
	case *registry.AcceptLoss:
		if revoked = was.Phase == registry.Serving || was.Phase == registry.Promoting; revoked {
			p.revoked(was)
		}
	case *registry.Degrade, *registry.Rearm:
		if was.Phase != registry.Serving || is.Revision == was.Revision {
			t.Fatalf("%T in %s, revision %d then %d", c, was.Phase, was.Revision, is.Revision)
		}
	case *registry.Revoke:
		revoked = true
		p.revoked(was)
	case *registry.Elect:
		if lack := p.lacks(was, c); lack != "" {
			t.Fatalf("an Elect was accepted: %s", lack)
		}
		p.chosen(was, c)
	case *registry.Prepare:
		p.prepared(t, is, c)
	case *registry.AddAcker:
		p.armed[registry.Armed{Instance: c.Instance, Source: was.Primary}] = true
	case *registry.RemoveMember:
		if m, _ := was.Member(c.Instance); m.Leaving.Zero() {
			t.Fatalf("%s was removed, and nobody wanted it to leave", c.Instance)
		}
		p.disarm(c.Instance)
	case *registry.AdvanceChange:
		if was.Change.Silent {
			p.disarm(was.Change.Retire)
		}
	case *registry.Establish:
		p.disarm(was.Primary)
		*p = past{established: true, passed: map[registry.InstanceID]bool{}, armed: p.armed}
		winner, _ := is.Member(was.Primary)
		if is.Reign != (registry.Reign{Base: was.Base, Source: winner.SourceKey()}) || is.Primary != was.Primary {
			t.Fatalf("reign %+v of %s, elected was %s at %s", is.Reign, is.Primary, was.Primary, was.Base)
		}
	}
	p.checkAckers(t, was, is, c)
	if is.Handover != nil && is.Phase != registry.Serving {
		t.Fatalf("a hand-over is prepared in %s", is.Phase)
	}
	checkDurability(t, was, is, c)
	switch grown := is.Epoch - was.Epoch; {
	case revoked && grown != 1, !revoked && grown != 0:
		t.Fatalf("%T moved the epoch from %d to %d", c, was.Epoch, is.Epoch)
	}
	if (is.Former != "") != (is.Interregnum() && p.established) {
		t.Fatalf("former %q in %s, there has been a primary: %t", is.Former, is.Phase, p.established)
	}
	if (is.Settled != nil) != p.proved {
		t.Fatalf("settled %v in %s, proved in this interregnum: %t", is.Settled, is.Phase, p.proved)
	}
	if len(is.Passed) != len(p.passed) || !slices.IsSorted(is.Passed) || slices.ContainsFunc(is.Passed, func(id registry.InstanceID) bool { return !p.passed[id] }) {
		t.Fatalf("passed %v, lost on the way were %v", is.Passed, p.passed)
	}
	if is.Interregnum() && was.Interregnum() && (is.Former != was.Former || is.K != was.K || !slices.Equal(is.Ackers, was.Ackers)) {
		t.Fatalf("%T changed whom a fence must cover while nobody reigns", c)
	}
}

func (p *past) prepared(t *rapid.T, is *registry.Database, c *registry.Prepare) {
	if is.Handover != nil {
		for _, m := range is.Handover.Movers {
			p.armed[registry.Armed{Instance: m, Source: c.To}] = true
		}
		if left := len(is.Ackers) - len(is.Handover.Movers); left < is.K || slices.Contains(is.Handover.Movers, c.To) {
			t.Fatalf("%d ackers are left to %s, which needs %d: %v of %v follow %s", left, is.Primary, is.K, is.Handover.Movers, is.Ackers, c.To)
		}
	}
}

func (p *past) revoked(was *registry.Database) {
	p.proved = was.Phase == registry.Promoting && (p.proved || p.elected != registry.ProofKept)
	p.elected = ""
	if was.CatchUp != nil {
		p.passed[was.Primary] = true
	}
}

func (p *past) chosen(was *registry.Database, c *registry.Elect) {
	p.elected = c.Proof
	for _, e := range c.Evidence {
		if was.Phase == registry.Fencing {
			p.disarm(e.Instance)
		}
	}
	for _, a := range c.Ackers {
		p.armed[registry.Armed{Instance: a, Source: c.Winner}] = true
	}
}

func (p *past) disarm(id registry.InstanceID) {
	for a := range p.armed {
		if a.Instance == id {
			delete(p.armed, a)
		}
	}
}

// checkAckers holds that no one who may acknowledge for the primary is missing among its ackers, and that a guard can tell
// any state before a change from one after it.
func (p *past) checkAckers(t *rapid.T, was, is *registry.Database, c registry.Command) {
	for a := range p.armed {
		if _, member := is.Member(a.Instance); is.Phase == registry.Serving && a.Source == is.Primary && member && !is.IsAcker(a.Instance) {
			t.Fatalf("%T: %s may acknowledge for %s and is not among its ackers %v", c, a.Instance, a.Source, is.Ackers)
		}
	}
	if len(is.Armed) != len(p.armed) || slices.ContainsFunc(is.Armed, func(a registry.Armed) bool { return !p.armed[a] }) {
		t.Fatalf("%T: armed %v, want %v", c, is.Armed, p.armed)
	}
	changed := was.K != is.K || !slices.Equal(was.Ackers, is.Ackers) || fmt.Sprint(was.Change) != fmt.Sprint(is.Change)
	if _, established := c.(*registry.Establish); is.Revision < was.Revision || changed && !established && is.Revision == was.Revision {
		t.Fatalf("%T changed the ackers from %v, %d to %v, %d and the revision from %d to %d", c, was.Ackers, was.K, is.Ackers, is.K, was.Revision, is.Revision)
	}
}

// lacks says why an Elect must not be accepted, or "". The arithmetic is brute force: every set of ackers that could
// complete a commit of the former primary must meet one who is fenced and remembers (G1, G2).
func (p *past) lacks(d *registry.Database, c *registry.Elect) string {
	var members []registry.InstanceID
	for _, m := range d.Members {
		members = append(members, m.ID)
	}
	if c.Epoch != d.Epoch || d.Phase != registry.Closing && d.Phase != registry.Fencing {
		return "stale"
	}
	distinct := map[registry.InstanceID]bool{}
	for _, a := range c.Ackers {
		distinct[a] = true
		if a == c.Winner || !slices.Contains(members, a) {
			return "an acker that cannot acknowledge"
		}
	}
	if !slices.Contains(members, c.Winner) || len(distinct) != len(c.Ackers) || !slices.IsSorted(c.Ackers) || c.K < 0 || c.K > len(distinct) ||
		c.K == 0 && d.IsLossless() && d.Accepted == nil {
		return "no winner, or not k ackers"
	}
	heard := map[registry.InstanceID]registry.Evidence{}
	last := registry.InstanceID("")
	for _, e := range c.Evidence {
		if e.Instance <= last || !slices.Contains(members, e.Instance) {
			return "a voice counted twice, or a stranger's"
		}
		last, heard[e.Instance] = e.Instance, e
	}
	if u := c.CatchUp; u != nil {
		if e, ok := heard[u.From]; !ok || e.Position != u.Until || u.From == c.Winner || c.Proof == registry.ProofKept {
			return "a winner that gets what it lacks from nobody"
		}
	}
	return p.lacksProof(d, c, heard)
}

func (p *past) lacksProof(d *registry.Database, c *registry.Elect, heard map[registry.InstanceID]registry.Evidence) string {
	ok := false
	switch c.Proof {
	case registry.ProofFormed:
		ok = !p.established && len(heard) >= d.Policy.Expect
	case registry.ProofFenced:
		ok = p.established && d.Phase == registry.Fencing && d.IsLossless() && everySubset(d.Ackers, d.K, func(complete []registry.InstanceID) bool {
			return slices.ContainsFunc(complete, func(a registry.InstanceID) bool { e, fenced := heard[a]; return fenced && !e.Amnesiac })
		})
	case registry.ProofClosed:
		e, closed := heard[d.Former]
		ok = p.established && closed && !e.Amnesiac && e.Position == c.Base
	case registry.ProofSettled:
		ok = p.proved
	case registry.ProofKept:
		ok = d.Phase == registry.Closing && c.Winner == d.Former && c.K == d.K && slices.Equal(c.Ackers, d.Ackers)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("%s does not hold in %s with ackers %v, k %d, evidence %v", c.Proof, d.Phase, d.Ackers, d.K, c.Evidence)
}

// everySubset reports whether holds is true of all subsets of all with k elements.
func everySubset(all []registry.InstanceID, k int, holds func([]registry.InstanceID) bool) bool {
	for bits := range 1 << len(all) {
		var some []registry.InstanceID
		for i, id := range all {
			if bits&(1<<i) != 0 {
				some = append(some, id)
			}
		}
		if len(some) == k && !holds(some) {
			return false
		}
	}
	return true
}

// checkDatabase holds what is true of every database in every state.
func checkDatabase(t *rapid.T, d *registry.Database) {
	ackers := func(list []registry.InstanceID, k int) bool {
		for _, a := range list {
			if _, ok := d.Member(a); !ok || a == d.Primary {
				return false
			}
		}
		least := 1
		if !d.IsLossless() || d.Accepted != nil {
			least = 0
		}
		return slices.IsSorted(list) && len(slices.Compact(slices.Clone(list))) == len(list) && least <= k && k <= len(list)
	}
	_, reigns := d.Member(d.Primary)
	bad := ""
	if x := d.Change; x != nil {
		m, _ := d.Member(x.Retire)
		raise := x.Retire == "" && !x.Silent && (x.K > d.K || x.K > 0 && !d.IsLossless()) && x.K <= len(d.Ackers)
		retire := x.K == 0 && d.IsAcker(x.Retire) && !m.Leaving.Zero()
		if d.Phase != registry.Serving || raise == retire {
			bad = "a change that is none"
		}
	}
	if d.CatchUp != nil && d.Phase != registry.Promoting {
		bad = "a detour of nobody"
	}
	switch d.Phase {
	case registry.Forming:
		if d.Epoch != 0 || d.Primary != "" || len(d.Ackers) > 0 {
			bad = "somebody reigns before the first epoch"
		}
	case registry.Serving:
		if !reigns || !ackers(d.Ackers, d.K) || len(d.NextAckers) > 0 || d.NextK != 0 || d.Proof != "" || d.To != "" {
			bad = "a reign without a member as primary and k ackers beside it"
		}
	case registry.Promoting:
		if !reigns || !ackers(d.NextAckers, d.NextK) || d.Proof == "" {
			bad = "a winner without a proof or k ackers"
		}
	case registry.Closing, registry.Fencing:
		if d.Primary != "" || len(d.NextAckers) > 0 || d.NextK != 0 || d.Proof != "" || d.Base != "" {
			bad = "a winner before the election"
		}
	default:
		bad = "no such phase"
	}
	if bad == "" && (!slices.IsSortedFunc(d.Members, func(a, b registry.Member) int { return strings.Compare(string(a.ID), string(b.ID)) }) ||
		!slices.IsSortedFunc(d.History, func(a, b registry.Event) int { return int(a.Index) - int(b.Index) }) || len(d.History) > 100) {
		bad = "members or history out of order, or too long"
	}
	if bad != "" {
		t.Fatalf("%s: %+v", bad, d)
	}
}

// checkPublished holds what readers see: one address or none under a primary's name (G6).
func checkPublished(t *rapid.T, s *registry.State, d *registry.Database) {
	all := map[string]registry.Record{}
	last := ""
	for _, r := range s.Records() {
		if r.Name <= last {
			t.Fatalf("record %s behind %s", r.Name, last)
		}
		all[r.Name], last = r, r.Name
	}
	primary, replicas := all["primary."+string(d.Name)+".db"], all["replicas."+string(d.Name)+".db"]
	want := "[]"
	if m, ok := d.Member(d.Primary); ok && d.Phase == registry.Serving {
		want = "[" + strings.TrimSuffix(m.Address, ":3306") + "]"
	}
	if got := show(primary); got != want || primary.Pending != d.Interregnum() {
		t.Fatalf("the primary's name shows %s (pending %t) in %s, want %s", got, primary.Pending, d.Phase, want)
	}
	for _, id := range []registry.InstanceID{d.Primary, d.Former} {
		if m, ok := d.Member(id); ok && strings.Contains(show(replicas), strings.TrimSuffix(m.Address, ":3306")) {
			t.Fatalf("%s is primary, winner or former primary, and published as a replica in %s", id, d.Phase)
		}
	}
}

func TestARefusedCommandLeavesNoTraceAndAnAppliedStateNeverChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type kept struct {
			state *registry.State
			bytes []byte
		}
		var all []kept
		walk(t, func(before, after *registry.State, c registry.Command, err error) {
			if err != nil && after != before {
				t.Fatalf("%T was refused and changed the state", c)
			}
			all = append(all, kept{after, encoded(t, after)})
			if first := all[len(all)-min(len(all), 5)]; !bytes.Equal(encoded(t, first.state), first.bytes) {
				t.Fatalf("%T changed a state that others hold:\n%s\nwas\n%s", c, encoded(t, first.state), first.bytes)
			}
		})
		for _, k := range all {
			if got := encoded(t, k.state); !bytes.Equal(got, k.bytes) {
				t.Fatalf("a state that others hold has changed:\n%s\nwas\n%s", got, k.bytes)
			}
		}
	})
}

func TestServersThatReadTheLogHoldTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		walk(t, func(before, after *registry.State, c registry.Command, err error) {
			b, encodeErr := codec.Encode(c)
			if encodeErr != nil {
				t.Fatal(encodeErr)
			}
			again, decodeErr := codec.Decode(b)
			if decodeErr != nil {
				t.Fatal(decodeErr)
			}
			if c2, _ := codec.Encode(again); !bytes.Equal(b, c2) {
				t.Fatalf("%T: %s, then %s", c, b, c2)
			}
			if dice(t, 2, "restart") > 0 {
				return // a server restarts from a snapshot now and then
			}
			restored, decodeErr := codec.DecodeState(encoded(t, before))
			if decodeErr != nil {
				t.Fatal(decodeErr)
			}
			if diff := cmp.Diff(before.Databases(), restored.Databases()); diff != "" {
				t.Fatalf("a database changed in a snapshot (-before +after):\n%s", diff)
			}
			next, applyErr := again.Apply(restored.WithIndex(after.Index()))
			if (applyErr == nil) != (err == nil) || err == nil && !bytes.Equal(encoded(t, next), encoded(t, after)) {
				t.Fatalf("%T applied from a snapshot and the log: %v, %s\nwant %v, %s", c, applyErr, encoded(t, next), err, encoded(t, after))
			}
		})
	})
}

// encoded returns the bytes of a state.
func encoded(t *rapid.T, s *registry.State) []byte {
	if s == nil {
		return nil
	}
	b, err := codec.EncodeState(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is never drawn is never checked: this walks seeds that are the same in each run.
func TestTheWalksReachEveryCommandProofAndPhase(t *testing.T) {
	seen := map[string]bool{}
	look := rapid.Custom(func(t *rapid.T) bool {
		walk(t, func(_, after *registry.State, c registry.Command, err error) {
			seen[fmt.Sprintf("%T accepted %t", c, err == nil)] = true
			if f, ok := c.(*registry.Forfeit); ok {
				seen[fmt.Sprintf("proof %s accepted %t", f.Proof, err == nil)] = true
			}
			if e, ok := c.(*registry.Elect); ok {
				seen[fmt.Sprintf("proof %s accepted %t", e.Proof, err == nil)] = true
			}
			for _, d := range after.Databases() {
				seen[fmt.Sprintf("%s with k %d, settled %t", d.Phase, d.K, d.Settled != nil)] = true
				seen[fmt.Sprintf("%s, catching up %t, passed %t", d.Phase, d.CatchUp != nil, len(d.Passed) > 0)] = true
			}
		})
		return true
	})
	for seed := range 200 {
		look.Example(seed)
	}
	var want []string
	for _, c := range everyKind() {
		want = append(want, fmt.Sprintf("%T accepted true", c), fmt.Sprintf("%T accepted false", c))
	}
	for _, p := range append(someLossy, someProofs...) {
		want = append(want, fmt.Sprintf("proof %s accepted true", p), fmt.Sprintf("proof %s accepted false", p))
	}
	want = append(want, "forming with k 0, settled false", "fencing with k 0, settled true", "promoting with k 0, settled true")
	want = append(want, "promoting, catching up true, passed false", "promoting, catching up true, passed true", "fencing, catching up false, passed true")
	for _, k := range []int{1, 2} {
		want = append(want, fmt.Sprintf("serving with k %d, settled false", k), fmt.Sprintf("closing with k %d, settled false", k),
			fmt.Sprintf("fencing with k %d, settled true", k), fmt.Sprintf("promoting with k %d, settled true", k))
	}
	for _, w := range want {
		if !seen[w] {
			t.Errorf("never seen: %s", w)
		}
	}
}

package registry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/baton-db/baton/registry"
)

// forfeits says why a Forfeit must not be accepted, or "".
func (p *past) forfeits(d *registry.Database, c *registry.Forfeit) string {
	heard := slices.ContainsFunc(c.Evidence, func(e registry.Evidence) bool { return e.Instance == c.Winner })
	switch {
	case c.Epoch != d.Epoch || d.Phase != registry.Fencing:
		return "stale"
	case !p.established || !heard:
		return "nobody reigned, or the winner was not heard"
	case c.Proof == registry.ProofLapsed && d.Durability == registry.Async:
	case c.Proof == registry.ProofAccepted && d.Accepted != nil:
	default:
		return "a loss that nobody allowed"
	}
	return ""
}

// checkDurability holds that a reign becomes lossless only by a proof: a marker that K ackers have, or a commit that they
// have and that began after the server waited for them.
func checkDurability(t *rapid.T, was, is *registry.Database, c registry.Command) {
	_, established := c.(*registry.Establish)
	_, advanced := c.(*registry.AdvanceChange)
	if !was.IsLossless() && is.IsLossless() && !(established && was.NextK > 0) && !(advanced && was.Change != nil && was.Change.K > 0) {
		t.Fatalf("%T made a %s reign lossless", c, was.Durability)
	}
	if is.IsLossless() != (is.Alone == nil) {
		t.Fatalf("%T: durability %s, alone since %+v", c, is.Durability, is.Alone)
	}
	if is.Accepted != nil && !is.Interregnum() {
		t.Fatalf("%T: a loss stays accepted in %s", c, is.Phase)
	}
}

func refused(t *testing.T, s *registry.State, c registry.Command, want error) {
	t.Helper()
	if _, err := s.Next(s.Index()+1, c); !errors.Is(err, want) {
		t.Errorf("%T %+v: %v, want %v", c, c, err, want)
	}
}

func TestOnlyThePolicyLetsAPrimaryGoOnAlone(t *testing.T) {
	refused(t, serving(t), degrade(registry.Degraded), registry.ErrInvalid)
	refused(t, serving(t), degrade(registry.Async), registry.ErrInvalid)
	yields := with(t, serving(t), &registry.PutDatabase{Name: "orders", Policy: policy("", registry.Yield)})
	refused(t, yields, degrade(registry.Async), registry.ErrInvalid)
	s := with(t, yields, degrade(registry.Degraded))
	refused(t, s, degrade(registry.Degraded), registry.ErrInvalid)
	d := orders(t, s)
	if d.Durability != registry.Degraded || d.Alone.Position != "u:1-9" || d.Alone.Epoch != 1 {
		t.Errorf("durability %s, alone since %+v", d.Durability, d.Alone)
	}
	if why := records(t, s)["why.primary.orders.db"].Text[0]; !strings.HasPrefix(why, "DEGRADED") {
		t.Errorf("the name explains: %s", why)
	}
	refused(t, s, change(2), registry.ErrInvalid)
}

// While a reign is degraded, ackers prove nothing: fencing all of them stops nobody and finds only what they have.
func TestAfterADegradedReignFencedAckersProveNothing(t *testing.T) {
	s := with(t, serving(t), &registry.PutDatabase{Name: "orders", Policy: policy("", registry.Yield)}, degrade(registry.Degraded), revoke(2, ""))
	refused(t, s, elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), registry.ErrInvalid)
	forfeit := &registry.Forfeit{Elect: *elect(2, "db2", "db3", registry.ProofLapsed, "db2 db3")}
	refused(t, s, forfeit, registry.ErrInvalid)
	forfeit.Proof = registry.ProofAccepted
	refused(t, s, forfeit, registry.ErrInvalid)
	// The former primary's own word is a proof, and it may go on alone.
	back := elect(2, "db1", "", registry.ProofClosed, "db1")
	back.K = 0
	s = with(t, s, back, establish(2))
	if d := orders(t, s); d.Durability != registry.Degraded || d.Alone.Epoch != 1 {
		t.Errorf("durability %s, alone since %+v", d.Durability, d.Alone)
	}
}

func TestAReignIsLosslessAgainOnlyWhenACommitProvesIt(t *testing.T) {
	s := with(t, serving(t), &registry.PutDatabase{Name: "orders", Policy: policy("", registry.Yield)}, degrade(registry.Degraded))
	refused(t, s, rearm(3), registry.ErrInvalid)
	s = with(t, s, rearm(1))
	if d := orders(t, s); d.IsLossless() || !d.Change.Proving() {
		t.Fatalf("durability %s, change %+v", d.Durability, d.Change)
	}
	refused(t, with(t, s, revoke(2, "")), elect(2, "db2", "db3", registry.ProofFenced, "db2 db3"), registry.ErrInvalid)
	// Alone again: the return is undone, and what was reported for it proves nothing any more.
	at := orders(t, s).Revision
	undone := with(t, s, degrade(registry.Degraded))
	refused(t, with(t, undone, rearm(1)), advance(at), registry.ErrStale)
	if d := orders(t, with(t, s, advance(at))); !d.IsLossless() || d.Alone != nil || d.K != 1 {
		t.Errorf("durability %s with k %d, alone %+v", d.Durability, d.K, d.Alone)
	}
}

func TestALossIsAcceptedForOneEpochAndRecorded(t *testing.T) {
	refused(t, forming(t), acceptLoss(0, ""), registry.ErrStale)
	refused(t, serving(t), acceptLoss(2, ""), registry.ErrStale)
	refused(t, serving(t), acceptLoss(1, "db1"), registry.ErrInvalid)
	s := with(t, serving(t), acceptLoss(1, "db2"))
	d := orders(t, s)
	if d.Phase != registry.Fencing || d.Epoch != 2 || d.Accepted.To != "db2" || d.History[len(d.History)-1].Cause.Code != "DataLossAccepted" {
		t.Fatalf("%s epoch %d, accepted %+v, history %+v", d.Phase, d.Epoch, d.Accepted, d.History)
	}
	refused(t, s, acceptLoss(1, "db2"), registry.ErrStale)
	forfeit := &registry.Forfeit{Elect: *elect(2, "db2", "", registry.ProofAccepted, "db2"), Lost: "u:10-12"}
	forfeit.K = 0
	s = with(t, s, forfeit, establish(2))
	d = orders(t, s)
	if d.Durability != registry.Degraded || d.Loss.Known != "u:10-12" || d.Loss.From != "db1" || d.Accepted != nil {
		t.Errorf("durability %s, loss %+v, accepted %+v", d.Durability, d.Loss, d.Accepted)
	}
	if !slices.ContainsFunc(d.History, func(e registry.Event) bool {
		return e.Cause.Code == registry.WritesLost && strings.Contains(e.Cause.Detail, "u:10-12")
	}) {
		t.Errorf("the history does not say what was lost: %+v", d.History)
	}
}

func TestAnAsyncReignEndsWithALapsedLease(t *testing.T) {
	s := with(t, serving(t), &registry.PutDatabase{Name: "orders", Policy: policy(registry.Async, "")}, degrade(registry.Async))
	refused(t, s, rearm(1), registry.ErrInvalid)
	s = with(t, s, revoke(2, ""))
	forfeit := &registry.Forfeit{Elect: *elect(2, "db2", "", registry.ProofLapsed, "db2"), Lost: "u:10"}
	forfeit.K = 0
	s = with(t, s, forfeit, establish(2))
	if d := orders(t, s); d.Durability != registry.Async || d.Loss.Known != "u:10" || d.Primary != "db2" {
		t.Errorf("durability %s, loss %+v, primary %s", d.Durability, d.Loss, d.Primary)
	}
}

func TestAPolicyOfUnknownDurabilityIsRefused(t *testing.T) {
	for _, p := range []registry.Policy{policy("degraded", ""), policy("", "wait")} {
		refused(t, serving(t), &registry.PutDatabase{Name: "orders", Policy: p}, registry.ErrInvalid)
	}
}

package lease_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/baton-db/baton/promote/lease"
)

// The inequality that exclusion rests on, for the slowest guard's clock and the fastest leader's.
func TestALeaderWaitsLongerThanAnyGuardGoesOn(t *testing.T) {
	drift := big.NewRat(1, 1000)
	one := big.NewRat(1, 1)
	sum := func(x, y *big.Rat) *big.Rat { return new(big.Rat).Add(x, y) }
	of := func(d time.Duration) *big.Rat { return big.NewRat(int64(d), 1) }
	guard := new(big.Rat).Quo(of(lease.Term), new(big.Rat).Sub(one, drift))
	guard = sum(guard, of(lease.Slack+lease.Fence))
	leader := new(big.Rat).Quo(of(lease.Wait()+time.Nanosecond), sum(one, drift))
	if leader.Cmp(guard) < 0 {
		t.Errorf("a leader waits %s, a guard may go on for %s", lease.Wait(), guard.FloatString(0))
	}
	if lease.Term < 3*lease.Renew+time.Second {
		t.Errorf("a lease of %s does not outlast three lost questions, %s apart, and an election of a leader", lease.Term, lease.Renew)
	}
}

func TestALeaseCountsFromTheQuestion(t *testing.T) {
	for _, c := range []struct{ asked, now, want time.Duration }{
		{-1, 0, 0}, {0, 0, lease.Term}, {time.Hour, time.Hour + time.Second, lease.Term - time.Second}, {0, lease.Term, 0}, {0, time.Hour, 0},
	} {
		if got := lease.Left(c.asked, c.now); got != c.want {
			t.Errorf("asked at %s, at %s: %s left, want %s", c.asked, c.now, got, c.want)
		}
	}
}

func TestTheClockRuns(t *testing.T) {
	first, err := lease.Now()
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := lease.Now(); second < first || first <= 0 {
		t.Errorf("the clock went from %s to %s", first, second)
	}
}

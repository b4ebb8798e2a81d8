package killpoint_test

import (
	"regexp"
	"testing"

	"github.com/baton-db/baton/internal/killpoint"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// some are the deaths after which most is left to others.
var some = regexp.MustCompile(`^crash +(leader after Proposer.Propose (Revoke|Elect)|winner after Promises.Save #1|winner (before|after) Server.Mark|other +after Server.FenceReceiver)` +
	`|^switchover +(leader after Proposer.Propose (Revoke|Elect)|former after Server.CloseWrites|winner after Server.BecomeSource)`)

// TestBatonMayDieBeforeAndAfterEverythingItDoes is G5 on real servers; make killpoints goes by all points.
func TestBatonMayDieBeforeAndAfterEverythingItDoes(t *testing.T) {
	program, err := killpoint.Build(t.Context(), "../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			labtest.Require(t, family)
			r, err := killpoint.Run(t.Context(), killpoint.Options{Family: family, Baton: program, Dir: t.TempDir(), Out: t.Output(),
				Pick: func(all []killpoint.Case) (picked []killpoint.Case) {
					for _, c := range all {
						if some.MatchString(c.String()) {
							picked = append(picked, c)
						}
					}
					return picked
				}})
			if err != nil {
				t.Fatal(err)
			}
			v := r.Verdict
			if len(r.Failed) > 0 || len(v.Lost) > 0 || len(v.Double) > 0 || v.Acknowledged == 0 {
				t.Errorf("broken: %q; lost %v, acknowledged twice %v of %d", r.Failed, v.Lost, v.Double, v.Acknowledged)
			}
			if r.Killed < r.Cases-2 || r.Cases < 8 { // who wins a crash cannot be chosen
				t.Errorf("%d of %d cases, of %d points, were played", r.Killed, r.Cases, r.Points)
			}
		})
	}
}

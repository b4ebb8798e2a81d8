package chaos_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/chaos"
	"github.com/baton-db/baton/internal/chaos/witness"
)

func TestTheLongestGapIsThatOfTheWritersInsideOfTheSpan(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
	acks := []demo.Ack{{ID: 1, At: at(0)}, {ID: 2, At: at(5)}, {ID: 3, At: at(6)}, {ID: witness.SamplerIDs + 1, At: at(6.5)}, {ID: 4, At: at(8)}, {ID: 5, At: at(20)}}
	for _, c := range []struct {
		name           string
		from, to, want float64
	}{
		{"one gap before the span, one after it", 5.5, 7.9, 2},
		{"a gap that reaches into the span", 4, 5.5, 5},
		{"a gap that reaches out of the span", 7, 9, 12},
		{"nothing", 30, 40, 0},
	} {
		if got := chaos.LongestGap(acks, at(c.from), at(c.to)).Seconds(); got != c.want {
			t.Errorf("%s: %g s, want %g s", c.name, got, c.want)
		}
	}
}

func TestAReportNamesWhatIsBrokenAndEndsWithOneLine(t *testing.T) {
	whole := chaos.Report{Verdict: demo.Verdict{Acknowledged: 10}, Failover: 3}
	if broken := whole.Broken(); len(broken) > 0 {
		t.Errorf("nothing is broken, but %v", broken)
	}
	for name, r := range map[string]chaos.Report{
		"lost":    {Verdict: demo.Verdict{Lost: []int64{7}}},
		"double":  {Verdict: demo.Verdict{Double: []int64{7}}},
		"problem": {Problems: []string{"hosts of db1: torn"}},
		"calm":    {Calm: true, Failover: 1},
	} {
		if len(r.Broken()) != 1 {
			t.Errorf("%s: broken %v, want one", name, r.Broken())
		}
	}
	var out bytes.Buffer
	whole.Print(&out)
	const want = "chaos: faults 0, failovers 3, acknowledged 10, lost 0, double_acknowledged 0, outage_p99_s 0.00\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("the report ends\n%s\nwant\n%s", out.String(), want)
	}
}

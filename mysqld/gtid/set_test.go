package gtid_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/baton-db/baton/mysqld/gtid"
	"pgregory.net/rapid"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "b2b57e5e-0000-11ee-8000-0242ac120002"
)

// failer is what *testing.T and *rapid.T share.
type failer interface {
	Helper()
	Fatal(...any)
}

func parse(t failer, flavor gtid.Flavor, text string) gtid.Set {
	t.Helper()
	s, err := gtid.Parse(flavor, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseReadsWhatServersPrint(t *testing.T) {
	for _, c := range []struct {
		flavor     gtid.Flavor
		text, want string
	}{
		{gtid.MySQL, "", ""},
		{gtid.MySQL, " \n", ""},
		{gtid.MySQL, uuidA + ":1", uuidA + ":1"},
		{gtid.MySQL, strings.ToUpper(uuidA) + ":1-1", uuidA + ":1"},
		{gtid.MySQL, uuidB + ":7,\n" + uuidA + ":1-5:7-9", uuidA + ":1-5:7-9," + uuidB + ":7"},
		{gtid.MySQL, uuidA + ":6:1-5:3-4," + uuidA + ":7", uuidA + ":1-7"},
		{gtid.MySQL, uuidA + ":1-5:backup:1-3:9:Z_1:4", uuidA + ":1-5:backup:1-3:9:z_1:4"},
		{gtid.MySQL, uuidA + ":x:1," + uuidA + ":2", uuidA + ":2:x:1"},
		{gtid.MySQL, uuidA + ":1-9223372036854775806", uuidA + ":1-9223372036854775806"},
		{gtid.MariaDB, "", ""},
		{gtid.MariaDB, "0-1-14", "0-1-14"},
		{gtid.MariaDB, "10-1-4, 2-10-3,2-9-18446744073709551615", "2-9-18446744073709551615,2-10-3,10-1-4"},
		{gtid.MariaDB, "0-1-14,0-1-9", "0-1-14"},
		{gtid.MariaDB, "0-1-14..16", "0-1-14..16"},
		{gtid.MariaDB, "0-1-3,0-1-4..16,0-1-18..18", "0-1-16,0-1-18..18"},
	} {
		if got := parse(t, c.flavor, c.text).String(); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.flavor, c.text, got, c.want)
		}
	}
}

func TestParseRefusesWhatNoServerPrints(t *testing.T) {
	refused := map[gtid.Flavor][]string{
		gtid.MySQL: {
			uuidA, uuidA + ":", uuidA + ":0", uuidA + ":5-4", uuidA + ":1-", uuidA + ":-1", uuidA + ":1 -2", uuidA + ":+1",
			uuidA + ":1-2-3", uuidA + ":9223372036854775807", uuidA + ":1,", "," + uuidA + ":1", uuidA + ":1,," + uuidB + ":1",
			uuidA + ":tag", uuidA + ":tag:", uuidA + ":a:b:1", uuidA + ":1:tag", uuidA + ":tag:1," + uuidA + ":tag",
			uuidA + ":1tag:1", uuidA + ":" + strings.Repeat("t", 33) + ":1", uuidA + ":1;" + uuidB + ":1",
			"3e11fa4771ca11e19e33c80aa9429562:1", "{" + uuidA + "}:1", uuidA + "0:1", "0-1-14", "\x00",
			strings.Repeat("x", gtid.MaxText+1),
		},
		gtid.MariaDB: {
			"0-1", "0-1-2-3", "0-1-0", "0-1-x", "-1-1-1", "0--1", "00-1-1", "4294967296-1-1", "0-4294967296-1", "0-1-18446744073709551616",
			"0-1-5..4", "0-1-0..4", "0-1-..4", "0-1-4..", "0-1-4,", "0- 1-4", "0-1-+4", uuidA + ":1",
		},
		"oracle": {"", uuidA + ":1"},
	}
	for flavor, texts := range refused {
		for _, text := range texts {
			if s, err := gtid.Parse(flavor, text); err == nil {
				t.Errorf("%s %.60q: accepted as %q", flavor, text, s)
			}
		}
	}
}

func TestParseReadsAMegabyte(t *testing.T) {
	var b strings.Builder
	for i := 0; b.Len() < gtid.MaxText-100; i++ {
		fmt.Fprintf(&b, ":%d", 2*i+1)
	}
	s := parse(t, gtid.MySQL, uuidA+b.String())
	if got := s.String(); got != uuidA+b.String() {
		t.Errorf("%d bytes came back as %d", len(uuidA)+b.Len(), len(got))
	}
}

func TestDivergenceShowsAtAnEqualSequenceNumber(t *testing.T) {
	former := parse(t, gtid.MariaDB, "0-1-14")
	now := parse(t, gtid.MariaDB, "0-1-13,0-2-20")
	if now.Contains(former) {
		t.Error("0-1-14 counts as contained in a history in which server 1 stopped at 13")
	}
	if got := former.Minus(now).String(); got != "0-1-14..14" {
		t.Errorf("errant: got %q", got)
	}
	if got := now.Without("1").String(); got != "0-2-20" {
		t.Errorf("without server 1: %q", got)
	}
}

func TestOnlyTakesEveryTagOfAServer(t *testing.T) {
	s := parse(t, gtid.MySQL, uuidA+":1-5:tag:1-3,"+uuidB+":1")
	if got := s.Only(strings.ToUpper(uuidA)).String(); got != uuidA+":1-5:tag:1-3" {
		t.Errorf("only A: %q", got)
	}
	if got := s.Without(uuidA).String(); got != uuidB+":1" {
		t.Errorf("without A: %q", got)
	}
}

func TestFamiliesNeverMeet(t *testing.T) {
	a, b := parse(t, gtid.MySQL, uuidA+":1-5"), parse(t, gtid.MariaDB, "0-1-5")
	both := a.Union(b)
	if a.Contains(b) || b.Contains(a) || a.Contains(both) || !both.Contains(a) {
		t.Errorf("%q and %q are taken for one history", a, b)
	}
	for _, flavor := range []gtid.Flavor{gtid.MySQL, gtid.MariaDB} {
		if _, err := gtid.Parse(flavor, both.String()); err == nil {
			t.Errorf("%s reads the mixed set %q", flavor, both)
		}
	}
}

func TestASetTravelsAsJSONText(t *testing.T) {
	type report struct{ A, B, C gtid.Set }
	in := report{A: parse(t, gtid.MySQL, uuidA+":1-5"), B: parse(t, gtid.MariaDB, "0-1-5")}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"A":"` + uuidA + `:1-5","B":"0-1-5","C":""}`; string(text) != want {
		t.Errorf("got %s", text)
	}
	var out report
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if !out.A.Equal(in.A) || !out.B.Equal(in.B) || !out.C.IsEmpty() {
		t.Errorf("came back as %v", out)
	}
}

// gtidText draws the text of a set with small numbers, so that runs meet, touch and overlap.
func gtidText(flavor gtid.Flavor) *rapid.Generator[string] {
	sources := []string{uuidA, uuidB, uuidA + ":backup"}
	if flavor == gtid.MariaDB {
		sources = []string{"0-1", "0-2", "7-1"}
	}
	return rapid.Custom(func(t *rapid.T) string {
		var parts []string
		for _, source := range sources {
			for range rapid.IntRange(0, 4).Draw(t, "runs") {
				first := rapid.Uint64Range(1, 40).Draw(t, "first")
				last := rapid.Uint64Range(first, first+9).Draw(t, "last")
				format := map[gtid.Flavor]string{gtid.MySQL: "%s:%d-%d", gtid.MariaDB: "%s-%d..%d"}[flavor]
				parts = append(parts, fmt.Sprintf(format, source, first, last))
			}
		}
		return strings.Join(rapid.Permutation(parts).Draw(t, "order"), ",")
	})
}

func TestGTIDAlgebraAgreesWithSetsOfNumbers(t *testing.T) {
	for _, flavor := range []gtid.Flavor{gtid.MySQL, gtid.MariaDB} {
		t.Run(string(flavor), rapid.MakeCheck(func(t *rapid.T) {
			a := parse(t, flavor, gtidText(flavor).Draw(t, "a"))
			b := parse(t, flavor, gtidText(flavor).Draw(t, "b"))
			before := a.String() + " " + b.String()
			inA, inB := members(t, flavor, a), members(t, flavor, b)
			check := func(name string, got gtid.Set, want func(inA, inB bool) bool) {
				have, n := members(t, flavor, got), uint64(0)
				for one := range inA {
					if have[one] != want(inA[one], inB[one]) {
						t.Errorf("%s of %q and %q is %q, wrong at %s", name, a, b, got, one)
					}
					if have[one] {
						n++
					}
				}
				if got.Count() != n || got.IsEmpty() != (n == 0) {
					t.Errorf("%s %q: count %d, want %d", name, got, got.Count(), n)
				}
				if again := parse(t, flavor, got.String()); !again.Equal(got) || again.String() != got.String() {
					t.Errorf("%s %q reads back as %q", name, got, again)
				}
			}
			check("union", a.Union(b), func(x, y bool) bool { return x || y })
			check("minus", a.Minus(b), func(x, y bool) bool { return x && !y })
			check("intersect", a.Intersect(b), func(x, y bool) bool { return x && y })
			if a.Contains(b) != b.Minus(a).IsEmpty() || a.Contains(b) != a.Union(b).Equal(a) {
				t.Errorf("%q contains %q: %v", a, b, a.Contains(b))
			}
			if after := a.String() + " " + b.String(); after != before {
				t.Errorf("the operands changed from %s to %s", before, after)
			}
		}))
	}
}

// members asks the set for every transaction that gtidText can draw.
func members(t failer, flavor gtid.Flavor, s gtid.Set) map[string]bool {
	in := map[string]bool{}
	for n := 1; n <= 50; n++ {
		ones := []string{fmt.Sprintf("%s:%d", uuidA, n), fmt.Sprintf("%s:%d", uuidB, n), fmt.Sprintf("%s:backup:%d", uuidA, n)}
		if flavor == gtid.MariaDB {
			ones = []string{fmt.Sprintf("0-1-%d..%d", n, n), fmt.Sprintf("0-2-%d..%d", n, n), fmt.Sprintf("7-1-%d..%d", n, n)}
		}
		for _, one := range ones {
			in[one] = s.Contains(parse(t, flavor, one))
		}
	}
	return in
}

func FuzzParseGTIDSet(f *testing.F) {
	for _, seed := range []string{
		"", uuidA + ":1-5:7", uuidA + ":1:tag:2-3,\n" + uuidB + ":9", uuidA + ":x:1", "0-1-14", "0-1-14,1-2-3", "0-1-14..16", ":", "-", ",",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, flavor := range []gtid.Flavor{gtid.MySQL, gtid.MariaDB} {
			s, err := gtid.Parse(flavor, text)
			if err != nil {
				continue
			}
			again, err := gtid.Parse(flavor, s.String())
			if err != nil || !again.Equal(s) || again.String() != s.String() {
				t.Errorf("%s %q: %q reads back as %q, %v", flavor, text, s, again, err)
			}
			if s.IsEmpty() != (s.String() == "") || !s.Contains(again) || !s.Minus(again).IsEmpty() {
				t.Errorf("%s %q: the algebra is wrong about %q itself", flavor, text, s)
			}
		}
	})
}

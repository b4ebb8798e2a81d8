package hostsgen

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/baton-db/baton/registry"
)

// golden compares got with a file in testdata, and writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(content(t, path), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

var _ = flag.Bool("update", false, "write the golden files")

func TestFailoverInAHostsFile(t *testing.T) {
	serving := merge(t, []byte(human), block(7, 1, 41))
	golden(t, "serving.hosts", serving)
	withdrawn := merge(t, serving, block(8, 0, 42))
	golden(t, "withdrawn.hosts", withdrawn)
	promoted := merge(t, withdrawn, block(8, 2, 43))
	golden(t, "promoted.hosts", promoted)
	if len(serving) != len(withdrawn) || len(withdrawn) != len(promoted) {
		t.Errorf("lengths %d, %d, %d; want them the same, for a write in place", len(serving), len(withdrawn), len(promoted))
	}
	again, err := Merge(promoted, block(8, 2, 50))
	if err != nil || !bytes.Equal(again, promoted) {
		t.Errorf("a new index alone changes the file: %v", err)
	}
}

func TestRenderShowsWhatAHostsFileCanSay(t *testing.T) {
	addr := netip.MustParseAddr
	many := map[string]string{}
	for i := range 20 {
		many[fmt.Sprintf("alias-%02d", i)] = "db1.node"
	}
	long := map[string]string{}
	for i := range 3 {
		long[strings.Repeat(fmt.Sprintf("x%02d.", i), 50)+"end"] = "db1.node"
	}
	node := registry.Record{Name: "db1.node", Addrs: []netip.Addr{addr("10.0.0.1")}}
	for _, test := range []struct {
		name     string
		records  []registry.Record
		aliases  map[string]string
		lines    []string
		problems int
	}{
		{name: "nothing"},
		{name: "dual stack, canonical", records: []registry.Record{{Name: "db1.node", Addrs: []netip.Addr{
			addr("fe80::1%lo"), addr("::ffff:10.0.0.8"), addr("FD00:0::1"), addr("10.0.0.8")}}},
			lines: []string{
				"10.0.0.8                                db1.node.baton.internal",
				"fd00::1                                 db1.node.baton.internal",
				"fe80::1                                 db1.node.baton.internal",
			}},
		{name: "forming", records: []registry.Record{{Name: "primary.orders.db"}},
			lines: []string{"# no primary            primary.orders.db.baton.internal"}},
		{name: "two primaries", records: []registry.Record{
			{Name: "primary.orders.db", Addrs: []netip.Addr{addr("10.0.0.1"), addr("10.0.0.2")}}},
			lines: []string{"# withheld              primary.orders.db.baton.internal"}, problems: 1},
		{name: "pending with an address", records: []registry.Record{
			{Name: "primary.orders.db", Pending: true, Epoch: 9, Addrs: []netip.Addr{addr("10.0.0.1")}}},
			lines: []string{"# withheld              primary.orders.db.baton.internal"}, problems: 1},
		{name: "bad names", records: []registry.Record{
			{Name: "a\nb.node", Addrs: node.Addrs}, {Name: "a b.node", Addrs: node.Addrs}, {Name: "A.node", Addrs: node.Addrs},
			{Name: "#.node", Addrs: node.Addrs}, {Name: strings.Repeat("x", 64) + ".node", Addrs: node.Addrs},
			{Name: "zero.node", Addrs: []netip.Addr{addr("0.0.0.0"), {}}}},
			problems: 7},
		{name: "bad aliases", records: []registry.Record{node}, aliases: map[string]string{
			"localhost": "db1.node", "ip6-localhost": "db1.node", "Upper": "db1.node", "dot.": "db1.node", "10.0.0.1": "db1.node",
			"db1.node": "db1.node", "db1.node.baton.internal": "db1.node", "lost": "db9.node", "web": "web.svc", "a b": "db1.node"},
			lines: []string{"10.0.0.1                db1.node.baton.internal"}, problems: 10},
		{name: "an alias of the whole name", records: []registry.Record{node}, aliases: map[string]string{"one": "db1.node.baton.internal"},
			lines: []string{"10.0.0.1                db1.node.baton.internal one"}},
		{name: "many aliases", records: []registry.Record{node}, aliases: many, lines: []string{
			"10.0.0.1                db1.node.baton.internal alias-00 alias-01 alias-02 alias-03 alias-04 alias-05 alias-06 alias-07",
			"10.0.0.1                alias-08 alias-09 alias-10 alias-11 alias-12 alias-13 alias-14 alias-15 alias-16",
			"10.0.0.1                alias-17 alias-18 alias-19"}},
		{name: "long aliases", records: []registry.Record{node}, aliases: long, lines: []string{
			"10.0.0.1                db1.node.baton.internal " + strings.Repeat("x00.", 50) + "end " + strings.Repeat("x01.", 50) + "end",
			"10.0.0.1                " + strings.Repeat("x02.", 50) + "end"}},
	} {
		o := options()
		o.Aliases = test.aliases
		b := Render(test.records, 1, o)
		if diff := cmp.Diff(test.lines, b.Lines); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if len(b.Problems) != test.problems {
			t.Errorf("%s: problems %q, want %d", test.name, b.Problems, test.problems)
		}
		for _, line := range b.Lines {
			if len(line) > maxLine || strings.Contains(line, "\n") {
				t.Errorf("%s: line of %d bytes: %q", test.name, len(line), line)
			}
		}
	}
}

func TestBytesOutsideTheBlockStay(t *testing.T) {
	other := Options{Domain: "baton.internal", Cluster: "test"}
	for name, old := range map[string]string{
		"empty":              "",
		"unix":               human,
		"no last newline":    "127.0.0.1 localhost",
		"windows":            "127.0.0.1 localhost\r\n10.0.0.1 x\r\n",
		"windows, open":      "127.0.0.1 localhost\r\n10.0.0.1 x",
		"open with a return": "127.0.0.1 localhost\r",
		"byte order mark":    bom + "127.0.0.1 localhost\n",
		"only the mark":      bom,
		"not UTF-8":          "127.0.0.1 \xff\xfe\n",
		"another cluster":    string(merge(t, []byte(human), Render(reign(3, 1), 9, other))),
	} {
		merged := merge(t, []byte(old), block(7, 1, 41))
		if !strings.HasPrefix(string(merged), old) {
			t.Errorf("%s: the beginning changed:\n%q", name, merged)
		}
		appended := append(bytes.Clone(merged), "10.8.8.8 later\n"...)
		moved := merge(t, appended, block(8, 2, 42))
		if !strings.HasPrefix(string(moved), old) || !strings.HasSuffix(string(moved), "baton prod"+lineEnd([]byte(old))+"10.8.8.8 later\n") {
			t.Errorf("%s: after a failover: %q", name, moved)
		}
		stripped, err := Strip(merge(t, merged, block(8, 2, 42)), "prod")
		if err != nil || string(stripped) != old {
			t.Errorf("%s: the block taken out leaves %q, error %v; want %q", name, stripped, err, old)
		}
		if eol := lineEnd([]byte(old)); strings.Count(string(merged), eol) != strings.Count(string(merged), "\n") {
			t.Errorf("%s: mixed line ends: %q", name, merged)
		}
	}
}

func TestDamagedFileIsRefusedWithItsLines(t *testing.T) {
	good := string(merge(t, []byte(human), block(7, 1, 41))) // the block has lines 5 to 14
	begin, _, _ := strings.Cut(good[strings.Index(good, beginMark):], "\n")
	for _, test := range []struct{ name, file, want string }{
		{"an edited line", strings.Replace(good, "10.0.0.11", "10.0.0.99", 1), "lines 5-14 were edited"},
		{"a removed notice", strings.Replace(good, notice+"\n", "", 1), "lines 5-13 were edited"},
		{"an added line", strings.Replace(good, notice, notice+"\n10.0.0.1 x", 1), "lines 5-15 were edited"},
		{"an edited gen", strings.Replace(good, "gen=41", "gen=40", 1), "lines 5-14 were edited"},
		{"junk behind the header", strings.Replace(good, begin, begin+" x", 1), "lines 5-14 were edited"},
		{"a garbled header", strings.Replace(good, "epoch=7", "epoch=x", 1), "line 5: header"},
		{"a later version", strings.Replace(good, "v=1", "v=2", 1), "line 5: block version 2, this baton reads 1"},
		{"no END", strings.Replace(good, endMark+"prod\n", "", 1), "line 5: BEGIN of prod without its END"},
		{"no BEGIN", strings.Replace(good, begin+"\n", "", 1), "line 13: END of prod without its BEGIN"},
		{"nested", strings.Replace(good, notice, beginMark+"test v=1", 1), "line 6: BEGIN inside of the block that begins in line 5"},
		{"another one's END", strings.Replace(good, endMark+"prod", endMark+"test", 1), "line 14: END of test without its BEGIN"},
		{"twice", good + good[strings.Index(good, beginMark):], "lines 5-14 and 15-24: two blocks of prod"},
		{"an open block of another cluster", good + beginMark + "test\n", "line 15: BEGIN of test without its END"},
		{"a NUL byte", human + "\x00", "line 5: a NUL byte"},
		{"8 MiB and more", strings.Repeat("x", maxSize+1), "at most 8388608 are touched"},
		{"full", strings.Repeat("x", maxSize), "at most 8388608 are written"},
	} {
		for what, act := range map[string]func([]byte) ([]byte, error){
			"merge": func(old []byte) ([]byte, error) { return Merge(old, block(8, 2, 42)) },
			"strip": func(old []byte) ([]byte, error) { return Strip(old, "prod") },
		} {
			_, err := act([]byte(test.file))
			if what == "strip" && test.name == "full" {
				continue
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s of a file with %s: got %v, want %q", what, test.name, err, test.want)
			}
		}
	}
}

func TestBlockNeverGoesBackOrEmpty(t *testing.T) {
	file := merge(t, []byte(human), block(8, 2, 42))
	for _, test := range []struct {
		name string
		next Block
		want error
	}{
		{"a lower gen", block(8, 1, 41), ErrBackwards},
		{"a lower epoch", block(7, 1, 43), ErrBackwards},
		{"no lines", Render(nil, 43, options()), ErrBackwards}, // epoch 0
		{"no lines in the same epoch", Block{Cluster: "prod", Epoch: 8, Index: 43}, ErrEmpty},
		{"another primary", block(9, 1, 43), nil},
		{"the same gen, another alias", Render(reign(8, 2), 42, Options{Domain: "baton.internal", Cluster: "prod"}), nil},
	} {
		if _, err := Merge(file, test.next); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	if got, err := Merge([]byte(human), Render(nil, 1, options())); err != nil || string(got) != human {
		t.Errorf("an empty block was written: %q, %v", got, err)
	}
}

func TestConflictsAreFound(t *testing.T) {
	b := block(7, 1, 41)
	file := merge(t, []byte("10.9.9.9 Orders-DB x # db1.node.baton.internal\n"), b)
	file = append(file, "10.9.9.8 y db3.node.baton.internal\n"...)
	want := []Conflict{{1, "orders-db"}, {12, "db3.node.baton.internal"}}
	if diff := cmp.Diff(want, Conflicts(file, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzMerge(f *testing.F) {
	good, err := Merge([]byte(human), block(7, 1, 41))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", human, string(good), bom + "x\r\n", "x\r", "\r\n\r", beginMark + "prod\n" + endMark + "prod\n",
		string(bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")))} {
		f.Add([]byte(seed))
	}
	b := block(8, 2, 42)
	f.Fuzz(func(t *testing.T, old []byte) {
		before := bytes.Clone(old)
		next, err := Merge(old, b)
		if !bytes.Equal(before, old) {
			t.Fatal("the argument was changed")
		}
		if err != nil {
			return
		}
		again, err := Merge(next, b)
		if err != nil || !bytes.Equal(again, next) {
			t.Fatalf("a second merge: %v\n%q\n%q", err, next, again)
		}
		outsideOld, err := Strip(old, "prod")
		if err != nil {
			t.Fatalf("merged and yet cannot be stripped: %v", err)
		}
		outsideNew, err := Strip(next, "prod")
		if err != nil || !bytes.Equal(outsideOld, outsideNew) {
			t.Fatalf("bytes outside changed (%v):\n%q\n%q", err, outsideOld, outsideNew)
		}
	})
}

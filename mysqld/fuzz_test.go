package mysqld

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// FuzzGTIDAlgebra holds that whatever two servers print, the sets made of it obey the laws that an election rests on.
func FuzzGTIDAlgebra(f *testing.F) {
	const u, v = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"
	for _, s := range [][2]string{
		{u + ":1-5:7", u + ":4-6"}, {u + ":1:tag:2-3,\n" + v + ":9", u + ":tag:1-9"}, {u + ":9223372036854775806", u + ":1-9223372036854775806"},
		{"0-1-14,0-2-15,1-1-3", "0-1-16"}, {"0-1-14..16", "0-1-15"}, {"0-1-18446744073709551615", "0-1-1"}, {"4294967295-4294967295-1", ""}, {":", "-"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, left, right string) {
		for _, flavor := range []Flavor{MySQL, MariaDB} {
			a, err := ParseGTIDSet(flavor, left)
			b, other := ParseGTIDSet(flavor, right)
			if err != nil || other != nil {
				continue
			}
			union, minus, both := a.Union(b), a.Minus(b), a.Intersect(b)
			switch {
			case !union.Contains(a) || !union.Contains(b) || !union.Equal(b.Union(a)):
				t.Errorf("union of %q and %q: %q", a, b, union)
			case !a.Contains(minus) || !minus.Intersect(b).IsEmpty() || !minus.Union(both).Equal(a):
				t.Errorf("%q without %q: %q, both: %q", a, b, minus, both)
			case a.Contains(b) != b.Minus(a).IsEmpty() || a.Contains(b) != union.Equal(a):
				t.Errorf("%q in %q: %t", b, a, a.Contains(b))
			}
			for _, s := range []GTIDSet{union, minus, both} {
				if again, err := ParseGTIDSet(flavor, s.String()); err != nil || !again.Equal(s) {
					t.Errorf("%q reads back as %q, %v", s, again, err)
				}
			}
		}
	})
}

// FuzzVersion holds that a version which is new enough for something is new enough for less.
func FuzzVersion(f *testing.F) {
	for _, s := range []string{"8.0.23", "8.0.36-28", "10.11.19-MariaDB-0+deb12u1-log", "9.7", "8", "", "8..3", "8.0.-1", "5.5.5-10.6.4-MariaDB", "99999999999999999999.1.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, version string) {
		all := [][]int{{8}, {8, 0}, {8, 0, 22}, {8, 0, 23}, {8, 4, 0}, {9, 0, 0}, {10, 6, 0}}
		for i := range all[1:] {
			if versionAtLeast(version, all[i+1]...) && !versionAtLeast(version, all[i]...) {
				t.Errorf("%q is at least %d and not %d", version, all[i+1], all[i])
			}
		}
	})
}

// FuzzReplicaStatus holds that no row of a replica's status is taken for more than it says: a thread runs where the server says
// so in its own word, and no number is another one. A row is given as lines of name=value.
func FuzzReplicaStatus(f *testing.F) {
	for _, s := range []string{
		"Source_Host=10.0.0.1\nSource_Port=3306\nReplica_IO_Running=Yes\nReplica_SQL_Running=Yes\nSeconds_Behind_Source=0\nLast_IO_Errno=0",
		"Source_Port=70000\nReplica_IO_Running=Connecting\nSeconds_Behind_Source=-4", "Replica_IO_Running=Preparing\nSQL_Delay=99999999999999999999",
		"Source_Port=-1\nReplica_IO_Running=\nLast_SQL_Errno=x", "=\n=\n", "rpl_semi_sync_source_timeout=18446744073709551615\nrpl_semi_sync_source_wait_for_replica_count=-3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := row{}
		for line := range strings.Lines(text) {
			name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if ok {
				r[words(name)] = value
			}
		}
		before := maps.Clone(r)
		rep, sync := replication(r), semiSync(r, r)
		if !maps.Equal(before, r) {
			t.Error("it changed the row")
		}
		if !slices.Contains([]ReceiverState{ReceiverStopped, ReceiverConnecting, ReceiverRunning}, rep.Receiver) ||
			rep.Receiver == ReceiverRunning && r["Replica_IO_Running"] != "Yes" || rep.Receiver == ReceiverStopped && r["Replica_IO_Running"] != "No" {
			t.Errorf("receiver %q is %q", r["Replica_IO_Running"], rep.Receiver)
		}
		if n := r.number("Source_Port"); rep.SourcePort != 0 && int(rep.SourcePort) != n {
			t.Errorf("port %q is %d", r["Source_Port"], rep.SourcePort)
		}
		if sync.K < 1 || sync.Timeout < 0 {
			t.Errorf("%+v", sync)
		}
	})
}

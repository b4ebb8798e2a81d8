package mysqld

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Flavor is the family of a server.
type Flavor string

// The flavors.
const (
	MySQL   Flavor = "mysql"
	MariaDB Flavor = "mariadb"
)

// GTIDSet is an immutable set of transactions, with one algebra for both families. The zero value is the empty set.
//
// On MySQL it is what the server means by a GTID set: per server UUID and tag, the numbers that were committed.
//
// On MariaDB it has the meaning of gtid_binlog_state: "0-1-14" stands for the transactions 1 to 14 that server 1
// originated in domain 0. A MariaDB position such as gtid_slave_pos names only the last transaction of a domain and so
// understates what other servers originated before it; it is joined with gtid_binlog_state before it is compared, and
// what it leaves out makes a comparison refuse, never accept. Two servers that both wrote a 14 in domain 0 hold "0-1-14"
// and "0-2-14", and neither contains the other: a divergence is seen even at an equal sequence number.
//
// Sets of different families are kept apart: a set joined of both is contained in neither.
type GTIDSet struct {
	runs map[origin][]run // no value is empty; runs are sorted, disjoint and not adjacent; never changed once shared
}

// origin is who numbered a transaction, and in which series.
type origin struct {
	flavor Flavor
	source string // MySQL: the server UUID in lower case; MariaDB: the server id
	series string // MySQL: the tag or ""; MariaDB: the domain id
}

// run is the numbers first to last, both included.
type run struct{ first, last uint64 }

// compare orders origins the way the servers print them.
func (o origin) compare(p origin) int {
	if o.flavor != p.flavor || o.flavor == MySQL {
		return cmp.Or(cmp.Compare(o.flavor, p.flavor), cmp.Compare(o.source, p.source), cmp.Compare(o.series, p.series))
	}
	return cmp.Or(compareDecimal(o.series, p.series), compareDecimal(o.source, p.source))
}

func compareDecimal(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func (s GTIDSet) origins() []origin {
	return slices.SortedFunc(maps.Keys(s.runs), origin.compare)
}

// IsEmpty says whether the set has no transaction.
func (s GTIDSet) IsEmpty() bool { return len(s.runs) == 0 }

// Equal says whether both sets have the same transactions.
func (s GTIDSet) Equal(o GTIDSet) bool { return maps.EqualFunc(s.runs, o.runs, slices.Equal[[]run]) }

// Count is the number of transactions in the set. On MariaDB, where numbers are given per domain and not per server, it
// counts too many: it serves to say "more" or "none", not to say how many.
func (s GTIDSet) Count() uint64 {
	var n uint64
	for _, runs := range s.runs {
		for _, r := range runs {
			n += r.last - r.first + 1
		}
	}
	return n
}

// Contains says whether every transaction of o is in s.
func (s GTIDSet) Contains(o GTIDSet) bool { return o.Minus(s).IsEmpty() }

// Union is the transactions of either set.
func (s GTIDSet) Union(o GTIDSet) GTIDSet {
	switch {
	case s.IsEmpty():
		return o
	case o.IsEmpty():
		return s
	}
	runs := maps.Clone(s.runs)
	for k, more := range o.runs {
		runs[k] = joined(slices.Concat(runs[k], more))
	}
	return GTIDSet{runs: runs}
}

// Minus is the transactions of s that o lacks.
func (s GTIDSet) Minus(o GTIDSet) GTIDSet {
	return s.each(func(k origin, mine []run) []run { return without(mine, o.runs[k]) })
}

// Intersect is the transactions of both sets.
func (s GTIDSet) Intersect(o GTIDSet) GTIDSet {
	return s.each(func(k origin, mine []run) []run { return without(mine, without(mine, o.runs[k])) })
}

// Only is the transactions that one server originated: a server UUID on MySQL, with all its tags, a decimal server id
// on MariaDB, in all domains.
func (s GTIDSet) Only(source string) GTIDSet {
	source = strings.ToLower(source)
	return s.each(func(k origin, mine []run) []run {
		if k.source == source {
			return mine
		}
		return nil
	})
}

// Without is the transactions that the server named as in Only did not originate.
func (s GTIDSet) Without(source string) GTIDSet { return s.Minus(s.Only(source)) }

// each builds a set from what keep leaves of every series.
func (s GTIDSet) each(keep func(origin, []run) []run) GTIDSet {
	var out GTIDSet
	for k, mine := range s.runs {
		if left := keep(k, mine); len(left) > 0 {
			if out.runs == nil {
				out.runs = make(map[origin][]run, len(s.runs))
			}
			out.runs[k] = left
		}
	}
	return out
}

// joined sorts runs and merges those that overlap or touch. It owns its argument.
func joined(runs []run) []run {
	slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.first, b.first) })
	out := runs[:0]
	for _, r := range runs {
		if n := len(out); n > 0 && r.first-1 <= out[n-1].last { // first is at least 1
			out[n-1].last = max(out[n-1].last, r.last)
			continue
		}
		out = append(out, r)
	}
	return slices.Clip(out)
}

// without cuts the runs of b out of the runs of a; both are sorted and disjoint.
func without(a, b []run) []run {
	if len(b) == 0 {
		return a
	}
	var out []run
	for _, r := range a {
		for len(b) > 0 && b[0].last < r.first {
			b = b[1:]
		}
		rest := b
		for ; len(rest) > 0 && rest[0].first <= r.last; rest = rest[1:] {
			if rest[0].first > r.first {
				out = append(out, run{r.first, rest[0].first - 1})
			}
			if rest[0].last >= r.last {
				r.first = 0 // nothing is left of it
				break
			}
			r.first = rest[0].last + 1
		}
		if r.first != 0 {
			out = append(out, r)
		}
	}
	return out
}

// String is the canonical text: equal sets have equal texts, and ParseGTIDSet reads it back. A set that came from a
// server is written as that server writes it, on one line. A MariaDB difference that does not begin at 1, which no
// server can write, is written "0-1-14..16".
func (s GTIDSet) String() string {
	var b strings.Builder
	var last origin
	for i, k := range s.origins() {
		runs := s.runs[k]
		switch {
		case k.flavor == MariaDB:
			writeMariaDB(&b, i, k, runs)
			continue
		case i == 0 || k.source != last.source || k.flavor != last.flavor:
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(k.source)
		}
		last = k
		if k.series != "" {
			b.WriteByte(':')
			b.WriteString(k.series)
		}
		for _, r := range runs {
			b.WriteByte(':')
			writeNumber(&b, r.first)
			if r.last > r.first {
				b.WriteByte('-')
				writeNumber(&b, r.last)
			}
		}
	}
	return b.String()
}

func writeMariaDB(b *strings.Builder, i int, k origin, runs []run) {
	for j, r := range runs {
		if i+j > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k.series + "-" + k.source + "-")
		if r.first > 1 {
			writeNumber(b, r.first)
			b.WriteString("..")
		}
		writeNumber(b, r.last)
	}
}

func writeNumber(b *strings.Builder, n uint64) {
	b.Write(strconv.AppendUint(make([]byte, 0, 20), n, 10))
}

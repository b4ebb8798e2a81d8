package gtid

import (
	"cmp"
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

// Set is an immutable set of transactions, with one algebra for both families. The zero value is the empty set.
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
type Set struct {
	all []numbers // sorted by origin, each once; never changed once shared
}

// numbers is what one origin numbered.
type numbers struct {
	origin
	runs []run // not empty, sorted, disjoint and not adjacent; never changed once shared
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
	switch {
	case o == p:
		return 0
	case o.flavor != p.flavor || o.flavor == MySQL:
		return cmp.Or(cmp.Compare(o.flavor, p.flavor), cmp.Compare(o.source, p.source), cmp.Compare(o.series, p.series))
	}
	return cmp.Or(compareDecimal(o.series, p.series), compareDecimal(o.source, p.source))
}

func compareDecimal(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// item is one run as it is read.
type item struct {
	origin
	run
}

// gathered makes a set of runs in any order, which may overlap. It owns its argument.
func gathered(items []item) Set {
	slices.SortFunc(items, func(a, b item) int { return cmp.Or(a.origin.compare(b.origin), cmp.Compare(a.first, b.first)) })
	var s Set
	runs := make([]run, 0, len(items))
	for i := 0; i < len(items); {
		k, from := items[i].origin, len(runs)
		for ; i < len(items) && items[i].origin == k; i++ {
			runs = extended(runs, from, items[i].run)
		}
		s.all = append(s.all, numbers{k, runs[from:len(runs):len(runs)]})
	}
	return s
}

// extended appends r to runs[from:], where nothing begins later, or merges it with the last one if they overlap or touch.
func extended(runs []run, from int, r run) []run {
	if n := len(runs); n > from && r.first-1 <= runs[n-1].last { // first is at least 1
		runs[n-1].last = max(runs[n-1].last, r.last)
		return runs
	}
	return append(runs, r)
}

// IsEmpty says whether the set has no transaction.
func (s Set) IsEmpty() bool { return len(s.all) == 0 }

// Equal says whether both sets have the same transactions.
func (s Set) Equal(o Set) bool {
	return s.same(o) || slices.EqualFunc(s.all, o.all, func(a, b numbers) bool { return a.origin == b.origin && slices.Equal(a.runs, b.runs) })
}

// same says whether one of the two is a copy of the other.
func (s Set) same(o Set) bool {
	return len(s.all) == len(o.all) && (len(s.all) == 0 || &s.all[0] == &o.all[0])
}

// Count is the number of transactions in the set. On MariaDB, where numbers are given per domain and not per server, it
// counts too many: it serves to say "more" or "none", not to say how many.
func (s Set) Count() uint64 {
	var n uint64
	for _, x := range s.all {
		for _, r := range x.runs {
			n += r.last - r.first + 1
		}
	}
	return n
}

// Contains says whether every transaction of o is in s.
func (s Set) Contains(o Set) bool {
	if s.same(o) {
		return true
	}
	for _, x := range o.all {
		if !covers(s.of(x.origin), x.runs) {
			return false
		}
	}
	return true
}

// of returns the runs of one origin.
func (s Set) of(k origin) []run {
	if len(s.all) > 8 { // a few are found sooner by looking at each
		i, ok := slices.BinarySearchFunc(s.all, k, func(x numbers, k origin) int { return x.compare(k) })
		if !ok {
			return nil
		}
		return s.all[i].runs
	}
	for i := range s.all {
		if s.all[i].origin == k {
			return s.all[i].runs
		}
	}
	return nil
}

// covers says whether every number of b is in a.
func covers(a, b []run) bool {
	for _, r := range b {
		for len(a) > 0 && a[0].last < r.first {
			a = a[1:]
		}
		if len(a) == 0 || r.first < a[0].first || r.last > a[0].last {
			return false
		}
	}
	return true
}

// Union is the transactions of either set.
func (s Set) Union(o Set) Set {
	switch {
	case s.Contains(o):
		return s
	case o.Contains(s):
		return o
	}
	out := Set{all: make([]numbers, 0, len(s.all)+len(o.all))}
	a, b := s.all, o.all
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].compare(b[0].origin); {
		case c < 0:
			out.all, a = append(out.all, a[0]), a[1:]
		case c > 0:
			out.all, b = append(out.all, b[0]), b[1:]
		default:
			out.all = append(out.all, numbers{a[0].origin, merged(a[0].runs, b[0].runs)})
			a, b = a[1:], b[1:]
		}
	}
	out.all = append(append(out.all, a...), b...)
	return out
}

// merged is the numbers of either.
func merged(a, b []run) []run {
	out := make([]run, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || (len(a) > 0 && a[0].first <= b[0].first) {
			out, a = extended(out, 0, a[0]), a[1:]
		} else {
			out, b = extended(out, 0, b[0]), b[1:]
		}
	}
	return out
}

// Minus is the transactions of s that o lacks.
func (s Set) Minus(o Set) Set {
	return s.each(func(x numbers) []run { return without(x.runs, o.of(x.origin)) })
}

// Intersect is the transactions of both sets.
func (s Set) Intersect(o Set) Set {
	return s.each(func(x numbers) []run { return without(x.runs, without(x.runs, o.of(x.origin))) })
}

// Only is the transactions that one server originated: a server UUID on MySQL, with all its tags, a decimal server id
// on MariaDB, in all domains.
func (s Set) Only(source string) Set {
	source = strings.ToLower(source)
	return s.each(func(x numbers) []run {
		if x.source == source {
			return x.runs
		}
		return nil
	})
}

// Without is the transactions that the server named as in Only did not originate.
func (s Set) Without(source string) Set { return s.Minus(s.Only(source)) }

// each builds a set from what keep leaves of every series.
func (s Set) each(keep func(numbers) []run) Set {
	var out Set
	for _, x := range s.all {
		if left := keep(x); len(left) > 0 {
			out.all = append(out.all, numbers{x.origin, left})
		}
	}
	return out
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

// String is the canonical text: equal sets have equal texts, and Parse reads it back. A set that came from a
// server is written as that server writes it, on one line. A MariaDB difference that does not begin at 1, which no
// server can write, is written "0-1-14..16".
func (s Set) String() string {
	var b strings.Builder
	b.Grow(48 * len(s.all)) // a UUID and one run
	var last origin
	for i, x := range s.all {
		k, runs := x.origin, x.runs
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

package archive

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/binlog"
)

// ErrMissing: some of the transactions are in no log that the server still has.
var ErrMissing = errors.New("not in any log that the server still has")

// stretch is consecutive bytes of one file that are to be printed.
type stretch struct {
	file       string
	start, end int64
}

// found is where wanted transactions are.
type found struct {
	stretches []stretch // in the order in which they were written
	set       mysqld.GTIDSet
	count     int
	first     uint32 // seconds, of the first and the last of them
	last      uint32
}

// find looks for wanted in logs, which are given oldest first: the newest are read first, and no more than needed.
func find(flavor mysqld.Flavor, wanted mysqld.GTIDSet, logs []string) (found, error) {
	var out found
	open := spansOf(flavor, wanted)
	for _, path := range slices.Backward(logs) {
		here, err := inFile(flavor, wanted.Minus(out.set), path, open) // what was received may be in two logs
		if err != nil {
			return found{}, err
		}
		out = here.before(out)
		if enough(flavor, wanted, out.set, open) {
			return out, nil
		}
	}
	if missing := lacking(flavor, wanted, out.set, open); missing != "" {
		return found{}, fmt.Errorf("%s: %w", missing, ErrMissing)
	}
	return out, nil
}

func inFile(flavor mysqld.Flavor, wanted mysqld.GTIDSet, path string, open []span) (found, error) {
	var out found
	var bad error
	_, err := binlog.Read(path, func(t binlog.Transaction) bool {
		if t.GTID == "" {
			return true
		}
		one, err := mysqld.ParseGTIDSet(flavor, t.GTID)
		if err != nil {
			bad = fmt.Errorf("%s at %d: %w", path, t.Start, err)
			return false
		}
		for i := range open {
			open[i].saw(t.GTID)
		}
		if wanted.Contains(one) {
			out.add(path, t, one)
		}
		return true
	})
	return out, errors.Join(err, bad)
}

func (f *found) add(path string, t binlog.Transaction, one mysqld.GTIDSet) {
	if n := len(f.stretches); n > 0 && f.stretches[n-1].end == t.Start {
		f.stretches[n-1].end = t.End
	} else {
		f.stretches = append(f.stretches, stretch{path, t.Start, t.End})
	}
	if f.count == 0 {
		f.first = t.Unix
	}
	f.set, f.last = f.set.Union(one), t.Unix
	f.count++
}

// before joins what is in an older file with what is in newer ones.
func (f found) before(newer found) found {
	switch {
	case f.count == 0:
		return newer
	case newer.count == 0:
		return f
	}
	return found{stretches: append(f.stretches, newer.stretches...), set: f.set.Union(newer.set), count: f.count + newer.count,
		first: f.first, last: newer.last}
}

// span is a run of MariaDB numbers. Not every number in it need exist: others of the domain are another server's.
type span struct {
	text        string // as in a set
	prefix      string // "domain-server-"
	first, last uint64
	lowest      uint64 // of this origin, of all that was read; 0: none
}

// spansOf is empty on MySQL, where a set says what it means.
func spansOf(flavor mysqld.Flavor, wanted mysqld.GTIDSet) []span {
	if flavor != mysqld.MariaDB || wanted.IsEmpty() {
		return nil
	}
	var all []span
	for text := range strings.SplitSeq(wanted.String(), ",") {
		cut := strings.LastIndex(text, "-") + 1
		s := span{text: text, prefix: text[:cut], first: 1}
		from, to, ranged := strings.Cut(text[cut:], "..")
		if ranged {
			s.first, _ = strconv.ParseUint(from, 10, 64) // it was printed by GTIDSet.String
			from = to
		}
		s.last, _ = strconv.ParseUint(from, 10, 64)
		all = append(all, s)
	}
	return all
}

func (s *span) saw(gtid string) {
	rest, ok := strings.CutPrefix(gtid, s.prefix)
	if !ok {
		return
	}
	number, _, _ := strings.Cut(rest, "..")
	if n, err := strconv.ParseUint(number, 10, 64); err == nil && (s.lowest == 0 || n < s.lowest) {
		s.lowest = n
	}
}

// enough reports whether older files cannot hold anything that is wanted.
func enough(flavor mysqld.Flavor, wanted, have mysqld.GTIDSet, open []span) bool {
	if flavor != mysqld.MariaDB {
		return have.Contains(wanted)
	}
	for _, s := range open {
		if s.lowest == 0 || s.lowest >= s.first && s.first > 1 || s.first == 1 && s.lowest > 1 {
			return false
		}
	}
	return lacking(flavor, wanted, have, open) == ""
}

// lacking names what was not found. Of a MariaDB run the last number is known to exist.
func lacking(flavor mysqld.Flavor, wanted, have mysqld.GTIDSet, open []span) string {
	if flavor != mysqld.MariaDB {
		return wanted.Minus(have).String()
	}
	var all []string
	for _, s := range open {
		last, err := mysqld.ParseGTIDSet(flavor, fmt.Sprintf("%s%d..%d", s.prefix, s.last, s.last))
		if err != nil || !have.Contains(last) {
			all = append(all, s.text)
		}
	}
	return strings.Join(all, ",")
}

// purged returns ErrMissing where some of what is wanted was in a binary log that is gone. On MySQL a set says what it means,
// and find has seen it; of a MariaDB run that begins at 3 and ends at 9, nobody knows which numbers exist but the logs.
func purged(p mysqld.Places, wanted mysqld.GTIDSet) error {
	open := spansOf(p.Flavor, wanted)
	if len(open) == 0 {
		return nil
	}
	logs, err := binlog.Index(p.BinlogIndex)
	if err != nil {
		return err
	}
	if len(logs) == 0 {
		return fmt.Errorf("%s names no binary log: %w", p.BinlogIndex, ErrMissing)
	}
	text, err := binlog.Before(logs[0])
	if err != nil {
		return err
	}
	gone, err := mysqld.ParseGTIDSet(p.Flavor, text)
	if err != nil {
		return fmt.Errorf("%s: %w", logs[0], err)
	}
	if lost := wanted.Intersect(gone); !lost.IsEmpty() {
		return fmt.Errorf("%s was in logs that are purged: %w", lost, ErrMissing)
	}
	return nil
}

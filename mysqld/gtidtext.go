package mysqld

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MaxGTIDText is the longest text of a set that is read, in bytes.
const MaxGTIDText = 1 << 20

var (
	uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	tagPattern  = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,31}$`)
)

// maxGNO is the largest number MySQL gives to a transaction.
const maxGNO = math.MaxInt64 - 1

// ParseGTIDSet reads a set as a server of that flavor prints it, or as GTIDSet.String does. It is strict: white space
// may stand only around the commas, and an empty element, a number 0, a reversed range or the text of the other family
// is an error. The order of the elements does not matter and they may overlap.
func ParseGTIDSet(flavor Flavor, text string) (GTIDSet, error) {
	if len(text) > MaxGTIDText {
		return GTIDSet{}, fmt.Errorf("%s GTID set of %d bytes: longer than %d", flavor, len(text), MaxGTIDText)
	}
	element := parseMySQL
	switch flavor {
	case MySQL:
	case MariaDB:
		element = parseMariaDB
	default:
		return GTIDSet{}, fmt.Errorf("GTID set: unknown flavor %q", flavor)
	}
	if text = trimSpace(text); text == "" {
		return GTIDSet{}, nil
	}
	runs := map[origin][]run{}
	for part := range strings.SplitSeq(text, ",") {
		if err := element(trimSpace(part), runs); err != nil {
			return GTIDSet{}, fmt.Errorf("%s GTID set: %q: %w", flavor, clipped(part), err)
		}
	}
	for k := range runs {
		runs[k] = joined(runs[k])
	}
	return GTIDSet{runs: runs}, nil
}

func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }

// clipped keeps an error readable when the text at fault is long.
func clipped(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// parseMySQL reads uuid[:tag]:interval[:interval...][:tag:interval...]; a tag holds until the next one.
func parseMySQL(part string, runs map[origin][]run) error {
	source, rest, _ := strings.Cut(part, ":")
	k := origin{flavor: MySQL, source: strings.ToLower(source)}
	if !uuidPattern.MatchString(k.source) {
		return fmt.Errorf("%q is not a server UUID", clipped(source))
	}
	bare := false // a tag was read and no interval of it yet
	for item := range strings.SplitSeq(rest, ":") {
		if tag := strings.ToLower(item); tagPattern.MatchString(tag) && !bare {
			k.series, bare = tag, true
			continue
		}
		r, err := parseInterval(item)
		if err != nil {
			return err
		}
		runs[k], bare = append(runs[k], r), false
	}
	if bare {
		return fmt.Errorf("tag %q has no interval", k.series)
	}
	return nil
}

func parseInterval(item string) (run, error) {
	from, to, ranged := strings.Cut(item, "-")
	first, err := parseNumber(from, maxGNO)
	if err != nil {
		return run{}, fmt.Errorf("interval %q: %w", clipped(item), err)
	}
	if !ranged {
		return run{first, first}, nil
	}
	last, err := parseNumber(to, maxGNO)
	if err == nil && last < first {
		err = fmt.Errorf("it ends before it begins")
	}
	if err != nil {
		return run{}, fmt.Errorf("interval %q: %w", clipped(item), err)
	}
	return run{first, last}, nil
}

// parseMariaDB reads domain-server-sequence, or domain-server-first..last.
func parseMariaDB(part string, runs map[origin][]run) error {
	fields := strings.Split(part, "-")
	if len(fields) != 3 {
		return fmt.Errorf("want domain-server-sequence")
	}
	for _, id := range fields[:2] {
		if n, err := strconv.ParseUint(id, 10, 32); err != nil || strconv.FormatUint(n, 10) != id {
			return fmt.Errorf("%q is not a domain or server id", clipped(id))
		}
	}
	k, r := origin{flavor: MariaDB, series: fields[0], source: fields[1]}, run{first: 1}
	sequence := fields[2]
	if from, to, ranged := strings.Cut(sequence, ".."); ranged {
		var err error
		if r.first, err = parseNumber(from, math.MaxUint64); err != nil {
			return err
		}
		sequence = to
	}
	var err error
	if r.last, err = parseNumber(sequence, math.MaxUint64); err != nil {
		return err
	}
	if r.last < r.first {
		return fmt.Errorf("it ends before it begins")
	}
	runs[k] = append(runs[k], r)
	return nil
}

func parseNumber(text string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || n > limit || text[0] == '+' {
		return 0, fmt.Errorf("%q is not a number from 1 to %d", clipped(text), limit)
	}
	return n, nil
}

// MarshalText writes the set as String does.
func (s GTIDSet) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote. The families need no other mark: only MySQL's text has a colon.
func (s *GTIDSet) UnmarshalText(text []byte) error {
	flavor := MariaDB
	if slices.Contains(text, ':') {
		flavor = MySQL
	}
	parsed, err := ParseGTIDSet(flavor, string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// perDomain is, for MariaDB, the highest transaction of every domain in the form of a position: what MASTER_GTID_WAIT
// and gtid_slave_pos take. A position holds one entry per domain.
func (s GTIDSet) perDomain() string {
	top := map[string]origin{}
	var domains []string
	for _, k := range s.origins() {
		best, ok := top[k.series]
		if !ok {
			domains = append(domains, k.series)
		}
		if !ok || s.highest(k) > s.highest(best) {
			top[k.series] = k
		}
	}
	for i, d := range domains {
		k := top[d]
		domains[i] = d + "-" + k.source + "-" + strconv.FormatUint(s.highest(k), 10)
	}
	return strings.Join(domains, ",")
}

func (s GTIDSet) highest(k origin) uint64 {
	runs := s.runs[k]
	if len(runs) == 0 {
		return 0
	}
	return runs[len(runs)-1].last
}

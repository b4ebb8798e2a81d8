package gtid

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxText is the longest text of a set that is read, in bytes.
const MaxText = 1 << 20

// maxGNO is the largest number MySQL gives to a transaction.
const maxGNO = math.MaxInt64 - 1

// Parse reads a set as a server of that flavor prints it, or as Set.String does. It is strict: white space
// may stand only around the commas, and an empty element, a number 0, a reversed range or the text of the other family
// is an error. The order of the elements does not matter and they may overlap.
func Parse(flavor Flavor, text string) (Set, error) {
	if len(text) > MaxText {
		return Set{}, fmt.Errorf("%s GTID set of %d bytes: longer than %d", flavor, len(text), MaxText)
	}
	element := parseMySQL
	switch flavor {
	case MySQL:
	case MariaDB:
		element = parseMariaDB
	default:
		return Set{}, fmt.Errorf("GTID set: unknown flavor %q", flavor)
	}
	if text = trimSpace(text); text == "" {
		return Set{}, nil
	}
	var items []item
	for part := range strings.SplitSeq(text, ",") {
		var err error
		if items, err = element(trimSpace(part), items); err != nil {
			return Set{}, fmt.Errorf("%s GTID set: %q: %w", flavor, Short(part), err)
		}
	}
	return gathered(items), nil
}

func trimSpace(s string) string { return strings.Trim(s, " \t\r\n") }

// Short keeps an error readable when the text at fault is long.
func Short(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// parseMySQL reads uuid[:tag]:interval[:interval...][:tag:interval...]; a tag holds until the next one.
func parseMySQL(part string, items []item) ([]item, error) {
	source, rest, _ := strings.Cut(part, ":")
	k := origin{flavor: MySQL, source: strings.ToLower(source)}
	if !isUUID(k.source) {
		return nil, fmt.Errorf("%q is not a server UUID", Short(source))
	}
	bare := false // a tag was read and no interval of it yet
	for text := range strings.SplitSeq(rest, ":") {
		if tag := strings.ToLower(text); isTag(tag) && !bare {
			k.series, bare = tag, true
			continue
		}
		r, err := parseInterval(text)
		if err != nil {
			return nil, err
		}
		items, bare = append(items, item{k, r}), false
	}
	if bare {
		return nil, fmt.Errorf("tag %q has no interval", k.series)
	}
	return items, nil
}

// isUUID says whether s is a UUID in lower case.
func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' && strings.Count(s, "-") == 4 && strings.Trim(s, "0123456789abcdef-") == ""
}

// isTag says whether s is a tag in lower case: a letter or _, and up to 31 letters, digits or _.
func isTag(s string) bool {
	return len(s) > 0 && len(s) <= 32 && s[0] > '9' && strings.Trim(s, "_0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

func parseInterval(item string) (run, error) {
	from, to, ranged := strings.Cut(item, "-")
	first, err := parseNumber(from, maxGNO)
	if err != nil {
		return run{}, fmt.Errorf("interval %q: %w", Short(item), err)
	}
	if !ranged {
		return run{first, first}, nil
	}
	last, err := parseNumber(to, maxGNO)
	if err == nil && last < first {
		err = fmt.Errorf("it ends before it begins")
	}
	if err != nil {
		return run{}, fmt.Errorf("interval %q: %w", Short(item), err)
	}
	return run{first, last}, nil
}

// parseMariaDB reads domain-server-sequence, or domain-server-first..last.
func parseMariaDB(part string, items []item) ([]item, error) {
	domain, rest, one := strings.Cut(part, "-")
	server, sequence, two := strings.Cut(rest, "-")
	if !one || !two || strings.Contains(sequence, "-") {
		return nil, fmt.Errorf("want domain-server-sequence")
	}
	for _, id := range [2]string{domain, server} {
		if _, err := strconv.ParseUint(id, 10, 32); err != nil || (len(id) > 1 && id[0] == '0') || id[0] == '+' {
			return nil, fmt.Errorf("%q is not a domain or server id", Short(id))
		}
	}
	k, r := origin{flavor: MariaDB, series: domain, source: server}, run{first: 1}
	if from, to, ranged := strings.Cut(sequence, ".."); ranged {
		var err error
		if r.first, err = parseNumber(from, math.MaxUint64); err != nil {
			return nil, err
		}
		sequence = to
	}
	var err error
	if r.last, err = parseNumber(sequence, math.MaxUint64); err != nil {
		return nil, err
	}
	if r.last < r.first {
		return nil, fmt.Errorf("it ends before it begins")
	}
	return append(items, item{k, r}), nil
}

func parseNumber(text string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || n > limit || text[0] == '+' {
		return 0, fmt.Errorf("%q is not a number from 1 to %d", Short(text), limit)
	}
	return n, nil
}

// MarshalText writes the set as String does.
func (s Set) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote. The families need no other mark: only MySQL's text has a colon.
func (s *Set) UnmarshalText(text []byte) error {
	flavor := MariaDB
	if slices.Contains(text, ':') {
		flavor = MySQL
	}
	parsed, err := Parse(flavor, string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// PerDomain is, for MariaDB, the highest transaction of every domain in the form of a position: what MASTER_GTID_WAIT
// and gtid_slave_pos take. A position holds one entry per domain.
func (s Set) PerDomain() string {
	var domains []string
	var top numbers
	for i, x := range s.all { // sorted by domain
		if i == 0 || x.series != top.series || x.highest() > top.highest() {
			if i > 0 && x.series == top.series {
				domains = domains[:len(domains)-1]
			}
			top = x
			domains = append(domains, x.series+"-"+x.source+"-"+strconv.FormatUint(x.highest(), 10))
		}
	}
	return strings.Join(domains, ",")
}

func (x numbers) highest() uint64 { return x.runs[len(x.runs)-1].last }

package hostsgen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/baton-db/baton/registry"
)

// Options say what the block shows.
type Options struct {
	// Domain is appended to every name, without the last dot.
	Domain  string
	Cluster registry.ClusterID
	// Aliases are more names for a record's line, by alias: {"orders-db": "primary.orders.db"}.
	Aliases map[string]string
}

// Block is the part of a hosts file that belongs to one cluster.
type Block struct {
	Cluster registry.ClusterID
	// Epoch is the highest epoch of any name, and Index the index of the state: neither ever goes back in a file.
	Epoch registry.Epoch
	Index registry.Index
	Lines []string // without line ends
	// Problems are what could not be shown, and why.
	Problems []string
}

const (
	blockVersion = 1
	notice       = "# Kept by baton: once edited it is left alone. Delete it and it is written anew."
	// The columns hold every address of the family, and "# withdrawn, epoch 12345".
	column4    = 24
	column6    = 40
	maxLine    = 499
	maxAliases = 8 // names after the first on one line
)

// Render returns the block that shows records of the state at index.
func Render(records []registry.Record, index registry.Index, o Options) Block {
	b := Block{Cluster: o.Cluster, Index: index}
	aliases := b.aliases(records, o)
	width := column4
	for _, r := range records {
		for _, a := range r.Addrs {
			if shown(r.Name) && a.Unmap().Is6() {
				width = column6
			}
		}
	}
	records = slices.SortedStableFunc(slices.Values(records), func(a, b registry.Record) int {
		return strings.Compare(a.Name, b.Name)
	})
	for _, r := range records {
		b.Epoch = max(b.Epoch, r.Epoch)
		if !shown(r.Name) {
			continue
		}
		names := append([]string{r.Name + "." + o.Domain}, aliases[r.Name]...)
		if err := plain(names[0]); err != nil {
			b.problem("%s: %v", r.Name, err)
			continue
		}
		for _, where := range b.where(r) {
			b.line(fmt.Sprintf("%-*s", width, where), names)
		}
	}
	return b
}

// shown reports whether a hosts file shows this name: a node, an instance or a primary.
func shown(name string) bool {
	labels := strings.Split(name, ".")
	switch {
	case len(labels) == 2:
		return labels[1] == "node"
	case len(labels) == 3:
		return labels[2] == "db" && labels[0] != "replicas"
	}
	return false
}

func isPrimary(name string) bool { return strings.HasPrefix(name, "primary.") }

// where returns what stands in the address column, for each line of r: a primary has one line whatever happens, so that
// the next ones stay where they are (G6: one address or none).
func (b *Block) where(r registry.Record) []string {
	if isPrimary(r.Name) && (r.Pending || len(r.Addrs) != 1) {
		switch {
		case len(r.Addrs) > 0:
			b.problem("%s: %d addresses, pending %t; a primary has one or none, so none is shown", r.Name, len(r.Addrs), r.Pending)
			return []string{"# withheld"}
		case r.Pending:
			return []string{fmt.Sprintf("# withdrawn, epoch %d", r.Epoch)}
		}
		return []string{"# no primary"}
	}
	var all []string
	for _, addr := range r.Addrs {
		if !addr.IsValid() || addr.Unmap().IsUnspecified() {
			b.problem("%s: address %s", r.Name, addr)
			continue
		}
		all = append(all, addr.Unmap().WithZone("").String())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// line adds names behind where, on as many lines as they need.
func (b *Block) line(where string, names []string) {
	text, count := where+names[0], 0
	for _, name := range names[1:] {
		if count == maxAliases || len(text)+1+len(name) > maxLine {
			b.Lines = append(b.Lines, text)
			text, count = where+name, 0
			continue
		}
		text += " " + name
		count++
	}
	b.Lines = append(b.Lines, text)
}

// aliases returns the valid aliases, sorted, by the record they belong to.
func (b *Block) aliases(records []registry.Record, o Options) map[string][]string {
	known := map[string]bool{}
	for _, r := range records {
		if shown(r.Name) {
			known[r.Name] = true
		}
	}
	all := map[string][]string{}
	for _, alias := range slices.Sorted(maps.Keys(o.Aliases)) {
		target := strings.TrimSuffix(o.Aliases[alias], "."+o.Domain)
		switch err := plain(alias); {
		case err != nil:
			b.problem("alias %q: %v", alias, err)
		case reserved(alias):
			b.problem("alias %s: the name belongs to the machine", alias)
		case known[strings.TrimSuffix(alias, "."+o.Domain)]:
			b.problem("alias %s: a record has this name", alias)
		case !known[target]:
			b.problem("alias %s: no line for %s: want a primary, an instance or a node", alias, target)
		default:
			all[target] = append(all[target], alias)
		}
	}
	return all
}

// plain reports why name cannot stand in a hosts file.
func plain(name string) error {
	if len(name) > 253 {
		return fmt.Errorf("%d bytes, at most 253 make a name", len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := registry.ValidName(label); err != nil {
			return err
		}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Errorf("%s is an address", name)
	}
	return nil
}

// reserved reports whether name is one that every machine gives itself.
func reserved(name string) bool {
	first, _, _ := strings.Cut(name, ".")
	return first == "localhost" || first == "broadcasthost" || strings.HasPrefix(first, "ip6-")
}

func (b *Block) problem(format string, args ...any) {
	b.Problems = append(b.Problems, fmt.Sprintf(format, args...))
}

// sum is the checksum in the header: of everything that could be changed by hand.
func (b Block) sum() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s %d %d\n%s", b.Cluster, b.Epoch, b.Index, strings.Join(b.Lines, "\n"))
	return hex.EncodeToString(h.Sum(nil))
}

// header is the first line of the block. joined is the line end before it that belongs to it, or empty.
func (b Block) header(joined string) string {
	text := fmt.Sprintf("%s%s v=%d epoch=%d gen=%d sha256=%s", beginMark, b.Cluster, blockVersion, b.Epoch, b.Index, b.sum())
	switch joined {
	case "\n":
		text += joinedLF
	case "\r\n":
		text += joinedCRLF
	}
	return text
}

// encode returns the block between its markers.
func (b Block) encode(eol, joined string) []byte {
	lines := append([]string{b.header(joined), notice}, b.Lines...)
	lines = append(lines, endMark+string(b.Cluster), "")
	return []byte(strings.Join(lines, eol))
}

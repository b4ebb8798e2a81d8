package witness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/hostsgen"
	"github.com/baton-db/baton/registry"
)

// foreignLines are what a rig's hosts files hold outside of baton's block.
const foreignLines = "127.0.0.1 localhost\n"

// Sight is an address that a node gave the primary's name, when it had given another one or none before.
type Sight struct {
	At   time.Time
	Addr string
}

// Names watches what every node says of the primary's name, in DNS and in its hosts file.
type Names struct {
	mu       sync.Mutex
	answers  int
	reads    int
	dns      map[string][]Sight // by node
	hosts    map[string][]Sight
	shown    map[string]registry.Epoch // by node and where: the highest epoch
	problems []string
}

// NewNames returns one that has seen nothing.
func NewNames() *Names {
	return &Names{dns: map[string][]Sight{}, hosts: map[string][]Sight{}, shown: map[string]registry.Epoch{}}
}

// Run watches all nodes until ctx ends.
func (n *Names) Run(ctx context.Context, rig *demo.Rig) {
	var all sync.WaitGroup
	for i, addr := range rig.DNS() {
		node := rig.Nodes[i]
		all.Go(func() { n.resolve(ctx, node.Name, addr) })
		all.Go(func() {
			for ctx.Err() == nil {
				n.read(node.Name, node.Hosts)
				rest(ctx, 20*time.Millisecond)
			}
		})
	}
	all.Wait()
}

func (n *Names) problem(format string, args ...any) {
	const most = 50 // one cause has many effects
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.problems) < most {
		n.problems = append(n.problems, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// resolve asks one node's DNS for the primary and for the reason.
func (n *Names) resolve(ctx context.Context, node, server string) {
	client := dns.Client{Timeout: 3 * time.Second}
	ask := func(name string, kind uint16) []dns.RR {
		question := new(dns.Msg).SetQuestion(name+".", kind)
		answer, _, err := client.ExchangeContext(ctx, question, server)
		if err != nil || answer.Rcode != dns.RcodeSuccess {
			return nil
		}
		return answer.Answer
	}
	for ctx.Err() == nil {
		var addrs []string
		for _, rr := range ask(demo.PrimaryName, dns.TypeA) {
			if a, ok := rr.(*dns.A); ok {
				addrs = append(addrs, a.A.String())
			}
		}
		n.see(n.dns, &n.answers, "DNS of "+node, addrs)
		for _, rr := range ask("why."+demo.PrimaryName, dns.TypeTXT) {
			if txt, ok := rr.(*dns.TXT); ok {
				n.epoch("DNS of "+node, epochIn(strings.Join(txt.Txt, "")))
			}
		}
		rest(ctx, 50*time.Millisecond)
	}
}

// epochIn is the number after the word epoch, 0 without one.
func epochIn(text string) registry.Epoch {
	_, text, _ = strings.Cut(text, "epoch ")
	var e registry.Epoch
	_, _ = fmt.Sscanf(text, "%d", &e) // no number is 0
	return e
}

// see takes the addresses that one answer, or one file, gave.
func (n *Names) see(into map[string][]Sight, count *int, where string, addrs []string) {
	if len(addrs) > 1 {
		n.problem("%s: the primary has %d addresses: %v", where, len(addrs), addrs)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	*count++
	if len(addrs) != 1 {
		return
	}
	seen := into[where]
	if len(seen) == 0 || seen[len(seen)-1].Addr != addrs[0] {
		into[where] = append(seen, Sight{At: time.Now(), Addr: addrs[0]})
	}
}

// epoch takes the epoch that goes with an answer.
func (n *Names) epoch(where string, e registry.Epoch) {
	n.mu.Lock()
	before := n.shown[where]
	n.shown[where] = max(before, e)
	n.mu.Unlock()
	if e > 0 && e < before {
		n.problem("%s: epoch %d after epoch %d", where, e, before)
	}
}

// read looks at one hosts file.
func (n *Names) read(node, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		n.problem("hosts of %s: %v", node, err)
		return
	}
	where := "hosts of " + node
	addrs, epoch, err := parseHosts(string(b))
	if err != nil {
		n.problem("%s: %v:\n%s", where, err, b)
		return
	}
	n.epoch(where, epoch)
	n.see(n.hosts, &n.reads, where, addrs)
}

// parseHosts returns what a file says of the primary, after checking that it is whole.
func parseHosts(text string) (addrs []string, epoch registry.Epoch, err error) {
	begin, begun := "# BEGIN baton ", false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if header, ok := strings.CutPrefix(line, begin); ok {
			cluster, rest, _ := strings.Cut(header, " ")
			outside, err := hostsgen.Strip([]byte(text), registry.ClusterID(cluster)) // checks the sum in the header
			if err != nil {
				return nil, 0, fmt.Errorf("torn: %w", err)
			}
			if strings.TrimSpace(string(outside)) != strings.TrimSpace(foreignLines) {
				return nil, 0, fmt.Errorf("bytes outside of the block changed to %q", outside)
			}
			_, after, _ := strings.Cut(rest, "epoch=")
			if _, err := fmt.Sscanf(after, "%d", &epoch); err != nil {
				return nil, 0, fmt.Errorf("header %q: %w", header, err)
			}
			begun = true
		}
		if len(fields) > 1 && !strings.HasPrefix(line, "#") && slices.Contains(fields[1:], demo.PrimaryName) {
			addrs = append(addrs, fields[0])
		}
	}
	if !begun && text != foreignLines {
		return nil, 0, errors.New("neither the lines from before nor a block")
	}
	return addrs, epoch, nil
}

// Counts are how many DNS answers and hosts files were looked at.
func (n *Names) Counts() (answers, reads int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.answers, n.reads
}

// Check compares the order of the addresses that each node named with the order in which primaries reigned, and returns
// everything that was seen and must not be.
func (n *Names) Check(order []string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	wrong := slices.Clone(n.problems)
	for _, all := range []map[string][]Sight{n.dns, n.hosts} {
		for where, sights := range all {
			if s, ok := OutOfOrder(sights, order); ok {
				wrong = append(wrong, fmt.Sprintf("%s: %s at %s, which no reign after those before can have shown", where, s.Addr, s.At.UTC().Format("15:04:05.000")))
			}
		}
	}
	return wrong
}

// OutOfOrder finds a sight that goes back: sights must be a part of the order of reigns' addresses, each at the place of
// the one before or later. It takes the earliest place that fits, so it accuses nobody wrongly.
func OutOfOrder(sights []Sight, order []string) (Sight, bool) {
	place := 0
	for _, s := range sights {
		i := slices.Index(order[place:], s.Addr)
		if i < 0 {
			return s, true
		}
		place += i
	}
	return Sight{}, false
}

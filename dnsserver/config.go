package dnsserver

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/baton-db/baton/registry"
)

// Config is what a Server needs to know. A zero field takes the value of DefaultConfig.
type Config struct {
	// Domain is the zone, with or without the last dot, in any case.
	Domain string
	// Listen are the ip:port pairs to answer on, each by UDP and TCP. An empty ip means every address.
	Listen []string
	// Hold is how long a question for a name whose primary is being chosen waits for it; below zero: not at all.
	// It should be shorter than the time after which resolvers give up (5 s in glibc unless configured).
	Hold time.Duration
	// MaxHeld bounds the questions that wait at one time; the next ones are answered at once.
	MaxHeld int
	// MaxUDP is the largest UDP answer in bytes, and what EDNS offers to clients.
	MaxUDP int
	// NodeID is what a client that asks for it (NSID) is told of who answers.
	NodeID registry.NodeID
	// Nameservers are the NS records of the zone, relative to Domain ("db1.node"); empty: this node. Those that own an
	// address in the zone come with it. Every node should have the same list.
	Nameservers []string
	Logger      *slog.Logger
}

// DefaultConfig returns the values that zero fields of a Config take.
func DefaultConfig() Config {
	return Config{
		Domain:  "baton.internal", // .internal is reserved for private use
		Hold:    2 * time.Second,  // a failover takes less than one
		MaxHeld: 4096,             // about 10 KiB each
		MaxUDP:  1232,             // never fragmented, also not in an IPv6 tunnel
		Logger:  slog.New(slog.DiscardHandler),
	}
}

// withDefaults returns c with zero fields filled in and the domain in canonical form.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.Domain = dns.CanonicalName(cmp.Or(c.Domain, d.Domain))
	c.Hold = cmp.Or(c.Hold, d.Hold)
	c.MaxHeld = cmp.Or(c.MaxHeld, d.MaxHeld)
	c.MaxUDP = cmp.Or(c.MaxUDP, d.MaxUDP)
	c.Logger = cmp.Or(c.Logger, d.Logger)
	if len(c.Nameservers) == 0 && c.NodeID != "" {
		c.Nameservers = []string{string(c.NodeID) + ".node"}
	}
	return c
}

// Validate says what is wrong with c.
func (c Config) Validate() error {
	c = c.withDefaults()
	for label := range strings.SplitSeq(strings.TrimSuffix(c.Domain, "."), ".") {
		if err := registry.ValidName(label); err != nil {
			return fmt.Errorf("dns domain %s: %w", c.Domain, err)
		}
	}
	if dns.IsSubDomain("local.", c.Domain) {
		return fmt.Errorf("dns domain %s: .local belongs to multicast DNS; resolvers never ask a server for it", c.Domain)
	}
	if len(c.Domain) > 100 {
		return fmt.Errorf("dns domain %s: %d bytes, at most 100 leave room for the names in it", c.Domain, len(c.Domain))
	}
	if c.MaxUDP < dns.MinMsgSize || c.MaxUDP > 4096 {
		return fmt.Errorf("dns max_udp = %d: want 512 to 4096 bytes", c.MaxUDP)
	}
	if c.MaxHeld < 0 || c.Hold > 30*time.Second {
		return fmt.Errorf("dns hold = %s, max_held = %d: want at most 30s and at least 0", c.Hold, c.MaxHeld)
	}
	for _, listen := range c.Listen {
		if _, err := parseListen(listen); err != nil {
			return err
		}
	}
	return nil
}

// parseListen reads ip:port; without an ip it is every address of the machine.
func parseListen(s string) (netip.AddrPort, error) {
	if strings.HasPrefix(s, ":") {
		s = "[::]" + s
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return ap, fmt.Errorf("dns listen %q: want ip:port: %w", s, err)
	}
	return ap, nil
}

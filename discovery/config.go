package discovery

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"

	"github.com/hashicorp/memberlist"
)

// DefaultPort is the UDP and TCP port of gossip.
const DefaultPort = 7451

// KeySize is the size of the gossip key in bytes: AES-256.
const KeySize = 32

// ErrNoKey is the refusal to gossip in clear.
var ErrNoKey = errors.New("no gossip key")

// Transport carries gossip; nil means UDP and TCP sockets.
type Transport = memberlist.Transport

// Config is what a Gossip is made of.
type Config struct {
	Name    string // this node's name, unique in the cluster: 1 to 63 of a-z, 0-9 and inner hyphens
	Cluster string // the cluster's name: packets of another are dropped

	Bind      string // "ip:port" to listen on; port 0 takes a free one. Without meaning when a Transport is given
	Advertise string // "ip:port" that others reach this node at; empty: Bind's, or a private address of the machine

	Key      []byte // KeySize bytes, the same on every node
	Insecure bool   // gossip without a key, which is refused except on loopback

	Meta    Meta           // what others learn of this node
	Seeds   []string       // "host:port" of some members that Run keeps joined
	Allowed []netip.Prefix // members elsewhere are ignored; empty: no limit
	Timing  Timing         // see LAN
	Log     *slog.Logger   // required
}

// Validate says what is wrong with c, or nothing. tr is the Transport it is to be used with.
func (c Config) Validate(tr Transport) error {
	if !validName(c.Name) {
		return fmt.Errorf("gossip: node name %.80q must be 1 to 63 of a-z, 0-9 and inner hyphens", c.Name)
	}
	if c.Cluster == "" || len(c.Cluster) > memberlist.LabelMaxSize {
		return fmt.Errorf("gossip: cluster name %.80q must have 1 to %d bytes", c.Cluster, memberlist.LabelMaxSize)
	}
	if c.Log == nil {
		return errors.New("gossip: no logger given")
	}
	if c.Timing.ProbeInterval <= 2*c.Timing.ProbeTimeout || c.Timing.ProbeTimeout <= 0 {
		return fmt.Errorf("gossip: probe timeout %v must be positive and less than half the probe interval %v",
			c.Timing.ProbeTimeout, c.Timing.ProbeInterval)
	}
	if _, err := c.Meta.encode(c.Name, 0); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	if err := c.validateKey(tr); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

func (c Config) validateKey(tr Transport) error {
	switch {
	case len(c.Key) == KeySize:
		return nil
	case len(c.Key) != 0:
		return fmt.Errorf("the key has %d bytes, not %d", len(c.Key), KeySize)
	case !c.Insecure:
		return fmt.Errorf("%w: give all nodes the same %d random bytes", ErrNoKey, KeySize)
	case tr == nil && !loopback(c.Bind):
		return fmt.Errorf("%w: gossip in clear is for loopback only, not for %s", ErrNoKey, c.Bind)
	}
	return nil
}

func loopback(hostPort string) bool {
	addr, err := netip.ParseAddrPort(hostPort)
	return err == nil && addr.Addr().IsLoopback()
}

func validName(s string) bool {
	ok := len(s) >= 1 && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	return ok
}

// library is c in memberlist's words, without the delegates.
func (c Config) library(tr Transport) (*memberlist.Config, error) {
	t := c.Timing
	m := &memberlist.Config{
		Name:                    c.Name,
		Transport:               tr,
		Label:                   c.Cluster,
		SecretKey:               c.Key,
		GossipVerifyIncoming:    true,
		GossipVerifyOutgoing:    true,
		ProtocolVersion:         memberlist.ProtocolVersionMax,
		EnableCompression:       false, // packets are small, and it would cost more than their encryption
		ProbeInterval:           t.ProbeInterval,
		ProbeTimeout:            t.ProbeTimeout,
		IndirectChecks:          t.IndirectProbes,
		SuspicionMult:           t.SuspicionMult,
		SuspicionMaxTimeoutMult: t.SuspicionMaxMult,
		AwarenessMaxMultiplier:  t.AwarenessMax,
		GossipInterval:          t.GossipInterval,
		GossipNodes:             t.GossipNodes,
		RetransmitMult:          t.RetransmitMult,
		GossipToTheDeadTime:     t.GossipToTheDead,
		DeadNodeReclaimTime:     t.DeadNodeReclaim,
		PushPullInterval:        t.PushPull,
		TCPTimeout:              t.Stream,
		UDPBufferSize:           t.PacketSize,
		HandoffQueueDepth:       t.IncomingQueue,
		QueueCheckInterval:      t.QueueReportInterval,
	}
	var err error
	if tr == nil {
		if m.BindAddr, m.BindPort, err = splitAddr("bind", c.Bind); err != nil {
			return nil, err
		}
		m.AdvertisePort = m.BindPort
	}
	if c.Advertise != "" {
		if m.AdvertiseAddr, m.AdvertisePort, err = splitAddr("advertise", c.Advertise); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Allowed {
		m.CIDRsAllowed = append(m.CIDRsAllowed, net.IPNet{
			IP:   p.Masked().Addr().AsSlice(),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		})
	}
	return m, nil
}

func splitAddr(what, addr string) (ip string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("gossip: %s address: %w", what, err)
	}
	number, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("gossip: %s address %s: port %q is not a number below 65536", what, addr, service)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "", 0, fmt.Errorf("gossip: %s address %s: %w", what, addr, err)
	}
	return host, int(number), nil
}

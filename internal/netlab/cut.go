package netlab

import (
	"errors"
	"fmt"
	"strings"
)

// Way is what happens to packets from one host to another.
type Way string

// The ways.
const (
	Cut       Way = "cut"    // all are dropped
	CutSQL    Way = "sql"    // those of the database servers (port 3306) are dropped
	CutBaton  Way = "baton"  // all others are dropped
	Lossy     Way = "lossy"  // 30 of 100 are dropped
	tableName     = "netlab" // of nft
	sqlPort       = "3306"   // of every database server
	slowRate      = "2mbit"  // of a slow link
)

// Link is a pair of hosts, one way.
type Link struct{ From, To Host }

// rules makes the table with its empty sets.
func (n *Network) rules() error {
	var b strings.Builder
	fmt.Fprintf(&b, "table bridge %s {\n", tableName)
	for _, w := range []Way{Cut, CutSQL, CutBaton, Lossy} {
		fmt.Fprintf(&b, "set %s { type ifname . ifname; }\n", w)
	}
	b.WriteString("chain path {\ntype filter hook forward priority 0; policy accept;\n")
	pair := "iifname . oifname @"
	for _, rule := range []string{
		pair + string(Cut) + " drop",
		pair + string(CutSQL) + " tcp sport " + sqlPort + " drop",
		pair + string(CutSQL) + " tcp dport " + sqlPort + " drop",
		pair + string(CutBaton) + " meta l4proto udp drop",
		pair + string(CutBaton) + " tcp sport != " + sqlPort + " tcp dport != " + sqlPort + " drop",
		pair + string(Lossy) + " numgen random mod 100 < 30 drop",
	} {
		b.WriteString(rule + "\n")
	}
	b.WriteString("}\n}\n")
	return n.nft(b.String())
}

func (n *Network) nft(text string) error {
	return tool(text, "nsenter", "--net="+n.file("switch"), "--", "nft", "-f", "-")
}

// Impair does something to packets on these links until Heal.
func (n *Network) Impair(how Way, links ...Link) error {
	if err := n.elements("add", how, links); err != nil {
		return fmt.Errorf("impair the network: %w", err)
	}
	return nil
}

// Heal takes back what Impair did.
func (n *Network) Heal(how Way, links ...Link) error {
	if err := n.elements("delete", how, links); err != nil {
		return fmt.Errorf("heal the network: %w", err)
	}
	return nil
}

func (n *Network) elements(verb string, how Way, links []Link) error {
	var all []string
	for _, l := range links {
		all = append(all, fmt.Sprintf("%q . %q", n.port(l.From), n.port(l.To)))
	}
	return n.nft(fmt.Sprintf("%s element bridge %s %s { %s }\n", verb, tableName, how, strings.Join(all, ", ")))
}

// Slow leaves a host 2 Mbit/s in each direction.
func (n *Network) Slow(h Host) error {
	limit := []string{"root", "tbf", "rate", slowRate, "burst", "16kb", "latency", "200ms"}
	err := n.on("switch", append([]string{"tc", "qdisc", "replace", "dev", n.port(h)}, limit...)...)
	if err == nil {
		err = n.at(h, append([]string{"tc", "qdisc", "replace", "dev", "eth0"}, limit...)...)
	}
	if err != nil {
		return fmt.Errorf("slow a link down: %w", err)
	}
	return nil
}

// Speed takes back what Slow did.
func (n *Network) Speed(h Host) error {
	return errors.Join(
		n.on("switch", "tc", "qdisc", "del", "dev", n.port(h), "root"),
		n.at(h, "tc", "qdisc", "del", "dev", "eth0", "root"),
	)
}

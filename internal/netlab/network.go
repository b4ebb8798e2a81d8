package netlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// The addresses: host i (from 0) has 10.99.0.(i+1) and, for a second program beside the first, others that Config names.
const network = "10.99.0"

// outside is the number of the process's own address.
const outside = 200

// Host is one host of a network, or the outside.
type Host int

// Outside is the process itself, and with it every client that is no host.
const Outside Host = -1

// Config says what hosts there are: the last bytes of the addresses of each. The first one is where its connections come
// from.
type Config [][]int

// Network is some hosts on a switch.
type Network struct {
	dir   string
	hosts Config
	made  []string // namespaces
}

// NewNetwork makes the namespaces, in files below dir. The process must be Inside and makes one network only.
func NewNetwork(dir string, hosts Config) (*Network, error) {
	if !Inside() {
		return nil, errors.New("make a network: this process is not in a namespace of its own")
	}
	n := &Network{dir: dir, hosts: hosts}
	if err := n.make(); err != nil {
		return nil, errors.Join(fmt.Errorf("make a network: %w", err), n.Close())
	}
	return n, nil
}

func (n *Network) make() error {
	if err := tool("", "ip", "link", "set", "lo", "up"); err != nil {
		return err
	}
	if err := n.namespace("switch"); err != nil {
		return err
	}
	if err := n.on("switch", "ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0"); err != nil {
		return err
	}
	if err := n.on("switch", "ip", "link", "set", "br0", "up"); err != nil {
		return err
	}
	for i := range n.hosts {
		if err := n.namespace(n.name(Host(i))); err != nil {
			return err
		}
	}
	for h := Outside; int(h) < len(n.hosts); h++ {
		if err := n.plug(h); err != nil {
			return err
		}
	}
	for h := Outside; int(h) < len(n.hosts); h++ {
		if err := n.introduce(h); err != nil {
			return err
		}
	}
	return n.rules()
}

// Close gives the names of the namespaces back; each goes when its last process has ended.
func (n *Network) Close() error {
	var errs []error
	for _, name := range n.made {
		errs = append(errs, tool("", "umount", n.file(name)))
	}
	n.made = nil
	return errors.Join(errs...)
}

// namespace makes a network namespace that a file holds.
func (n *Network) namespace(name string) error {
	if err := os.WriteFile(n.file(name), nil, 0o600); err != nil {
		return err
	}
	if err := tool("", "unshare", "--net="+n.file(name), "true"); err != nil {
		return err
	}
	n.made = append(n.made, name)
	return n.on(name, "ip", "link", "set", "lo", "up")
}

func (n *Network) file(name string) string { return filepath.Join(n.dir, "net-"+name) }

func (n *Network) name(h Host) string { return fmt.Sprintf("h%d", int(h)+1) }

// port is the switch's side of a host's link.
func (n *Network) port(h Host) string {
	if h == Outside {
		return "outside"
	}
	return fmt.Sprintf("p%d", int(h)+1)
}

func hardware(h Host) string { return fmt.Sprintf("02:00:00:00:00:%02x", int(h)+2) }

func (n *Network) numbers(h Host) []int {
	if h == Outside {
		return []int{outside}
	}
	return n.hosts[h]
}

// plug connects a host to the switch.
func (n *Network) plug(h Host) error {
	port := n.port(h)
	where := n.file(n.name(h))
	if h == Outside {
		where = fmt.Sprint(os.Getpid())
	}
	err := n.on("switch", "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "address", hardware(h), "netns", where)
	if err == nil {
		err = n.on("switch", "ip", "link", "set", port, "master", "br0", "up")
	}
	for _, number := range n.numbers(h) {
		if err == nil {
			err = n.at(h, "ip", "addr", "add", fmt.Sprintf("%s.%d/24", network, number), "dev", "eth0")
		}
	}
	if err == nil {
		err = n.at(h, "ip", "link", "set", "eth0", "up")
	}
	return err
}

// introduce tells a host the hardware address of every other one.
func (n *Network) introduce(h Host) error {
	var batch strings.Builder
	for other := Outside; int(other) < len(n.hosts); other++ {
		for _, number := range n.numbers(other) {
			if other != h {
				fmt.Fprintf(&batch, "neigh replace %s.%d lladdr %s nud permanent dev eth0\n", network, number, hardware(other))
			}
		}
	}
	return n.input(h, batch.String(), "ip", "-batch", "-")
}

// Enter is the command that runs another one on host h, by exec; empty for the Outside.
func (n *Network) Enter(h Host) []string {
	if h == Outside {
		return nil
	}
	return []string{"nsenter", "--net=" + n.file(n.name(h)), "--"}
}

// IP is the address with this last byte.
func (n *Network) IP(number int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 99, 0, byte(number)})
}

func (n *Network) at(h Host, argv ...string) error { return n.input(h, "", argv...) }

func (n *Network) input(h Host, text string, argv ...string) error {
	return tool(text, append(n.Enter(h), argv...)...)
}

func (n *Network) on(namespace string, argv ...string) error {
	return tool("", append([]string{"nsenter", "--net=" + n.file(namespace), "--"}, argv...)...)
}

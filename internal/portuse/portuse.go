// Package portuse names the process that keeps others from listening on a port.
package portuse

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Holder names the process that keeps others from listening on ap: "named (pid 612)". network is "tcp" or "udp". It is
// empty when /proc does not tell, which is so for processes of other users unless we are root.
func Holder(network string, ap netip.AddrPort) string {
	inodes := listeners("/proc/net/"+network, ap)
	inodes = append(inodes, listeners("/proc/net/"+network+"6", ap)...)
	if len(inodes) == 0 {
		return ""
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !slices.Contains(inodes, target) {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

// listeners returns the sockets in a file like /proc/net/tcp that are in the way of ap, as "socket:[inode]".
func listeners(path string, ap netip.AddrPort) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	var all []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if inode, ok := inTheWay(lines.Text(), ap); ok {
			all = append(all, "socket:["+inode+"]")
		}
	}
	return all
}

// inTheWay reads one line of /proc/net/{tcp,udp}{,6}: number, local address, remote address, state, ..., inode (10th).
func inTheWay(line string, ap netip.AddrPort) (inode string, ok bool) {
	const (
		listening   = "0A" // of TCP
		unconnected = "07" // of UDP
	)
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != listening && fields[3] != unconnected {
		return "", false
	}
	local, ok := parseProcAddr(fields[1])
	if !ok || local.Port() != ap.Port() {
		return "", false
	}
	a, b := local.Addr().Unmap(), ap.Addr().Unmap()
	return fields[9], a == b || a.IsUnspecified() || b.IsUnspecified()
}

// parseProcAddr reads an address of /proc/net: "0100007F:0035", each 32-bit word in the order of the machine, which is
// little-endian wherever baton runs.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	ip, err := hex.DecodeString(host)
	p, err2 := hex.DecodeString(port)
	if !ok || err != nil || err2 != nil || len(p) != 2 || len(ip)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(ip, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(p)), ok
}

package demo

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/internal/lab"
)

// Node is one baton process.
type Node struct {
	Name  string
	Addr  netip.Addr
	Dir   string
	Hosts string // path of the hosts file it keeps
	// Client says that it is no server and guards no database: it only follows.
	Client bool
	enter  []string   // the command that runs it on its host
	child  *lab.Child // nil while the node is meant to be down
	log    *os.File
}

func (n *Node) role() identity.Role {
	if n.Client {
		return identity.RoleClient
	}
	return identity.RoleServer
}

// StartNode starts a node that does not run, for the first time or again.
func (r *Rig) StartNode(n *Node) error {
	out, err := os.OpenFile(n.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", n.Name, err)
	}
	argv := slices.Concat(n.enter, r.opts.Baton, []string{"agent", "--config", n.Config()})
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	child, err := lab.StartChild(cmd)
	if err != nil {
		return errors.Join(fmt.Errorf("start baton on %s: %w", n.Name, err), out.Close())
	}
	n.child, n.log = child, out
	return nil
}

// Pid is the node's process id, 0 while it is down.
func (n *Node) Pid() int {
	if n.child == nil {
		return 0
	}
	return n.child.Pid()
}

// Config is the path of the node file.
func (n *Node) Config() string { return filepath.Join(n.Dir, "baton.hcl") }

// Data is the path of the data directory.
func (n *Node) Data() string { return filepath.Join(n.Dir, "data") }

// Log is the path of what the node says, over all its starts.
func (n *Node) Log() string { return filepath.Join(n.Dir, "baton.log") }

// Kill ends the node with SIGKILL and waits until it is gone. It stays down until StartNode; one that is down stays so.
func (n *Node) Kill() error { return n.stop(syscall.SIGKILL) }

// Stop asks the node to stop and waits until it has, killing one that does not; that is an error.
func (n *Node) Stop() error { return n.stop(syscall.SIGTERM) }

// Signal sends sig, and nothing to a node that is down.
func (n *Node) Signal(sig syscall.Signal) error {
	if n.child == nil {
		return nil
	}
	return n.child.Signal(sig)
}

func (n *Node) stop(how syscall.Signal) error {
	if n.child == nil {
		return nil
	}
	return errors.Join(n.child.Signal(how), n.end())
}

// end waits for a node that was asked to stop, and kills one that does not.
func (n *Node) end() error {
	t := time.NewTimer(10 * time.Second)
	defer t.Stop()
	var err error
	select {
	case <-n.child.Done():
	case <-t.C:
		err = errors.Join(fmt.Errorf("baton on %s did not stop within 10 s: killed", n.Name), n.child.Signal(syscall.SIGKILL))
	}
	n.child.Wait()
	n.child = nil
	return errors.Join(err, n.log.Close())
}

// Ended returns an error when the process of a node that is meant to run has ended, with the last lines that it said.
func (r *Rig) Ended() error {
	for _, n := range r.Nodes {
		if n.child == nil {
			continue
		}
		select {
		case <-n.child.Done():
			return fmt.Errorf("baton on %s ended: %s\n%s", n.Name, n.child.Outcome(), tail(n.Log(), 15))
		default:
		}
	}
	return nil
}

func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Node returns the node of this name, nil when there is none.
func (r *Rig) Node(name string) *Node {
	for _, n := range r.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

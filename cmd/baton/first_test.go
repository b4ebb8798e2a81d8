package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// machines are three servers and a client that have nothing but their node files.
type machines struct {
	t      *testing.T
	dir    string
	subnet *lab.Subnet
}

var machineNames = [...]string{"db1", "db2", "db3", "app1"}

func newMachines(t *testing.T) *machines {
	m := &machines{t: t, dir: t.TempDir(), subnet: labtest.Subnet(t)}
	for i, node := range machineNames {
		first, role := "", "server"
		if i == 0 {
			first = "bootstrap = true"
		}
		if node == "app1" {
			role = "client"
		}
		m.write(m.path(node, "etc", "baton.hcl"), fmt.Sprintf(`cluster = "prod"
node = %q
role = %q
%s
data_dir = %q
servers = { db1 = "%s:7450", db2 = "%s:7450", db3 = "%s:7450" }
join = ["%s:7451", "%s:7451"]
gossip_key_file = %q
listen {
  advertise = "%s"
}
`, node, role, first, m.path(node, "data"), m.subnet.IP(1), m.subnet.IP(2), m.subnet.IP(3), m.subnet.IP(1), m.subnet.IP(2),
			m.path(node, "etc", "gossip.key"), m.subnet.IP(i+1)))
	}
	return m
}

func (m *machines) path(parts ...string) string {
	return filepath.Join(append([]string{m.dir}, parts...)...)
}

func (m *machines) write(path, text string) {
	m.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		m.t.Fatal(err)
	}
}

// copy is scp -p of a file.
func (m *machines) copy(from, to string) {
	m.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(to, string(b))
}

// do runs one command line and returns its exit status and everything it said.
func (m *machines) do(args ...string) (int, string) {
	var said strings.Builder
	code := run(m.t.Context(), args, streams{nil, &said, &said})
	return code, said.String()
}

// journal is what an agent says, read while it runs.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// start runs a node's agent until the test ends.
func (m *machines) start(node string) *journal {
	j := &journal{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(m.t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if code := run(ctx, []string{"agent", "--config", m.path(node, "etc")}, streams{nil, j, j}); code != 0 {
			m.t.Errorf("the agent of %s ended with %d:\n%s", node, code, j)
		}
	})
	m.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return j
}

// until asks until ok returns nil.
func (m *machines) until(what string, ok func() error) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("not %s: %v", what, err)
		}
	}
}

func (m *machines) says(j *journal, want string) {
	m.t.Helper()
	m.until("said", func() error {
		if text := j.String(); !strings.Contains(text, want) {
			return fmt.Errorf("no %q in\n%s", want, text)
		}
		return nil
	})
}

// ask runs a command as alice and reads its answer.
func (m *machines) ask(answer any, command string) error {
	addrs := fmt.Sprintf("%s,%s,%s", m.subnet.IP(1), m.subnet.IP(2), m.subnet.IP(3))
	code, said := m.do(command, "--addr", addrs, "--identity", m.path("alice"), "--timeout", "2s", "-o", "json")
	if code != 0 {
		return errors.New(said)
	}
	return json.Unmarshal([]byte(said), answer)
}

// documented are the commands of docs/operate.md with which certificates are made on the first server.
func documented(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	section, _, _ := strings.Cut(string(text), "\n## What baton does")
	var all [][]string
	for _, line := range regexp.MustCompile(`(?m)^ {7}baton (ca issue .*)$`).FindAllStringSubmatch(section, -1) {
		all = append(all, strings.Fields(line[1]))
	}
	if len(all) != 3 {
		t.Fatalf("docs/operate.md has %d commands that issue certificates, want those of db2, db3 and a person", len(all))
	}
	return all
}

// From node files alone, with the commands of docs/operate.md, to a cluster that has a leader and hears its members.
func TestAFirstServerAndTheDocumentedCommandsMakeACluster(t *testing.T) {
	m := newMachines(t)
	if code, said := m.do("config", "validate", m.path("db1", "etc")); code != 0 {
		t.Fatalf("the node file of the first server: %s", said)
	}
	first := m.start("db1")
	m.says(first, "msg=running")
	for _, node := range machineNames[1:] {
		m.copy(m.path("db1", "etc", "gossip.key"), m.path(node, "etc", "gossip.key"))
	}
	m.refusesWithoutCertificate("db2", "server")
	m.refusesWithoutCertificate("app1", "client")

	for _, args := range documented(t) {
		line := strings.Join(args, " ")
		for i, arg := range args {
			args[i] = strings.NewReplacer("/var/lib/baton", m.path("db1", "data"), "~/.baton", m.path("alice")).Replace(arg)
		}
		if !filepath.IsAbs(args[2]) {
			args[2] = m.path("made", args[2])
		}
		if code, said := m.do(args...); code != 0 {
			t.Fatalf("%s: %s", line, said)
		}
	}
	for _, node := range []string{"db2", "db3"} {
		if text := first.String(); !strings.Contains(text, "baton ca issue "+node+" --ca "+m.path("db1", "data", "ca")+" --node "+node+" --role server") {
			t.Errorf("the first server did not say how to make the certificate of %s:\n%s", node, text)
		}
		for _, file := range []string{"ca.pem", "node.pem", "node-key.pem"} {
			m.copy(m.path("made", node, file), m.path(node, "data", "tls", file))
		}
		if _, err := os.Lstat(m.path("made", node, "ca-key.pem")); err == nil {
			t.Errorf("the key of the authority is beside the certificate of %s", node)
		}
		m.says(m.start(node), "msg=running")
	}
	m.until("a cluster", func() error {
		var s api.Status
		var g api.MemberList
		if err := errors.Join(m.ask(&s, "status"), m.ask(&g, "members")); err != nil {
			return err
		}
		alive := 0
		for _, member := range g.Members {
			if member.State == "alive" {
				alive++
			}
		}
		if s.Raft.Leader == "" || len(s.Raft.Peers) != 3 || alive != 3 {
			return fmt.Errorf("leader %q of %d servers, %d members alive", s.Raft.Leader, len(s.Raft.Peers), alive)
		}
		return nil
	})
}

// refusesWithoutCertificate starts a node that has no certificate, and wants to be told the command.
func (m *machines) refusesWithoutCertificate(node, role string) {
	m.t.Helper()
	code, said := m.do("agent", "--config", m.path(node, "etc"))
	want := fmt.Sprintf("\n    baton ca issue %s --ca %s --node %s --role %s\n", node, m.path(node, "data", "ca"), node, role)
	if code != exitFailed || !strings.Contains(said, want) || !strings.Contains(said, m.path(node, "data", "tls")) {
		m.t.Errorf("exit status %d, want the command %q:\n%s", code, want, said)
	}
	if hint := strings.Contains(said, "bootstrap = true\n"); hint != (role == "server") {
		m.t.Errorf("a %s is told to be the first server: %v\n%s", role, hint, said)
	}
}

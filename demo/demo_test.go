package demo_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/demo"
	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// patience bounds a whole test; nothing is measured against it.
const patience = 3 * time.Minute

// build makes the program as a user has it.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baton")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../cmd/baton").CombinedOutput()
	if err != nil {
		t.Fatalf("build baton: %v\n%s", err, out)
	}
	return path
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually asks until ok returns nothing.
func eventually(ctx context.Context, t *testing.T, what string, ok func() error) {
	t.Helper()
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
			t.Errorf("%s: %v", what, err)
			return
		}
	}
}

// everyNodeNames says which node does not yet give the primary's name the wanted address, in DNS or in its hosts file.
func everyNodeNames(ctx context.Context, r *demo.Rig, want string) error {
	const name = "primary.orders.db.baton.internal"
	dns := r.DNS()
	for i, n := range r.Nodes {
		resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, dns[i])
		}}
		found, err := resolver.LookupHost(ctx, name+".")
		if err != nil || len(found) != 1 || found[0] != want {
			return fmt.Errorf("DNS of %s answers %v %v, want %s", n.Name, found, err, want)
		}
		b, err := os.ReadFile(n.Hosts)
		if err != nil {
			return err
		}
		var lines []string
		for line := range strings.Lines(string(b)) {
			if slices.Contains(strings.Fields(line), name) && !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.Fields(line)[0])
			}
		}
		if len(lines) != 1 || lines[0] != want {
			return fmt.Errorf("the hosts file of %s names %v, want %s", n.Name, lines, want)
		}
	}
	return nil
}

func TestNoWriteIsLostByCrashFreezeAndSwitchover(t *testing.T) {
	baton := build(t)
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			labtest.Require(t, family)
			ctx := patient(t)
			faults := []demo.Fault{demo.Crash, demo.Freeze, demo.Switchover}
			opts := demo.Options{Families: []lab.Family{family}, Nodes: 3, Clients: 1, Faults: faults, PerSecond: 100, Baton: []string{baton},
				Restart: time.Second, Out: t.Output(), Log: slog.New(slog.DiscardHandler)}
			res, err := demo.Run(ctx, opts, func(ctx context.Context, r *demo.Rig) {
				eventually(ctx, t, "names after the last fault", func() error {
					v, err := r.Client.Database(ctx, "orders", api.Stale)
					if err != nil || v.Database.Primary == "" {
						return fmt.Errorf("no primary: %w", err)
					}
					server, err := r.Database(v.Database.Primary)
					if err != nil {
						return err
					}
					return everyNodeNames(ctx, r, server.Addr().Addr().String())
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Verdict.Lost) > 0 || len(res.Verdict.Double) > 0 || res.Verdict.Acknowledged == 0 {
				t.Errorf("verdict %+v", res.Verdict)
			}
			if len(res.Failures) != len(faults) {
				t.Fatalf("%d failures are told, want %d", len(res.Failures), len(faults))
			}
			for i, f := range res.Failures {
				if f.Fault != faults[i] || f.From == f.To || f.To == "" || len(f.Events) == 0 {
					t.Errorf("failure %d: %+v", i, f)
				}
			}
		})
	}
}

// descendants are the processes below pid, by what is known of them: pid and command line.
func descendants(pid int) map[int]string {
	all := map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	parents := map[int]int{}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parents[child], _ = strconv.Atoi(strings.Fields(rest)[1])
	}
	for child := range parents {
		for p := parents[child]; p > 1; p = parents[p] {
			if p == pid {
				b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)) // empty when it has ended
				all[child] = string(bytes.ReplaceAll(b, []byte{0}, []byte{' '}))
			}
		}
	}
	return all
}

// directories are what the processes were told to keep their files in.
func directories(processes map[int]string) []string {
	var dirs []string
	for _, command := range processes {
		for _, arg := range strings.Fields(command) {
			if dir, ok := strings.CutPrefix(arg, "--datadir="); ok {
				dirs = append(dirs, filepath.Dir(dir))
			}
		}
	}
	return dirs
}

func TestCtrlCLeavesNoProcessAndNoDirectory(t *testing.T) {
	labtest.Require(t, lab.MariaDB)
	baton, temp, ctx := build(t), t.TempDir(), patient(t)
	// Interrupted when it has just begun, while the nodes find each other, after a fault, and while it waits to be looked
	// at, which is its proper end. Closing the terminal is the same.
	for after, how := range map[string]syscall.Signal{"found mariadb": syscall.SIGINT, "batons run": syscall.SIGHUP, "OUTAGE": syscall.SIGINT, "Look around": syscall.SIGINT} {
		t.Run(after, func(t *testing.T) {
			cmd := exec.CommandContext(ctx, baton, "demo", "--db", "mariadb", "--keep")
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			var said watched
			said.want, said.seen = after, make(chan struct{})
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			var wait sync.WaitGroup
			defer wait.Wait()
			wait.Go(func() { ended <- cmd.Wait() })
			select {
			case <-said.seen:
			case err := <-ended:
				t.Fatalf("it ended before it said %q: %v\n%s", after, err, said.text())
			}
			processes := descendants(cmd.Process.Pid)
			if err := cmd.Process.Signal(how); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; (err == nil) != (after == "Look around") {
				t.Errorf("it ended with %v", err)
			}
			if !strings.Contains(said.text(), "stopped and removed") {
				t.Errorf("it does not say that it has cleaned up:\n%s", said.text())
			}
			for pid, command := range processes {
				if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && len(b) > 0 && string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})) == command {
					t.Errorf("process %d is still there: %s", pid, command)
				}
			}
			for _, dir := range directories(processes) {
				if _, err := os.Stat(dir); !os.IsNotExist(err) {
					t.Errorf("directory %s is still there (%v)", dir, err)
				}
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left in the temporary directory: %v %v", left, err)
			}
		})
	}
}

// watched is an output that says when it has said something.
type watched struct {
	mu   sync.Mutex
	b    bytes.Buffer
	want string
	seen chan struct{} // closed then
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := strings.Contains(w.b.String(), w.want)
	n, err := w.b.Write(b)
	if !before && strings.Contains(w.b.String(), w.want) {
		close(w.seen)
	}
	return n, err
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

package discovery_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/discovery"
)

// measure skips a test that holds nothing and only prints the numbers of LAN's comment. All of them, in half an hour:
//
//	BATON_GOSSIP_MEASURE=1 go test -count=1 -v -timeout 2h -run '^TestMeasure' ./discovery
func measure(t *testing.T) {
	t.Helper()
	if os.Getenv("BATON_GOSSIP_MEASURE") == "" {
		t.Skip("set BATON_GOSSIP_MEASURE=1 to measure")
	}
}

// In simulated time, from the moment a member goes silent until all others have it as failed.
func TestMeasureDetection(t *testing.T) {
	measure(t)
	for _, m := range []struct{ members, runs int }{{2, 400}, {3, 400}, {5, 400}, {10, 400}, {50, 100}} {
		var all []time.Duration
		for range m.runs {
			synctest.Test(t, func(t *testing.T) { all = append(all, detection(t, m.members, 10*time.Second)) })
		}
		slices.Sort(all)
		t.Logf("%2d members: median %v, p99 %v, longest %v of %d runs", m.members, all[len(all)/2], all[len(all)*99/100], all[len(all)-1], len(all))
	}
}

// In simulated time, how many freezes of 300 ms under 5 % loss were reported as failures.
func TestMeasureFalseReports(t *testing.T) {
	measure(t)
	const each = 60 // freezes of one cluster
	for _, m := range []struct{ members, clusters int }{{3, 50}, {5, 50}, {8, 50}, {50, 1}, {200, 1}} {
		reports := 0
		for i := range m.clusters {
			synctest.Test(t, func(t *testing.T) { reports += falseReports(t, m.members, each, uint64(i)) })
		}
		t.Logf("%3d members: %d false reports after %d freezes", m.members, reports, each*m.clusters)
	}
}

// In real time, what an idle node costs: three processes gossip over loopback with nothing to say, and each counts its own
// processor time and how often its threads went to sleep.
func TestMeasureAnIdleNode(t *testing.T) {
	measure(t)
	var nodes sync.WaitGroup
	defer nodes.Wait()
	for i := range 3 {
		node := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestIdleNode$", "-test.v")
		node.Env = append(os.Environ(), fmt.Sprintf("BATON_GOSSIP_NODE=n%d %s:7451 %s:7451", i, local(i+1), local(1)))
		nodes.Go(func() {
			out, err := node.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, " a second") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

// One process of the measurement above.
func TestIdleNode(t *testing.T) {
	settings := strings.Fields(os.Getenv("BATON_GOSSIP_NODE"))
	if len(settings) != 3 {
		t.Skip("it is a process of TestMeasureAnIdleNode")
	}
	cfg := config(settings[0])
	cfg.Bind, cfg.Seeds = settings[1], settings[2:]
	g, err := discovery.Open(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	runFor := func(d time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		g.Run(ctx)
	}
	const span = 20 * time.Second
	runFor(5 * time.Second)
	used, slept := processorTime(t), switches(t)
	runFor(span)
	used, slept = processorTime(t)-used, switches(t)-slept
	if n := count(g, discovery.Alive); n != 3 {
		t.Errorf("%d members are alive, not 3", n)
	}
	t.Logf("%s: %.1f ms of processor time and %.0f voluntary context switches a second",
		cfg.Name, 1000*used.Seconds()/span.Seconds(), float64(slept)/span.Seconds())
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// switches is how often this process's threads have gone to sleep so far.
func switches(t *testing.T) (total int) {
	t.Helper()
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(threads) == 0 {
		t.Fatal("no threads in /proc: ", err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
		line, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}

// detection silences a member, in a bubble, at a random moment, and returns after how long all others have it as failed.
func detection(t *testing.T, members int, limit time.Duration) time.Duration {
	t.Helper()
	c := newCluster(t, members)
	time.Sleep(time.Second + rand.N(discovery.LAN().ProbeInterval))
	c.net.Isolate("n1")
	return c.await(limit, "the others see n1 failed", c.othersSee(1, discovery.Failed))
}

// falseReports freezes one member after the other for 300 ms, in a bubble under 5 % loss, and returns how often any of them
// was then told of a failure.
func falseReports(t *testing.T, members, freezes int, seed uint64) (reports int) {
	t.Helper()
	c := newCluster(t, members)
	done := make(chan struct{})
	var watchers sync.WaitGroup
	var mu sync.Mutex // guards reports and frozen
	var frozen string
	for i, g := range c.nodes {
		watchers.Go(func() {
			for {
				changed := g.Changed()
				if n := count(g, discovery.Failed); n > 0 {
					mu.Lock()
					reports++
					t.Logf("n%d takes %d members for failed after %s froze", i, n, frozen)
					mu.Unlock()
				}
				select {
				case <-changed:
				case <-done:
					return
				}
			}
		})
	}
	c.net.SetLoss(0.05, seed)
	c.net.SetDelay(200*time.Microsecond, time.Millisecond)
	for i := range freezes {
		name := fmt.Sprintf("n%d", i*7%members)
		mu.Lock()
		frozen = name
		mu.Unlock()
		time.Sleep(rand.N(discovery.LAN().ProbeInterval)) // freezes come at any moment of a probe
		c.net.Pause(name)
		time.Sleep(300 * time.Millisecond)
		c.net.Resume(name)
		time.Sleep(700 * time.Millisecond)
	}
	close(done)
	watchers.Wait()
	return reports
}

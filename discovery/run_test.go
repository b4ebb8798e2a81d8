package discovery_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/baton-db/baton/discovery"
)

// run runs g until the returned function, which waits for its end.
func run(g *discovery.Gossip) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { g.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// logBuffer is a log to be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func TestRunJoinsSeedsThatComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		cfg := config("n1")
		cfg.Seeds = []string{c.net.Host("n1").Addr(discovery.DefaultPort), c.net.Host("n2").Addr(discovery.DefaultPort)}
		log := new(logBuffer)
		cfg.Log = log.logger()
		c.nodes = append(c.nodes, c.open(cfg))
		defer run(c.nodes[1])()
		time.Sleep(time.Minute)
		if got := strings.Count(log.String(), "cannot join"); got != 1 {
			t.Errorf("a missing seed was complained of %d times in a minute:\n%s", got, log)
		}
		c.nodes = append(c.nodes, c.open(config("n2")))
		c.await(30*time.Second, "n1 and n2 meet", func() bool { return count(c.nodes[2], discovery.Alive) == 2 })
	})
}

// Two halves that have forgotten each other meet again through seeds.
func TestRunHealsALongPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 5)
		for i := range 5 {
			_ = c.nodes[i].Close()
		}
		time.Sleep(5 * time.Second)
		for i, name := range []string{"n0", "n1", "n2", "n3", "n4"} {
			cfg := config(name)
			cfg.Seeds = []string{c.addr(0), c.addr(3)}
			c.nodes[i] = c.open(cfg)
			defer run(c.nodes[i])()
		}
		alive := func(want int) func() bool {
			return func() bool {
				for _, g := range c.nodes {
					if count(g, discovery.Alive) != want && (want == 5 || count(g, discovery.Alive) == 5) {
						return false
					}
				}
				return true
			}
		}
		c.await(time.Minute, "all meet", alive(5))
		for _, a := range []string{"n0", "n1", "n2"} {
			for _, b := range []string{"n3", "n4"} {
				c.net.Cut(a, b)
			}
		}
		c.await(5*time.Second, "the halves lose each other", alive(0))
		time.Sleep(5 * time.Minute) // gossip to the dead has ended
		c.net.HealAll()
		c.await(time.Minute, "all meet again", alive(5))
	})
}

func TestRunReportsWhatHappensToMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		log := new(logBuffer)
		cfg := config("n3")
		cfg.Log = log.logger()
		c.nodes = append(c.nodes, c.open(cfg))
		stop := run(c.nodes[3])
		c.join(3, 0)
		time.Sleep(time.Second)
		c.net.Isolate("n1")
		time.Sleep(3 * time.Second)
		c.net.HealAll()
		time.Sleep(3 * time.Second)
		if err := c.nodes[2].Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		stop()
		var got []string
		for line := range strings.Lines(log.String()) {
			if _, event, ok := strings.Cut(line, `msg="member `); ok {
				kind, rest, _ := strings.Cut(event, `"`)
				got = append(got, kind+" "+strings.Fields(rest)[0])
			}
		}
		slices.Sort(got[:min(3, len(got))]) // who is heard of first is a matter of chance
		want := "joined member=n0,joined member=n1,joined member=n2,unreached member=n1,returned member=n1,departed member=n2"
		if strings.Join(got, ",") != want {
			t.Errorf("got  %s\nwant %s\n%s", strings.Join(got, ","), want, log)
		}
	})
}

// A log on a stalled disk must not make its node look dead.
func TestStalledLogDoesNotStallGossip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		stalled := stalledLog{release: make(chan struct{})}
		cfg := config("n3")
		cfg.Log = slog.New(stalled)
		c.nodes = append(c.nodes, c.open(cfg))
		stop := run(c.nodes[3])
		c.join(3, 0)
		c.await(time.Second, "n3 is known", c.othersSee(3, discovery.Alive))
		c.net.Isolate("n1")
		c.await(2*time.Second, "n3 sees n1 fail", func() bool { return state(c.nodes[3], "n1") == discovery.Failed })
		time.Sleep(10 * time.Second)
		if state(c.nodes[0], "n3") != discovery.Alive {
			t.Error("n3 is taken for failed")
		}
		close(stalled.release)
		stop()
	})
}

// stalledLog is a handler of its own because the handlers of slog hold a mutex while they write, and a bubble's time does
// not pass while anyone waits for a mutex.
type stalledLog struct{ release chan struct{} }

func (l stalledLog) Enabled(context.Context, slog.Level) bool { return true }
func (l stalledLog) Handle(context.Context, slog.Record) error {
	<-l.release
	return nil
}
func (l stalledLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l stalledLog) WithGroup(string) slog.Handler      { return l }

// The first to come keeps the name; the second, and those whom it joins, say so.
func TestTwoNodesOfOneNameAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		tr, err := c.net.Host("double").Transport(discovery.DefaultPort)
		if err != nil {
			t.Fatal(err)
		}
		log := new(logBuffer)
		cfg := config("n2")
		cfg.Log = log.logger()
		double, err := discovery.Open(cfg, tr)
		if err != nil {
			t.Fatal(err)
		}
		c.nodes = append(c.nodes, double)
		defer run(double)()
		c.join(3, 0)
		time.Sleep(15 * time.Second)
		want := "this node's name is used at " + c.net.Host("double").Addr(discovery.DefaultPort) + " and at " + c.addr(2)
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
		for _, m := range c.nodes[0].Members() {
			if m.Name == "n2" && (m.Addr.String() != c.addr(2) || m.State != discovery.Alive) {
				t.Errorf("the second n2 took the name over: %+v", m)
			}
		}
	})
}

// A member whose metadata or messages cannot be read is a member all the same.
func TestForeignMetadataAndMessagesAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		log := new(logBuffer)
		cfg := config("n2")
		cfg.Log = log.logger()
		c.nodes = append(c.nodes, c.open(cfg))
		defer run(c.nodes[2])()
		c.join(2, 0)

		tr, err := c.net.Host("odd").Transport(discovery.DefaultPort)
		if err != nil {
			t.Fatal(err)
		}
		lib := memberlist.DefaultLANConfig()
		lib.Name, lib.Label, lib.SecretKey, lib.Transport, lib.Delegate = "odd", "orders", key(), tr, oddDelegate{}
		lib.LogOutput = new(logBuffer)
		odd, err := memberlist.Create(lib)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = odd.Shutdown()
			time.Sleep(time.Minute) // its timeouts are long
		}()
		if _, err := odd.Join([]string{c.addr(0)}); err != nil {
			t.Fatal(err)
		}
		c.await(5*time.Second, "n2 knows odd", func() bool { return state(c.nodes[2], "odd") == discovery.Alive })
		for _, m := range odd.Members() {
			if m.Name == "n2" {
				if err := odd.SendBestEffort(m, []byte{9, 9, 9}); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Second)
		for _, m := range c.nodes[2].Members() {
			if m.Name == "odd" && m.Meta != (discovery.Meta{}) {
				t.Errorf("metadata %+v was read from nonsense", m.Meta)
			}
		}
		for _, want := range []string{"ignoring what odd says of itself", "ignoring a message"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not say %q:\n%s", want, log)
			}
		}
	})
}

type oddDelegate struct{}

func (oddDelegate) NodeMeta(int) []byte             { return []byte("nonsense") }
func (oddDelegate) NotifyMsg([]byte)                {}
func (oddDelegate) GetBroadcasts(_, _ int) [][]byte { return nil }
func (oddDelegate) LocalState(bool) []byte          { return nil }
func (oddDelegate) MergeRemoteState([]byte, bool)   {}

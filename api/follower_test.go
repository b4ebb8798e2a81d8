package api_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/internal/simnet"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// script is a server that sends what a test tells it to: one list of frames per stream.
type script struct {
	mu      sync.Mutex
	streams [][]api.Frame
	asked   []string // the queries
	pause   time.Duration
}

// ServeHTTP says the next list of frames. It sleeps in a bubble.
func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.RawQuery)
	var say []api.Frame
	if len(s.streams) > 0 {
		say, s.streams = s.streams[0], s.streams[1:]
	}
	s.mu.Unlock()
	for _, f := range say {
		b := api.AppendFrame(nil, f)
		for piece := range slices.Chunk(b, max(1, len(b)/10)) {
			_, _ = w.Write(piece)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(s.pause) // simulated
		}
	}
	if len(say) == 0 {
		<-r.Context().Done()
	}
}

// play has a follower hear the streams one after the other and returns it and what it asked for.
func play(t *testing.T, streams ...[]api.Frame) (f *api.Follower, asked []string) {
	t.Helper()
	return playSlowly(t, 0, streams...)
}

// playSlowly is play with every frame in ten pieces and a pause behind each.
func playSlowly(t *testing.T, pause time.Duration, streams ...[]api.Frame) (f *api.Follower, asked []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		l, err := n.Host("s1").Listen(7450)
		if err != nil {
			t.Fatal(err)
		}
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		s := &script{streams: streams, pause: pause}
		srv := &http.Server{Handler: s, Protocols: &protocols}
		tr := api.NewTransport(api.TransportConfig{Dial: n.Host("c1").DialContext})
		c, err := api.NewClient(api.ClientConfig{Addrs: api.Static(net.JoinHostPort(n.Host("s1").IP(), "7450")), Transport: tr,
			Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		f = api.NewFollower(c, "prod")
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = srv.Serve(l) })
		wg.Go(func() { _ = f.Run(ctx) })
		time.Sleep(time.Duration(len(streams)) * (2*time.Second + 12*pause)) // simulated
		cancel()
		tr.Close()
		_ = srv.Close()
		n.Close()
		wg.Wait()
		s.mu.Lock() // srv does not wait for its handlers
		defer s.mu.Unlock()
		asked = slices.Clone(s.asked)
	})
	return f, asked
}

func snapshot(t *testing.T, cluster registry.ClusterID, i registry.Index) api.Frame {
	t.Helper()
	b, err := codec.EncodeState(registry.New(cluster).WithIndex(i))
	if err != nil {
		t.Fatal(err)
	}
	return api.Frame{Kind: api.FrameSnapshot, Index: i, State: b}
}

func commands(t *testing.T, prev registry.Index, at ...registry.Index) api.Frame {
	t.Helper()
	b, err := codec.Encode(&registry.RemoveNode{ID: "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	f := api.Frame{Kind: api.FrameCommands, Prev: prev, Index: at[len(at)-1]}
	for _, i := range at {
		f.Commands = append(f.Commands, api.Committed{Index: i, Bytes: b})
	}
	return f
}

// A large state on a slow line takes longer than a stream may be silent, and silent it is not.
func TestAFrameMayTakeLongerThanAStreamMayBeSilent(t *testing.T) {
	if f, asked := playSlowly(t, time.Second, []api.Frame{snapshot(t, "prod", 5)}); f.State().Index() != 5 {
		t.Errorf("it stands at %d, and asked %q", f.State().Index(), asked)
	}
	if f, _ := playSlowly(t, 3*time.Second, []api.Frame{snapshot(t, "prod", 5)}); f.State().Index() != 0 {
		t.Error("it waited for a stream that was silent for 3 s")
	}
}

func TestAFollowerBelievesOnlyWhatContinuesItsState(t *testing.T) {
	lying := snapshot(t, "prod", 9)
	lying.Index = 12
	torn := snapshot(t, "prod", 12)
	torn.State = torn.State[:len(torn.State)-1]
	strange := commands(t, 5, 8)
	strange.Commands[0].Bytes = []byte("\x01\x7f\xff{}")
	for name, c := range map[string]struct {
		then api.Frame
		want registry.Index
		next string // how the stream after it is asked for
	}{
		"what follows":            {commands(t, 5, 6, 8), 8, "cluster=prod&index=8"},
		"a later snapshot":        {snapshot(t, "prod", 9), 9, "cluster=prod&index=9"},
		"the same snapshot":       {snapshot(t, "prod", 5), 5, "cluster=prod&index=5"},
		"an older snapshot":       {snapshot(t, "prod", 4), 5, "cluster=prod"},
		"a gap":                   {commands(t, 6, 8), 5, "cluster=prod"},
		"an overlap":              {commands(t, 4, 5, 8), 5, "cluster=prod"},
		"another cluster":         {snapshot(t, "test", 9), 5, "cluster=prod"},
		"a snapshot that lies":    {lying, 5, "cluster=prod"},
		"a snapshot that is torn": {torn, 5, "cluster=prod"},
		"an unreadable command":   {strange, 5, "cluster=prod"},
		"a server that is behind": {api.Frame{Kind: api.FrameKeepalive, Index: 3}, 5, "cluster=prod&index=5"},
	} {
		t.Run(name, func(t *testing.T) {
			f, asked := play(t, []api.Frame{snapshot(t, "prod", 5), c.then}, nil)
			if got := f.State().Index(); got != c.want {
				t.Errorf("at %d, want %d", got, c.want)
			}
			if len(asked) < 2 || asked[0] != "cluster=prod" || asked[1] != c.next {
				t.Errorf("asked for %q, want %q second", asked, c.next)
			}
		})
	}
}

func TestAFollowerRecoversByASnapshot(t *testing.T) {
	f, asked := play(t,
		[]api.Frame{snapshot(t, "prod", 5), commands(t, 7, 9)}, // a gap
		[]api.Frame{snapshot(t, "prod", 9), commands(t, 9, 10)},
		nil)
	if f.State().Index() != 10 {
		t.Errorf("at %d, want 10", f.State().Index())
	}
	if want := []string{"cluster=prod", "cluster=prod", "cluster=prod&index=10"}; !slices.Equal(asked[:3], want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

func TestAFollowerThatHeardNobodyHasAnEmptyState(t *testing.T) {
	c, err := api.NewClient(api.ClientConfig{Addrs: api.Static(), Transport: api.NewTransport(api.TransportConfig{}), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := api.NewFollower(c, "prod")
		time.Sleep(time.Hour) // simulated
		if s := f.State(); s.Index() != 0 || s.Cluster() != "prod" || f.Age() != time.Hour {
			t.Errorf("index %d of %q, age %s", s.Index(), s.Cluster(), f.Age())
		}
	})
}

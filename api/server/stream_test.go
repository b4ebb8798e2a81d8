package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// follow runs a follower of the given servers until the test ends.
func (r *rig) follow(ids ...registry.NodeID) *api.Follower {
	r.t.Helper()
	f := api.NewFollower(r.client(r.as(identity.RoleClient, "web1"), ids...), clusterID)
	run(r.t, f.Run)
	return f
}

// reaches waits until f is where the log is, and holds the same bytes as a server.
func (r *rig) reaches(f *api.Follower, i registry.Index) {
	r.t.Helper()
	until(r.t, fmt.Sprintf("the follower at index %d", i), f.Changed, func() bool { return f.State().Index() >= i })
	want, err := codec.EncodeState(r.group.nodes[0].State())
	if err != nil {
		r.t.Fatal(err)
	}
	got, err := codec.EncodeState(f.State())
	if err != nil {
		r.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		r.t.Errorf("the follower holds\n%s\nthe server\n%s", got, want)
	}
}

func TestAFollowerHoldsWhatTheServersHold(t *testing.T) {
	r := start(t, nil, "s1")
	f := r.follow("s1")
	r.reign()
	for i := range 50 {
		_, _ = r.group.commit(&registry.RemoveNode{ID: "nobody"}) // refused everywhere; the index moves
		r.must(clientNode(registry.NodeID(fmt.Sprintf("web%d", i))))
	}
	r.reaches(f, r.group.index)
	if f.Age() > time.Minute {
		t.Errorf("the state is %s old", f.Age())
	}
}

func TestAFollowerGoesOnAtAnotherServer(t *testing.T) {
	r := start(t, nil, "s1", "s2", "s3")
	f := r.follow("s1", "s2", "s3")
	for _, id := range []registry.NodeID{"s3", "s2"} {
		r.reaches(f, r.must(clientNode("web1")))
		r.servers[id].stop()
	}
	r.reaches(f, r.must(clientNode("web2")))
}

func TestAFollowerGoesOnWhenItsServerIsBack(t *testing.T) {
	r := start(t, nil, "s1")
	f := r.follow("s1")
	r.reaches(f, r.must(clientNode("web1")))
	addr := r.servers["s1"].addr
	r.servers["s1"].stop()
	i := r.must(clientNode("web2"))
	r.up(r.node("s1"), addr)
	r.reaches(f, i)
}

// stream opens a state stream by hand.
func (r *rig) stream(query string) io.ReadCloser {
	r.t.Helper()
	tr := r.as(identity.RoleClient, "web1")
	ctx, cancel := context.WithCancel(context.Background())
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, tr.URL(r.servers["s1"].addr, "/v1/state/stream", query), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("open a stream: %v %v", resp, err)
	}
	r.t.Cleanup(func() { cancel(); _ = resp.Body.Close() })
	return resp.Body
}

func next(t *testing.T, body io.Reader) api.Frame {
	t.Helper()
	f, err := api.ReadFrame(body)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A frame must begin where the one before it ended, also when something is committed between two looks at the state:
// a follower that finds a gap gives the stream up.
func TestWhatIsCommittedWhileASnapshotIsPackedFollowsIt(t *testing.T) {
	r := start(t, nil, "s1")
	r.must(clientNode("web0"))
	var commits atomic.Int64
	r.node("s1").onState = func() {
		if i := commits.Add(1); i <= 20 {
			r.must(clientNode(registry.NodeID(fmt.Sprintf("web%d", i))))
		}
	}
	stream := r.stream("")
	at := next(t, stream).Index
	for commits.Load() < 20 || at < r.node("s1").feed.State().Index() {
		f := next(t, stream)
		if f.Kind == api.FrameCommands && f.Prev != at {
			t.Fatalf("commands behind %d, the frame before ended at %d", f.Prev, at)
		}
		if f.Kind != api.FrameKeepalive {
			at = f.Index
		}
	}
}

func TestAStreamBeginsWhereItsFollowerStands(t *testing.T) {
	r := start(t, nil, "s1")
	at := r.must(clientNode("web1"))
	last := r.must(clientNode("web2"))
	if f := next(t, r.stream("")); f.Kind != api.FrameSnapshot || f.Index != last {
		t.Errorf("without an index: kind %d at %d, want a snapshot at %d", f.Kind, f.Index, last)
	}
	if f := next(t, r.stream("index="+api.IndexText(at))); f.Kind != api.FrameCommands || f.Prev != at || f.Index != last || len(f.Commands) != 1 {
		t.Errorf("behind by one: %+v", f)
	}
	if f := next(t, r.stream("index="+api.IndexText(last))); f.Kind != api.FrameKeepalive || f.Index != last {
		t.Errorf("with everything: %+v, want a keepalive at once", f)
	}
	// A follower that has heard more than this server is never sent back (G6).
	if f := next(t, r.stream("index="+api.IndexText(last+100))); f.Kind != api.FrameKeepalive || f.Index != last {
		t.Errorf("with more than the server: %+v", f)
	}
	r.node("s1").forget(last)
	if f := next(t, r.stream("index="+api.IndexText(at))); f.Kind != api.FrameSnapshot || f.Index != last {
		t.Errorf("with what is not held any more: %+v", f)
	}
	r.node("s1").forget(last + 1000)
	if f := next(t, r.stream("index="+api.IndexText(last+100))); f.Kind != api.FrameKeepalive {
		t.Errorf("with more than a server that holds nothing: %+v", f)
	}
}

func TestAStreamIsRefusedWithTheReason(t *testing.T) {
	r := start(t, func(c *server.Config) { c.MaxStreams = 1 }, "s1")
	web := r.as(identity.RoleClient, "web1")
	for target, code := range map[string]api.Code{
		"/v1/state/stream?cluster=test": api.CodeCluster,
		"/v1/state/stream?index=-1":     api.CodeMalformed,
		"/v1/state/stream?index=1e3":    api.CodeMalformed,
	} {
		if a := r.raw(web, "GET", target, ""); a.problem.Code != code {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	next(t, r.stream(""))
	a := r.raw(web, "GET", "/v1/state/stream?index=0", "")
	if a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("the second stream: %d %s", a.status, a.body)
	}
}

// A follower that does not read holds up neither commits nor other followers, and skips to what is newest.
func TestASlowFollowerSlowsNobody(t *testing.T) {
	r := start(t, func(c *server.Config) { c.WriteTime = time.Hour }, "s1")
	r.must(clientNode("web1"))
	slow := r.stream("")
	next(t, slow)
	f := r.follow("s1")
	big := clientNode("web2")
	big.Node.Version = string(bytes.Repeat([]byte("v"), 100<<10))
	var last registry.Index
	const commits = 120 // 12 MB, far more than all buffers between the two hold
	for range commits {
		last = r.must(big)
	}
	r.reaches(f, last)
	r.node("s1").forget(last)
	frames := 0
	for at := registry.Index(0); at < last; frames++ {
		at = max(at, next(t, slow).Index)
	}
	if frames >= commits {
		t.Errorf("%d frames for %d commits: nothing was skipped", frames, commits)
	}
}

func TestManyFollowersAreServedAlike(t *testing.T) {
	r := start(t, nil, "s1")
	var all []*api.Follower
	client := r.client(r.as(identity.RoleClient, "web1"), "s1")
	for range 40 {
		f := api.NewFollower(client, clusterID)
		run(t, f.Run)
		all = append(all, f)
	}
	r.reign()
	for _, f := range all {
		r.reaches(f, r.group.index)
	}
}

// A command that this baton cannot read stops it where it is, until a snapshot brings it past.
func TestAFollowerDoesNotSkipACommandThatItCannotRead(t *testing.T) {
	r := start(t, nil, "s1")
	f := r.follow("s1")
	r.reaches(f, r.must(clientNode("web1")))
	n := r.node("s1")
	n.mu.Lock()
	r.group.index += 2
	n.log = append(n.log, api.Committed{Index: r.group.index, Bytes: []byte("\x01\x7f\xff{}")})
	n.feed.Publish(n.State().WithIndex(r.group.index))
	n.mu.Unlock()
	r.reaches(f, r.must(clientNode("web2")))
}

func TestAServerThatStopsEndsItsStreams(t *testing.T) {
	r := start(t, nil, "s1")
	body := r.stream("")
	next(t, body)
	r.servers["s1"].stop()
	for {
		if _, err := api.ReadFrame(body); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Logf("ended by %v", err)
			}
			return
		}
	}
}

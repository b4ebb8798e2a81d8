package server_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

// reporter runs a reporter of a node until the test ends.
func (r *rig) reporter(tr *api.Transport, addrs func() []string) *api.Reporter {
	r.t.Helper()
	p, err := api.NewReporter(api.ReporterConfig{Addrs: addrs, Transport: tr, Log: quiet()})
	if err != nil {
		r.t.Fatal(err)
	}
	run(r.t, p.Run)
	return p
}

func seq(n uint64) func(health.Report) bool {
	return func(r health.Report) bool { return r.Seq == n }
}

func TestAReportReachesEveryServer(t *testing.T) {
	r := start(t, nil, "s1", "s2", "s3")
	r.reign()
	p := r.reporter(r.as(identity.RoleClient, "db2"), api.Static(r.addrs("s1", "s2", "s3")...))
	for n := range uint64(20) {
		p.Send(report("db2", n+1))
	}
	for _, n := range r.group.nodes {
		n.hear(t, "the newest", seq(20))
		if v := n.View("orders"); v["db2"].Seq != 20 {
			t.Errorf("%s has report %d", n.id, v["db2"].Seq)
		}
	}
	p.Send(report("db2", 21))
	for _, n := range r.group.nodes {
		n.hear(t, "the next", seq(21))
	}
}

func TestAServerThatIsBackHearsTheNewestReportAtOnce(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	p := r.reporter(r.as(identity.RoleClient, "db2"), api.Static(r.addrs("s1", "s2")...))
	p.Send(report("db2", 1))
	r.node("s1").hear(t, "the first", seq(1))
	addr := r.servers["s1"].addr
	r.servers["s1"].stop()
	p.Send(report("db2", 2))
	r.node("s2").hear(t, "the second", seq(2)) // one server's absence holds up nobody
	p.Send(report("db2", 3))
	r.node("s2").hear(t, "the third", seq(3))
	r.up(r.node("s1"), addr)
	r.node("s1").hear(t, "the newest, without another Send", seq(3))
}

func TestServersThatComeAndGoAreFollowed(t *testing.T) {
	r := start(t, nil, "s1", "s2")
	addrs := make(chan []string, 1)
	addrs <- r.addrs("s1")
	p := r.reporter(r.as(identity.RoleClient, "db2"), func() []string {
		a := <-addrs
		addrs <- a
		return a
	})
	p.Send(report("db2", 1))
	r.node("s1").hear(t, "the first", seq(1))
	<-addrs
	addrs <- r.addrs("s2")
	r.node("s2").hear(t, "the first", seq(1))
}

// post sends body as one whole report stream and returns what the server said at its end.
func (r *rig) post(tr *api.Transport, body io.Reader) string {
	r.t.Helper()
	return raw(r.t, tr, "POST", r.servers["s1"].addr, "/v1/reports", body, "Content-Type", api.ReportsType).body
}

func TestANodeReportsOnlyOfItself(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	db2 := r.as(identity.RoleClient, "db2")
	line := func(change func(*health.Report)) string {
		h := report("db2", 1)
		change(&h)
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	for name, c := range map[string]struct {
		body string
		want string // in the problem; empty: taken
	}{
		"its own":                {line(func(*health.Report) {}), ""},
		"a new member":           {line(func(h *health.Report) { h.Instance = "db7" }), ""},
		"unknown fields":         {strings.Replace(line(func(*health.Report) {}), "{", `{"mood":"good",`, 1), ""},
		"another node":           {line(func(h *health.Report) { h.Node = "db3" }), "may not report for node db3"},
		"another's instance":     {line(func(h *health.Report) { h.Instance = "db3" }), "registered on node db3"},
		"a name that is none":    {line(func(h *health.Report) { h.Database = "../x" }), "want 1 to 63"},
		"no JSON":                {"hello\n", "invalid character"},
		"a duplicate key":        {`{"node":"db2","node":"db3"}` + "\n", "twice"},
		"a line that has no end": {strings.Repeat("x", 5<<20), "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.post(db2, strings.NewReader(c.body))
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("the server said %q, want %q", got, c.want)
			}
		})
	}
	for _, h := range r.node("s1").received {
		if h.Node != "db2" || h.Instance == "db3" {
			t.Errorf("taken: %+v", h)
		}
	}
}

// Over HTTP/1.1 a report stream works as well: a person with curl is a reporter too.
func TestReportsArriveWhileTheStreamIsOpen(t *testing.T) {
	r := start(t, nil, "s1")
	id := r.identity(identity.RoleClient, "db2")
	tr := &http.Transport{TLSClientConfig: id.ClientTLS("", identity.ALPNHTTP1)}
	defer tr.CloseIdleConnections()
	body, pen := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", "https://"+r.servers["s1"].addr+"/v1/reports", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", api.ReportsType)
	head := make(chan int, 1)
	run(t, func(context.Context) error {
		resp, err := tr.RoundTrip(req)
		if err != nil {
			return err
		}
		head <- resp.StatusCode
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.Body.Close()
	})
	for n := range uint64(3) {
		b, err := json.Marshal(report("db2", n+1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pen.Write(append(b, '\n')); err != nil {
			t.Fatal(err)
		}
		r.node("s1").hear(t, "its number", seq(n+1))
	}
	if status := <-head; status != 200 {
		t.Errorf("status %d", status)
	}
	_ = pen.Close()
}

func TestAReportOfAMovedInstanceIsTakenAfterItIsRegistered(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	db9 := r.as(identity.RoleClient, "db9")
	h := report("db3", 1)
	h.Node = "db9"
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.post(db9, strings.NewReader(string(b)+"\n")); !strings.Contains(got, string(api.CodeForbidden)) {
		t.Errorf("before: %q", got)
	}
	m := member("db3", 3)
	m.Member.Node = registry.NodeID("db9")
	r.must(m)
	if got := r.post(db9, strings.NewReader(string(b)+"\n")); got != "" {
		t.Errorf("after: %q", got)
	}
}

func TestAServersReportToItselfIsJudgedLikeEveryOther(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign() // db2 is registered on node db2
	n := r.node("s1")
	door, err := server.New(server.Config{Node: "s1", Backend: n, Forward: r.as(identity.RoleServer, "s1"), Log: quiet(),
		Identify: func(tls.ConnectionState) (api.Peer, error) { return api.Peer{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	me := api.Peer{Role: registry.RoleServer, Name: "s1"}
	if err := door.Receive(me, report("db2", 1)); err == nil {
		t.Error("s1 reports for an instance of another node")
	}
	if err := door.Receive(api.Peer{Role: registry.RoleServer, Name: "db2"}, report("db2", 2)); err != nil {
		t.Error(err)
	}
	if v := n.View("orders"); v["db2"].Seq != 2 {
		t.Errorf("report %d is on the board, want 2", v["db2"].Seq)
	}
}

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

// fake is a server's API whose answers are written down here, behind the certificates of a real one.
type fake struct {
	addr     string
	operator string        // directory of an identity that it believes
	arrived  chan struct{} // receives when a switchover of "slow" has arrived, which never ends
	sent     chan api.SwitchoverRequest
	waiting  bool // it is to be added, and knows of no other server itself
}

func newFake(t *testing.T) *fake {
	t.Helper()
	a, err := identity.NewAuthority("prod", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	issue := func(role identity.Role, name string) string {
		cert, key, err := a.Issue(role, name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), name)
		if err := identity.Save(dir, a.CertPEM(), cert, key); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	f := &fake{operator: issue(identity.RoleOperator, "alice"), arrived: make(chan struct{}, 1), sent: make(chan api.SwitchoverRequest, 10)}
	id, err := identity.Load(issue(identity.RoleServer, "db1"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", id.ServerTLS(identity.ALPNHTTP2))
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	srv := &http.Server{Handler: f.handler(), Protocols: &protocols, TLSConfig: id.ServerTLS(identity.ALPNHTTP2)}
	var served sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	srv.BaseContext = func(net.Listener) context.Context { return ctx }
	t.Cleanup(func() {
		cancel()
		_ = srv.Close()
		served.Wait()
	})
	served.Go(func() { _ = srv.Serve(l) }) // it ends when it is closed
	return f
}

func (f *fake) handler() http.Handler {
	mux := http.NewServeMux()
	put := func(pattern string, v any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Baton-Index", "48211")
			w.Header().Set("X-Baton-Last-Contact", "12")
			w.Header().Set("X-Baton-Known-Leader", "db2")
			if p, ok := v.(api.Problem); ok {
				w.WriteHeader(p.Status)
			}
			_ = json.NewEncoder(w).Encode(v) // the client says what it got
		})
	}
	orders, users := ordersView(), usersView()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Baton-Last-Contact", "12")
		status := statusOf(orders, users)
		if f.waiting && r.URL.Query().Has("stale") {
			status.Raft = api.RaftStatus{}
		}
		_ = json.NewEncoder(w).Encode(status) // the client says what it got
	})
	put("GET /v1/databases", api.DatabaseList{Databases: []api.DatabaseSummary{summaryOf(orders), summaryOf(users)}})
	put("GET /v1/members", api.MemberList{Members: []api.Member{
		{Name: "db1", Address: "10.0.0.11:7451", Role: "server", State: "alive", Zone: "a", Version: "0.9.0"},
		{Name: "web3", Address: "10.0.1.3:7451", Role: "client", State: "suspect", Version: "0.9.0"}}})
	put("GET /v1/databases/orders", orders)
	put("GET /v1/databases/slow", orders)
	put("GET /v1/databases/returns", returning())
	put("GET /v1/databases/users", users)
	put("GET /v1/databases/orders/topology", topologyOf())
	put("GET /v1/databases/nope", api.Problem{Status: 404, Code: api.CodeNoDatabase, Detail: "there is no database nope", Hint: "GET /v1/databases lists them", Node: "db1", Index: 48211})
	put("GET /v1/databases/leaderless", api.Problem{Status: 503, Code: api.CodeNoQuorum, Detail: "there is no leader", Node: "db1", Index: 48211})
	put("GET /v1/databases/secret", api.Problem{Status: 403, Code: api.CodeForbidden, Detail: "a client may not read this", Node: "db1", Index: 48211})
	mux.HandleFunc("POST /v1/databases/{db}/switchover", f.switchover)
	mux.HandleFunc("POST /v1/databases/{db}/ackers", f.ackers)
	mux.HandleFunc("POST /v1/databases/{db}/rejoin", f.rejoin)
	mux.HandleFunc("POST /v1/databases/{db}/durability", func(w http.ResponseWriter, r *http.Request) {
		var req api.DurabilityRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(api.DurabilityResult{Database: "orders", Index: 48215, Outcome: api.OutcomeDone, // the client says what it got
			Wanted: cmp.Or(req.Durability, registry.Lossless), WhenAlone: cmp.Or(req.WhenAlone, registry.Block), Durability: cmp.Or(req.Durability, registry.Lossless)})
	})
	mux.HandleFunc("POST /v1/databases/{db}/pause", func(w http.ResponseWriter, r *http.Request) {
		var req api.PauseRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		res := api.PauseResult{Database: "orders", Paused: req.Paused, Index: 48216}
		if req.Paused {
			res.Pause = registry.Pause{AtMillis: 1, Cause: registry.Cause{Code: registry.DatabasePaused, Detail: "by alice (" + req.By + "): " + req.Reason}}
		}
		_ = json.NewEncoder(w).Encode(res) // the client says what it got
	})
	mux.HandleFunc("POST /v1/servers", f.servers)
	return mux
}

// ackers answers by who is to be removed.
func (f *fake) ackers(w http.ResponseWriter, r *http.Request) {
	var req api.AckersRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	res := api.AckersResult{Database: "orders", Index: 48213, Outcome: api.OutcomeDone, Ackers: []registry.InstanceID{"db2"}, K: max(1, req.K)}
	switch req.Remove {
	case "db1":
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: 409, Code: api.CodeIsPrimary, Detail: "db1 is the primary of orders",
			Hint: "hand over first: baton db switchover orders", Node: "db2", Index: 48211}) // the client says what it got
		return
	case "late":
		w.WriteHeader(http.StatusAccepted)
		res.Outcome, res.Detail = api.OutcomeRunning, "AckersChanging: late is to stop acknowledging. Way out: bring it back"
	}
	_ = json.NewEncoder(w).Encode(res) // the client says what it got
}

// rejoin answers by who is to come back.
func (f *fake) rejoin(w http.ResponseWriter, r *http.Request) {
	var req api.RejoinRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if req.Instance == "db3" {
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: 409, Code: api.CodeNotAway, Detail: "db3 acknowledges for db1: what it holds may be on nobody else",
			Hint: "first baton db remove-member orders db3, then the same with --undo", Node: "db2", Index: 48211}) // the client says what it got
		return
	}
	_ = json.NewEncoder(w).Encode(api.RejoinResult{Database: "orders", Instance: req.Instance, How: req.How, Epoch: 17, Index: 48214})
}

// servers judges as a leader does, and answers what there would be.
func (f *fake) servers(w http.ResponseWriter, r *http.Request) {
	var req api.ServersRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	all := statusOf(ordersView(), usersView()).Raft.Peers
	switch {
	case req.Remove == "db2":
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: 409, Code: api.CodeServers, Detail: "db2 leads", Hint: "stop baton on it first; another server leads then"})
		return
	case req.Add != "":
		all = append(all, api.RaftPeer{Node: req.Add, Address: req.Address, Voter: true})
	}
	all = slices.DeleteFunc(all, func(p api.RaftPeer) bool { return p.Node == req.Remove })
	_ = json.NewEncoder(w).Encode(api.ServersResult{Servers: all}) // the client says what it got
}

// switchover answers by the wanted winner and by the reason.
func (f *fake) switchover(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("db") == "slow" {
		f.arrived <- struct{}{}
		<-r.Context().Done()
		return
	}
	var req api.SwitchoverRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	res := api.SwitchoverResult{Database: "orders", From: "db1", To: req.To, Epoch: 18, Index: 48212, Outcome: api.OutcomeDone, Primary: req.To,
		Phase: registry.Serving, Timings: api.Timings{Revoked: 1.5, Promoting: 20, Serving: 61.25}}
	switch {
	case req.To == "db3":
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(api.Problem{Status: 409, Code: api.CodeLagging, Detail: "db3 is 40 s behind, at most 3 s can be made up",
			Hint: "wait until it has caught up", Node: "db2", Index: 48211}) // the client says what it got
		return
	case req.Reason == "late":
		w.WriteHeader(http.StatusAccepted)
		res.Outcome, res.Primary, res.Phase, res.Timings = api.OutcomeRunning, "", registry.Closing, api.Timings{Revoked: 1.5}
	case req.Reason == "lame":
		res.Outcome, res.Primary, res.Detail = api.OutcomeUndone, "db1", "SwitchoverUndone: db1 did not close within 3s and stays primary"
	}
	_ = json.NewEncoder(w).Encode(res) // the client says what it got
}

// at is a moment of the story that the fake tells.
func at(second int) int64 {
	return time.Date(2026, 11, 18, 3, 12, second, 204e6, time.UTC).UnixMilli()
}

func member(id string, address string) registry.Member {
	return registry.Member{ID: registry.InstanceID(id), Node: registry.NodeID(id), Address: address, Flavor: registry.MySQL, Preference: registry.Normal}
}

// ordersView is a database that lives, with everything wrong that a replica can have.
func ordersView() api.DatabaseView {
	db3 := member("db3", "10.0.0.13:3306")
	db3.OutOf = registry.Cause{Code: "ReplicaLagging", Detail: "db3 is 40 s behind, limit 30 s"}
	d := &registry.Database{Name: "orders", Policy: registry.DefaultPolicy(), Epoch: 17, Phase: registry.Serving, Primary: "db1",
		Cause: registry.Cause{Code: "PrimaryGone", Detail: "the process of db2 is gone"}, Ackers: []registry.InstanceID{"db2", "db3"}, K: 1,
		Durability: registry.Lossless, Members: []registry.Member{member("db1", "10.0.0.11:3306"), member("db2", "10.0.0.12:3306"), db3, member("db4", "10.0.0.14:3306")},
		History: []registry.Event{
			{Index: 41, AtMillis: at(1), Epoch: 16, Phase: registry.Serving, Instance: "db2", Cause: registry.Cause{Code: "Marked", Detail: "1 of [db1 db3] have acknowledged the marker of db2"}},
			{Index: 48, AtMillis: at(7), Epoch: 17, Phase: registry.Fencing, Instance: "db2", Cause: registry.Cause{Code: "PrimaryGone", Detail: "the process of db2 is gone"}},
			{Index: 49, AtMillis: at(8), Epoch: 17, Phase: registry.Serving, Instance: "db1", Cause: registry.Cause{Code: "Marked", Detail: "1 of [db3] have acknowledged the marker of db1"}},
			{Index: 50, AtMillis: at(9), Epoch: 17, Phase: registry.Serving, Instance: "db2", Cause: registry.Cause{Code: "AckerAdded", Detail: "db2 holds everything that db1 had when it connected"}}}}
	zero, forty := 0, 40
	report := func(doing string, lag *int) *health.Report {
		r := &health.Report{Database: "orders", Process: health.ProcessRunning, Guard: health.Guard{Promise: 17, Doing: doing}, Preflight: true}
		if lag != nil {
			r.Replication = &health.Replication{Source: "10.0.0.11:3306", Receiver: "running", Applier: true, LagSeconds: *lag, SemiSync: true}
		}
		return r
	}
	db2 := report("rejoin: db1 reigns in epoch 17", &zero)
	db2.Guard.Problem = "db2 holds transactions that the primary lacks: db1 has not 3fa8:91. It is kept out. Way out: save what they changed, then give this server a fresh copy of db1"
	db2.Guard.Diverged = "3fa8:91"
	behind := report("wait: following db1", &forty)
	behind.Findings = []health.Finding{
		{Code: "BT-3201", Setting: "sync_binlog", Have: "0", Want: "1", Why: "a commit must survive a crash of the machine", Fix: "SET PERSIST sync_binlog = 1", Fatal: true},
		{Code: "BT-3219", Setting: "performance_schema", Want: "ON", Why: "heartbeats are not counted without it", Fix: "[mysqld]\nperformance_schema = ON\nthen restart the server"}}
	return api.DatabaseView{Database: d, Why: "db1 is primary, epoch 17, since 2026-11-18T03:12:09Z: PrimaryGone: the process of db2 is gone", Instances: []api.InstanceView{
		{Instance: "db1", Part: api.PartPrimary, AgeMillis: new(int64(40)), Report: report("wait: open", nil)},
		{Instance: "db2", Part: api.PartAcker, AgeMillis: new(int64(31)), Report: db2},
		{Instance: "db3", Part: api.PartAcker, AgeMillis: new(int64(9100)), Report: behind},
		{Instance: "db4", Part: api.PartReplica}}}
}

// usersView is a database that cannot be helped, and says why.
func usersView() api.DatabaseView {
	d := &registry.Database{Name: "users", Policy: registry.DefaultPolicy(), Epoch: 4, Phase: registry.Fencing, Former: "u1",
		Cause:  registry.Cause{Code: "PrimarySilent", Detail: "the agent of u1 has been unheard for 0.9 s, no acker hears the server, and a probe failed"},
		Ackers: []registry.InstanceID{"u2", "u3"}, K: 1, Durability: registry.Lossless,
		Members: []registry.Member{member("u1", "10.0.0.21:3306"), member("u2", "10.0.0.22:3306"), member("u3", "10.0.0.23:3306")},
		Refusal: registry.Cause{Code: "AckersMissing", Detail: "1 of 2 ackers are fenced with whole memories, need 2; missing: u3 (unheard for 12.4 s: ); Way out: bring one of them back, or u1"},
		History: []registry.Event{{Index: 60, AtMillis: at(30), Epoch: 4, Phase: registry.Fencing, Instance: "u1", Cause: registry.Cause{Code: "PrimarySilent", Detail: "the agent of u1 has been unheard for 0.9 s"}}}}
	return api.DatabaseView{Database: d, Why: "u1 is being replaced, epoch 4, fencing since 2026-11-18T03:12:30Z: PrimarySilent; refused: " + d.Refusal.String(),
		Instances: []api.InstanceView{{Instance: "u1", Part: api.PartFormer}, {Instance: "u2", Part: api.PartAcker}, {Instance: "u3", Part: api.PartAcker}}}
}

func summaryOf(v api.DatabaseView) api.DatabaseSummary {
	d := v.Database
	heard := 0
	for _, i := range v.Instances {
		if i.AgeMillis != nil && *i.AgeMillis < 2000 {
			heard++
		}
	}
	return api.DatabaseSummary{Name: d.Name, Phase: d.Phase, Epoch: d.Epoch, Primary: d.Primary, Durability: d.Durability,
		Members: len(d.Members), Heard: heard, Why: v.Why, Refusal: d.Refusal}
}

func statusOf(views ...api.DatabaseView) api.Status {
	s := api.Status{Cluster: "prod", Node: "db1", Version: "0.9.0", Verdict: api.Down, Nodes: 5,
		Reasons: []string{"the server db3 has not answered the leader for 2m5s", "users: " + views[1].Why, "orders: 2 of 4 members are heard"},
		Raft: api.RaftStatus{Leader: "db2", Term: 7, Applied: 48211, Peers: []api.RaftPeer{
			{Node: "db1", Address: "10.0.0.11:7450", Voter: true, ContactMillis: 20}, {Node: "db2", Address: "10.0.0.12:7450", Voter: true},
			{Node: "db3", Address: "10.0.0.13:7450", Voter: true, ContactMillis: 125_000}}}}
	for _, v := range views {
		s.Databases = append(s.Databases, summaryOf(v))
	}
	return s
}

func topologyOf() api.Topology {
	return api.Topology{Name: "orders", Phase: registry.Serving, Epoch: 17, Primary: "db1", Nodes: []api.TopologyNode{
		{Instance: "db1", Node: "db1", Address: "10.0.0.11:3306", Part: api.PartPrimary, CaughtUp: true, AgeMillis: new(int64(40))},
		{Instance: "db2", Node: "db2", Address: "10.0.0.12:3306", Part: api.PartAcker, Follows: "db1", Source: "10.0.0.11:3306", Receiver: "running", CaughtUp: true, LagSeconds: new(0), AgeMillis: new(int64(31))},
		{Instance: "db3", Node: "db3", Address: "10.0.0.13:3306", Part: api.PartReplica, Follows: "db2", Source: "10.0.0.12:3306", Receiver: "connecting", AgeMillis: new(int64(9100))},
		{Instance: "db4", Node: "db4", Address: "10.0.0.14:3306", Part: api.PartReplica}}}
}

// closedPort is an address at which nobody listens: port 1 is given to nobody who asks for any port.
const closedPort = "127.0.0.1:1"

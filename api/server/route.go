package server

import (
	"github.com/baton-db/baton/api"
	"net/http"
	"slices"
	"strings"
)

// Place says which server answers a request.
type Place string

// The places.
const (
	Here   Place = "here"   // the server that was asked; the answer is not from the log
	Fresh  Place = "fresh"  // the leader behind a barrier, or with ?stale the server that was asked
	Leader Place = "leader" // the leader
)

// Route is one line of the API. Request and Response are zero values of what the bodies hold, nil for none.
type Route struct {
	Method   string
	Path     string // pattern of net/http's mux, without the method
	Summary  string
	Verb     Verb
	Place    Place
	Query    []string // parameters there are; all others are refused
	Request  any
	Response any

	// serve returns the response, or writes it itself and returns nil.
	serve func(*Server, *call) (any, error)
}

// Routes is the whole API.
func Routes() []Route {
	return slices.Concat(probeRoutes(), readRoutes(), operateRoutes(), nodeRoutes())
}

func probeRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Path: "/v1/livez", Summary: "Does this process answer",
			Verb: Probe, Place: Here, Response: api.Health{}, serve: (*Server).livez},
		{Method: http.MethodGet, Path: "/v1/readyz", Summary: "Does this server know a leader and hear it",
			Verb: Probe, Place: Here, Response: api.Health{}, serve: (*Server).readyz},
		{Method: http.MethodGet, Path: "/v1/healthz", Summary: "The same as readyz",
			Verb: Probe, Place: Here, Response: api.Health{}, serve: (*Server).readyz},
	}
}

func readRoutes() []Route {
	stale := []string{"stale"}
	return []Route{
		{Method: http.MethodGet, Path: "/v1/status", Summary: "The verdict, the consensus and every database in a line",
			Verb: Read, Place: Fresh, Query: stale, Response: api.Status{}, serve: (*Server).status},
		{Method: http.MethodGet, Path: "/v1/members", Summary: "What gossip says of every node, as this server hears it",
			Verb: Read, Place: Here, Response: api.MemberList{}, serve: (*Server).members},
		{Method: http.MethodGet, Path: "/v1/databases", Summary: "Every database in a line",
			Verb: Read, Place: Fresh, Query: stale, Response: api.DatabaseList{}, serve: (*Server).databases},
		{Method: http.MethodGet, Path: "/v1/databases/{db}", Summary: "One database: its state and the newest report of each instance",
			Verb: Read, Place: Fresh, Query: stale, Response: api.DatabaseView{}, serve: (*Server).database},
		{Method: http.MethodGet, Path: "/v1/databases/{db}/topology", Summary: "Who follows whom, and how far behind",
			Verb: Read, Place: Fresh, Query: stale, Response: api.Topology{}, serve: (*Server).topology},
		{Method: http.MethodGet, Path: "/v1/state/stream", Summary: "The state and every committed command, as frames",
			Verb: Read, Place: Here, Query: []string{"index", "cluster"}, serve: (*Server).stateStream},
	}
}

func operateRoutes() []Route {
	return []Route{
		{Method: http.MethodPost, Path: "/v1/databases/{db}/switchover", Summary: "Hand the reign over to a replica",
			Verb: Operate, Place: Leader, Query: []string{"wait"},
			Request: api.SwitchoverRequest{}, Response: api.SwitchoverResult{}, serve: (*Server).switchover},
		{Method: http.MethodPost, Path: "/v1/databases/{db}/ackers", Summary: "Remove a replica, or change how many acknowledgements commits wait for",
			Verb: Operate, Place: Leader, Query: []string{"wait"},
			Request: api.AckersRequest{}, Response: api.AckersResult{}, serve: (*Server).ackers},
		{Method: http.MethodPost, Path: "/v1/databases/{db}/durability", Summary: "Change what an acknowledged write is worth",
			Verb: Operate, Place: Leader, Query: []string{"wait"},
			Request: api.DurabilityRequest{}, Response: api.DurabilityResult{}, serve: (*Server).durability},
		{Method: http.MethodPost, Path: "/v1/databases/{db}/pause", Summary: "Leave a database alone, or no longer",
			Verb: Operate, Place: Leader, Request: api.PauseRequest{}, Response: api.PauseResult{}, serve: (*Server).pause},
		{Method: http.MethodPost, Path: "/v1/databases/{db}/promote", Summary: "Promote a replica although acknowledged writes may be lost",
			Verb: Operate, Place: Leader, Query: []string{"wait"},
			Request: api.PromoteRequest{}, Response: api.PromoteResult{}, serve: (*Server).promote},
		{Method: http.MethodPost, Path: "/v1/servers", Summary: "Add a server, or remove one that is gone",
			Verb: Operate, Place: Leader, Query: []string{"wait"},
			Request: api.ServersRequest{}, Response: api.ServersResult{}, serve: (*Server).servers},
		{Method: http.MethodPost, Path: "/v1/databases/{db}/rejoin", Summary: "Bring a server back that holds what the primary lacks",
			Verb: Operate, Place: Leader,
			Request: api.RejoinRequest{}, Response: api.RejoinResult{}, serve: (*Server).rejoin},
	}
}

func nodeRoutes() []Route {
	return []Route{
		{Method: http.MethodPost, Path: "/v1/propose", Summary: "Hand an encoded command to the log",
			Verb: Propose, Place: Leader, Response: api.Proposed{}, serve: (*Server).propose},
		{Method: http.MethodPost, Path: "/v1/reports", Summary: "A stream of reports, one JSON object per line",
			Verb: Report, Place: Here, serve: (*Server).reports},
	}
}

// handler is the mux over all routes. Paths and methods that do not exist are problems too.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range Routes() {
		mux.HandleFunc(rt.Method+" "+rt.Path, func(w http.ResponseWriter, r *http.Request) { s.answer(rt, w, r) })
		methods[rt.Path] = append(methods[rt.Path], rt.Method)
	}
	for path, allowed := range methods {
		allow := strings.Join(allowed, ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			s.refuse(w, api.NewProblem(api.CodeMethod, "use "+allow, "%s %s", r.Method, path))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, api.NewProblem(api.CodeNoRoute, "", "there is no %q here", r.URL.Path))
	})
	return mux
}

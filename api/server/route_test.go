package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/server"
	"github.com/baton-db/baton/identity"
	"github.com/baton-db/baton/registry"
)

// answer is what came back of one raw request.
type answer struct {
	status  int
	header  http.Header
	body    string
	problem api.Problem
}

// raw sends one request as it is.
func raw(t testing.TB, tr *api.Transport, method, addr, target string, body io.Reader, header ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, tr.URL(addr, target, ""), body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode < 300 && strings.HasSuffix(target, "stream") {
		return a // it has no end
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a.body = string(b)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		if err := json.Unmarshal(b, &a.problem); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (r *rig) raw(tr *api.Transport, method, target, body string, header ...string) answer {
	r.t.Helper()
	return raw(r.t, tr, method, r.servers["s1"].addr, target, strings.NewReader(body), header...)
}

// A route that everybody may use is answered with anything but 401 and 403, whatever else is wrong with the request.
func TestEveryRouteKnowsEveryRole(t *testing.T) {
	r := start(t, nil, "s1")
	peers := map[string]*api.Transport{
		"server":   r.as(identity.RoleServer, "s2"),
		"client":   r.as(identity.RoleClient, "web1"),
		"operator": r.as(identity.RoleOperator, "alice"),
		"stranger": r.stranger(),
	}
	want := map[server.Verb]string{
		server.Probe:   "server client operator stranger",
		server.Read:    "server client operator",
		server.Report:  "server client",
		server.Propose: "server client",
		server.Operate: "server operator",
	}
	for _, rt := range server.Routes() {
		for role, tr := range peers {
			t.Run(rt.Method+" "+rt.Path+" as "+role, func(t *testing.T) {
				a := raw(t, tr, rt.Method, r.servers["s1"].addr, strings.ReplaceAll(rt.Path, "{db}", "orders"), nil)
				allowed := a.status != http.StatusUnauthorized && a.status != http.StatusForbidden
				if may := strings.Contains(want[rt.Verb], role); may != allowed {
					t.Errorf("status %d %s, want allowed: %t", a.status, a.body, may)
				}
				if role == "stranger" && !allowed && a.problem.Code != api.CodeStranger {
					t.Errorf("a stranger gets %s", a.problem.Code)
				}
			})
		}
	}
}

// stranger shows no certificate.
func (r *rig) stranger() *api.Transport {
	tr := api.NewTransport(api.TransportConfig{TLS: anonymous, DialTime: 30 * time.Second})
	r.t.Cleanup(tr.Close)
	return tr
}

func TestRoutesAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, rt := range server.Routes() {
		key := rt.Method + " " + rt.Path
		if seen[key] || rt.Summary == "" || rt.Verb == "" || rt.Place == "" {
			t.Errorf("%s: twice, or without summary, verb or place", key)
		}
		seen[key] = true
		changes := rt.Verb == server.Operate || rt.Verb == server.Propose || rt.Verb == server.Report
		if changes == (rt.Method == http.MethodGet) {
			t.Errorf("%s does %s", key, rt.Verb)
		}
	}
}

func TestWhatIsNoRouteIsAProblem(t *testing.T) {
	r := start(t, nil, "s1")
	op := r.as(identity.RoleOperator, "alice")
	for _, c := range []struct {
		method, target string
		status         int
		code           api.Code
	}{
		{"GET", "/", 404, api.CodeNoRoute},
		{"GET", "/v1/databases/orders/failover", 404, api.CodeNoRoute},
		{"GET", "/v1/databases/orders/switchover", 405, api.CodeMethod}, // nothing changes by GET
		{"GET", "/v1/propose", 405, api.CodeMethod},
		{"POST", "/v1/status", 405, api.CodeMethod},
		{"DELETE", "/v1/databases/orders", 405, api.CodeMethod},
	} {
		a := r.raw(op, c.method, c.target, "")
		if a.status != c.status || a.problem.Code != c.code || a.problem.Status != c.status || a.problem.Node != "s1" {
			t.Errorf("%s %s: %d %s", c.method, c.target, a.status, a.body)
		}
		if c.status == 405 && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.target)
		}
	}
}

func TestBadInputsAreRefusedBeforeAnythingHappens(t *testing.T) {
	r := start(t, nil, "s1")
	r.reign()
	op := r.as(identity.RoleOperator, "alice")
	const sw = "/v1/databases/orders/switchover"
	for name, c := range map[string]struct {
		target, body string
		status       int
		detail       string
	}{
		"44 larger than a mebibyte": {sw, `{"to":"` + strings.Repeat("a", api.MaxBody) + `"}`, 413, "larger than"},
		"47 no JSON":                {sw, `to=db2`, 400, "at byte 2"},
		"47 cut short":              {sw, `{"to":"db2"`, 400, "ends too early"},
		"47 empty":                  {sw, ``, 400, "ends too early"},
		"47 not an object":          {sw, `["db2"]`, 400, "want a JSON object"},
		"47 null":                   {sw, `null`, 400, "want a JSON object"},
		"47 trailing bytes":         {sw, `{} {}`, 400, "at byte 3"},
		"48 unknown field":          {sw, `{"too":"db2"}`, 400, `unknown field "too"`},
		"49 duplicate key":          {sw, `{"to":"db2","to":"db3"}`, 400, `"to" twice`},
		"49 duplicate in capitals":  {sw, `{"to":"db2","TO":"db3"}`, 400, `"TO" twice`},
		"49 duplicate by folding":   {sw, `{"reason":"a","reaſon":"b"}`, 400, "twice"},
		"49 duplicate below":        {sw, `{"x":[{"a":1,"a":2}]}`, 400, `"a" twice`},
		"50 deep":                   {sw, strings.Repeat(`{"a":`, 10000), 400, "nested deeper"},
		"50 deep arrays":            {sw, `{"a":` + strings.Repeat(`[`, 10000), 400, "nested deeper"},
		"51 a number for a name":    {sw, `{"to":1e999}`, 400, "at byte"},
		"51 minus zero":             {sw, `{"to":-0}`, 400, "at byte"},
		"51 NaN":                    {sw, `{"to":NaN}`, 400, "at byte"},
		"51 wait beyond all":        {sw + "?wait=1e999s", `{}`, 400, "wait"},
		"51 negative wait":          {sw + "?wait=-1s", `{}`, 400, "wait"},
		"52 to has capitals":        {sw, `{"to":"DB2"}`, 400, "name"},
		"52 to is too long":         {sw, `{"to":"` + strings.Repeat("a", 300) + `"}`, 400, "name"},
		"52 to has NUL":             {sw, `{"to":"db\u0000"}`, 400, "name"},
		"52 to is a homoglyph":      {sw, `{"to":"dЬ2"}`, 400, "name"},
		"52 newline in a reason":    {sw, `{"reason":"a\nb"}`, 400, "U+000A"},
		"52 override in a reason":   {sw, `{"reason":"a\u202eb"}`, 400, "U+202E"},
		"52 long reason":            {sw, `{"reason":"` + strings.Repeat("a", 501) + `"}`, 400, "at most 500"},
		"52 database ..":            {"/v1/databases/%2e%2e/switchover", `{}`, 400, "name"},
		"52 database with slash":    {"/v1/databases/a%2fb/switchover", `{}`, 400, "name"},
		"52 database with NUL":      {"/v1/databases/a%00/switchover", `{}`, 400, "name"},
		"unknown parameter":         {sw + "?wiat=1s", `{}`, 400, "wiat"},
		"parameter twice":           {sw + "?wait=1s&wait=2s", `{}`, 400, "wait"},
		"stale on a change":         {sw + "?stale", `{}`, 400, "stale"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.raw(op, "POST", c.target, c.body, "Content-Type", "application/json")
			if a.status != c.status || !strings.Contains(a.problem.Detail, c.detail) {
				t.Errorf("%d %.300s\nwant %d with %q", a.status, a.body, c.status, c.detail)
			}
		})
	}
	t.Run("media type", func(t *testing.T) {
		if a := r.raw(op, "POST", sw, `{}`, "Content-Type", "text/plain"); a.status != 415 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("59 another site's page", func(t *testing.T) {
		for _, h := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
			if a := r.raw(op, "POST", sw, `{}`, "Content-Type", "application/json", h[0], h[1]); a.status != 403 {
				t.Errorf("%v: %d %s", h, a.status, a.body)
			}
		}
	})
	if d, _ := r.node("s1").State().Database("orders"); d.Epoch != 1 {
		t.Errorf("a refused request changed the epoch to %d", d.Epoch)
	}
}

// Its own server: to be short of time must not happen to the other bodies.
func TestABodyThatNeverEndsIsRefused(t *testing.T) {
	r := start(t, func(c *server.Config) { c.BodyTime = 50 * time.Millisecond }, "s1")
	r.reign()
	never, pen := io.Pipe()
	defer func() { _ = pen.Close() }()
	a := raw(t, r.as(identity.RoleOperator, "alice"), "POST", r.servers["s1"].addr, "/v1/databases/orders/switchover", never,
		"Content-Type", "application/json")
	if a.status != 408 || a.problem.Code != api.CodeTooSlow {
		t.Errorf("%d %s", a.status, a.body)
	}
	if d, _ := r.node("s1").State().Database("orders"); d.Epoch != 1 {
		t.Errorf("a refused request changed the epoch to %d", d.Epoch)
	}
}

func TestErrorsKeepTheirMeaningOverTheWire(t *testing.T) {
	for _, c := range []struct {
		code   api.Code
		target error
	}{
		{api.CodeNotLeader, api.ErrNotLeader}, {api.CodeNoQuorum, api.ErrNoQuorum}, {api.CodeInDoubt, api.ErrInDoubt},
		{api.CodeStale, registry.ErrStale}, {api.CodeInvalid, registry.ErrInvalid}, {api.CodeUnknown, registry.ErrUnknown},
	} {
		if p := api.ProblemOf(c.target); p.Code != c.code {
			t.Errorf("%v travels as %s, want %s", c.target, p.Code, c.code)
		}
		if p := api.NewProblem(c.code, "", ""); p.Unwrap() != c.target || p.Title == "Internal error" {
			t.Errorf("%s means %v (%s)", c.code, p.Unwrap(), p.Title)
		}
	}
}

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/baton-db/baton/registry"
)

// ErrNotLeader says that this server does not lead: nothing was proposed, another server may be asked.
var ErrNotLeader = errors.New("not the leader")

// ErrNoQuorum says that there is no leader, or that the leader hears no majority: nothing was proposed.
var ErrNoQuorum = errors.New("no quorum")

// ErrInDoubt says that a command may or may not have been committed: read the state before asking again.
var ErrInDoubt = errors.New("outcome not known")

// Code is the stable name of an error: BT-2xxx consensus, BT-3xxx databases, BT-5xxx requests. A code is never reused.
type Code string

// The codes of this room.
const (
	CodeNotLeader Code = "BT-2101" // 503 nothing was proposed; ask another server
	CodeNoQuorum  Code = "BT-2102" // 503 nothing was proposed; nobody can answer now
	CodeLoop      Code = "BT-2103" // 508 the request came back to the server that forwarded it
	CodeInDoubt   Code = "BT-2104" // 503 it may or may not have been committed
	CodeStale     Code = "BT-2105" // 409 the world has moved on: another epoch or phase
	CodeInvalid   Code = "BT-2106" // 422 the command breaks a rule in any state
	CodeUnknown   Code = "BT-2108" // 404 the command names a thing that does not exist
	CodeCluster   Code = "BT-2109" // 409 the follower belongs to another cluster
	CodeClosing   Code = "BT-2110" // 503 this server is stopping
	CodeNoServer  Code = "BT-2111" // 404 no such server
	CodeServers   Code = "BT-2112" // 409 the servers cannot be changed so

	CodeNoDatabase   Code = "BT-3101" // 404 no such database
	CodeNoInstance   Code = "BT-3110" // 404 no such replica
	CodeIsPrimary    Code = "BT-3111" // 409 it is primary already
	CodeElecting     Code = "BT-3112" // 409 an election is under way
	CodeSilent       Code = "BT-3113" // 409 the replica's agent or server is not heard
	CodeNotCaughtUp  Code = "BT-3114" // 409 the replica does not hold the present epoch
	CodeLagging      Code = "BT-3115" // 409 the replica would not catch up in time
	CodeMayNotLead   Code = "BT-3116" // 409 preference never, wrong settings, or diverged
	CodeNoCandidate  Code = "BT-3117" // 409 no acker can take over
	CodePaused       Code = "BT-3118" // 409 baton is told to leave the database alone
	CodeNeverElected Code = "BT-3119" // 409 there is no primary yet
	CodeTooFew       Code = "BT-3120" // 409 too few replicas would be left to acknowledge
	CodeNotLost      Code = "BT-3121" // 409 what is said to be lost is heard
	CodeNotAway      Code = "BT-3131" // 409 the server need not be brought back, or may hold what nobody else does
	CodeTooLate      Code = "BT-3132" // 409 it cannot be brought back in this way
	CodeServes       Code = "BT-3122" // 409 the primary serves: nothing need be lost

	CodeInternal    Code = "BT-5000" // 500
	CodeMalformed   Code = "BT-5001" // 400 body, query or name
	CodeTooLarge    Code = "BT-5002" // 413
	CodeNoRoute     Code = "BT-5003" // 404
	CodeMethod      Code = "BT-5004" // 405
	CodeStranger    Code = "BT-5005" // 401 no certificate
	CodeForbidden   Code = "BT-5006" // 403 the role does not allow it
	CodeMediaType   Code = "BT-5007" // 415
	CodeTooSlow     Code = "BT-5008" // 408 the body did not arrive in time
	CodeTooMany     Code = "BT-5009" // 429 too many streams
	CodeCrossOrigin Code = "BT-5010" // 403 a browser acts for another site
)

// meaning returns the HTTP status and the title of a code.
func (c Code) meaning() (status int, title string) {
	switch c {
	case CodeNotLeader:
		return http.StatusServiceUnavailable, "This server does not lead"
	case CodeNoQuorum:
		return http.StatusServiceUnavailable, "No quorum"
	case CodeLoop:
		return http.StatusLoopDetected, "Forwarding loop"
	case CodeInDoubt:
		return http.StatusServiceUnavailable, "Outcome not known"
	case CodeStale:
		return http.StatusConflict, "The state has moved on"
	case CodeInvalid:
		return http.StatusUnprocessableEntity, "Invalid command"
	case CodeUnknown, CodeNoServer, CodeNoDatabase, CodeNoInstance, CodeNoRoute:
		return http.StatusNotFound, "Not found"
	case CodeCluster:
		return http.StatusConflict, "Another cluster"
	case CodeClosing:
		return http.StatusServiceUnavailable, "This server is stopping"
	case CodeIsPrimary, CodeElecting, CodeSilent, CodeNotCaughtUp, CodeLagging, CodeMayNotLead, CodeNoCandidate,
		CodePaused, CodeNeverElected:
		return http.StatusConflict, "Switchover refused"
	case CodeTooFew, CodeNotLost, CodeServers, CodeServes, CodeNotAway, CodeTooLate:
		return http.StatusConflict, "Change refused"
	}
	return c.requestMeaning()
}

func (c Code) requestMeaning() (status int, title string) {
	switch c {
	case CodeMalformed:
		return http.StatusBadRequest, "Malformed request"
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge, "Request too large"
	case CodeMethod:
		return http.StatusMethodNotAllowed, "Method not allowed"
	case CodeStranger:
		return http.StatusUnauthorized, "Not authenticated"
	case CodeForbidden:
		return http.StatusForbidden, "Not allowed"
	case CodeMediaType:
		return http.StatusUnsupportedMediaType, "Unsupported media type"
	case CodeTooSlow:
		return http.StatusRequestTimeout, "Request too slow"
	case CodeTooMany:
		return http.StatusTooManyRequests, "Too many streams"
	case CodeCrossOrigin:
		return http.StatusForbidden, "Cross-origin request"
	}
	return http.StatusInternalServerError, "Internal error"
}

// Problem is an error as it travels (RFC 9457). errors.Is finds ErrNotLeader, ErrNoQuorum, ErrInDoubt and registry's
// ErrStale, ErrInvalid and ErrUnknown in it by its code, also on the far side of the wire.
type Problem struct {
	Type   string          `json:"type"`
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"`
	Code   Code            `json:"code"`
	Hint   string          `json:"hint,omitempty"` // the way out
	Node   registry.NodeID `json:"node,omitempty"` // who refused
	Index  registry.Index  `json:"index"`          // the state it was refused on
	// Leader and LeaderAPI are where to go, when the server knows.
	Leader    registry.NodeID `json:"leader,omitempty"`
	LeaderAPI string          `json:"leader_api,omitempty"`
}

func (p *Problem) Error() string {
	s := fmt.Sprintf("%s (%s)", p.Detail, p.Code)
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Unwrap returns the sentinel that the code stands for, or nil.
func (p *Problem) Unwrap() error {
	switch p.Code {
	case CodeNotLeader:
		return ErrNotLeader
	case CodeNoQuorum:
		return ErrNoQuorum
	case CodeInDoubt:
		return ErrInDoubt
	case CodeStale:
		return registry.ErrStale
	case CodeInvalid:
		return registry.ErrInvalid
	case CodeUnknown, CodeNoDatabase, CodeNoInstance:
		return registry.ErrUnknown
	}
	return nil
}

// NewProblem makes a Problem; an empty hint is left out.
func NewProblem(code Code, hint, format string, args ...any) *Problem {
	status, title := code.meaning()
	return &Problem{
		Type: "urn:baton:problem:" + string(code), Title: title, Status: status,
		Detail: fmt.Sprintf(format, args...), Code: code, Hint: hint,
	}
}

// ProblemOf turns any error into a Problem of its own, safe to change.
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		own := *p
		return &own
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return NewProblem(CodeTooLarge, "", "the body is larger than %d bytes", MaxBody)
	}
	for _, k := range []struct {
		target error
		code   Code
		hint   string
	}{
		{ErrInDoubt, CodeInDoubt, "look at the state before asking again"},
		{ErrNotLeader, CodeNotLeader, "ask again, or ask the leader"},
		{ErrNoQuorum, CodeNoQuorum, "ask again, or read with ?stale"},
		{registry.ErrStale, CodeStale, "look at the state and ask again"},
		{registry.ErrInvalid, CodeInvalid, ""},
		{registry.ErrUnknown, CodeUnknown, ""},
		{os.ErrDeadlineExceeded, CodeTooSlow, ""},
		{context.DeadlineExceeded, CodeNoQuorum, "ask again, or read with ?stale"},
	} {
		if errors.Is(err, k.target) {
			return NewProblem(k.code, k.hint, "%v", err)
		}
	}
	return NewProblem(CodeInternal, "", "%v", err)
}

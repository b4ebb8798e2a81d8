package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// maxWait is the longest a switchover may be waited for.
const maxWait = time.Minute

// heardWithin is how old a report may be whose instance counts as heard; several come in every second.
const heardWithin = 2 * time.Second

// SwitchoverRequest asks for a planned hand-over.
type SwitchoverRequest struct {
	To     registry.InstanceID `json:"to,omitempty"`     // empty: the best acker
	Reason string              `json:"reason,omitempty"` // for the history: one line
}

// Outcome says how a switchover ended.
type Outcome string

// The outcomes.
const (
	OutcomeRunning Outcome = "running" // accepted; nobody waited for the end
	OutcomeDone    Outcome = "done"    // To is primary
	OutcomeUndone  Outcome = "undone"  // From is primary again
	OutcomeOther   Outcome = "other"   // somebody else is
)

// SwitchoverResult says what became of a switchover. Status 202 goes with OutcomeRunning, 200 with the others.
type SwitchoverResult struct {
	Meta     Meta                  `json:"-"`
	Database registry.DatabaseName `json:"database"`
	From     registry.InstanceID   `json:"from"`
	To       registry.InstanceID   `json:"to"`
	Epoch    registry.Epoch        `json:"epoch"` // the one that began
	Index    registry.Index        `json:"index"` // of the command that began it
	Outcome  Outcome               `json:"outcome"`
	Primary  registry.InstanceID   `json:"primary,omitempty"` // now
	Phase    registry.Phase        `json:"phase"`             // now
	Detail   string                `json:"detail,omitempty"`  // why it stands where it stands
	Timings  Timings               `json:"timings"`
}

// Timings are milliseconds since the request was accepted, by the clock of the server that answers; 0: not seen. A
// phase that passed between two looks is not seen.
type Timings struct {
	Revoked   float64 `json:"revoked_ms,omitempty"`   // the name is withdrawn
	Promoting float64 `json:"promoting_ms,omitempty"` // the winner is elected
	Serving   float64 `json:"serving_ms,omitempty"`   // the name is published again
}

// switchover ends the present reign in favour of a replica that can take over now, or says exactly why not (G10).
func (s *Server) switchover(c *call) (any, error) {
	req, err := s.switchoverRequest(c)
	if err != nil {
		return nil, err
	}
	if err := s.barrier(c.r.Context()); err != nil {
		return nil, err
	}
	d, err := s.find(c)
	if err != nil {
		return nil, err
	}
	to, err := successor(d, s.cfg.Backend.View(d.Name), req.To)
	if err != nil {
		return nil, err
	}
	detail := "by " + c.peer.String()
	if req.Reason != "" {
		detail += ": " + req.Reason
	}
	start := time.Now()
	index, err := s.commit(c.r.Context(), &registry.Revoke{
		Database: d.Name, Epoch: d.Epoch + 1, To: to, AtMillis: start.UnixMilli(),
		Cause: registry.Cause{Code: "Switchover", Detail: detail},
	})
	if err != nil {
		return nil, err
	}
	res := SwitchoverResult{Database: d.Name, From: d.Primary, To: to, Epoch: d.Epoch + 1, Index: index}
	res.Timings.Revoked = since(start)
	s.await(c, start, &res)
	if res.Outcome == OutcomeRunning {
		c.status = 202
	}
	return res, nil
}

func (s *Server) switchoverRequest(c *call) (SwitchoverRequest, error) {
	var req SwitchoverRequest
	if err := c.mediaType("application/json"); err != nil {
		return req, err
	}
	b, err := s.body(c)
	if err != nil {
		return req, err
	}
	if err := strictJSON(b, &req); err != nil {
		return req, err
	}
	if req.To != "" {
		if err := registry.ValidName(string(req.To)); err != nil {
			return req, problem(CodeMalformed, "", "to: %v", err)
		}
	}
	return req, checkText("reason", req.Reason)
}

// await looks until somebody serves in the new epoch or a later one, or the wait is over.
func (s *Server) await(c *call, start time.Time, res *SwitchoverResult) {
	ctx, cancel := context.WithTimeout(c.r.Context(), c.wait)
	defer cancel()
	for {
		changed := s.cfg.Backend.Changed()
		d, ok := s.state(c).Database(res.Database)
		if !ok {
			return
		}
		res.look(d, start)
		if res.Outcome != OutcomeRunning {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-c.closing().Done():
			return
		}
	}
}

// look takes over where d stands now.
func (r *SwitchoverResult) look(d *registry.Database, start time.Time) {
	r.Outcome, r.Primary, r.Phase, r.Detail = OutcomeRunning, d.Primary, d.Phase, d.Why()
	if d.Epoch < r.Epoch {
		return
	}
	if d.Phase == registry.Promoting && r.Timings.Promoting == 0 {
		r.Timings.Promoting = since(start)
	}
	if d.Phase != registry.Serving {
		return
	}
	r.Timings.Serving = since(start)
	switch d.Primary {
	case r.To:
		r.Outcome = OutcomeDone
	case r.From:
		r.Outcome = OutcomeUndone
	default:
		r.Outcome = OutcomeOther
	}
}

// since is the time since start in milliseconds with one decimal, never 0.
func since(start time.Time) float64 {
	return max(0.1, math.Round(time.Since(start).Seconds()*1e4)/10)
}

// successor checks the wanted winner, or chooses the best acker when none is wanted.
func successor(d *registry.Database, view health.View, to registry.InstanceID) (registry.InstanceID, error) {
	if err := reigning(d); err != nil {
		return "", err
	}
	if to != "" {
		if err := obstacle(d, view, to); err != nil {
			return "", err
		}
		return to, nil
	}
	var fit []registry.InstanceID
	var refused []string
	for _, a := range d.Ackers {
		if err := obstacle(d, view, a); err != nil {
			refused = append(refused, err.Detail)
			continue
		}
		fit = append(fit, a)
	}
	if len(fit) == 0 {
		return "", problem(CodeNoCandidate, "remove what stands in the way of one of them", "no acker of %s can take over: %s",
			d.Name, strings.Join(refused, "; "))
	}
	return slices.MinFunc(fit, func(a, b registry.InstanceID) int { return better(d, view, a, b) }), nil
}

// better orders by preference, then by how far behind, then by id.
func better(d *registry.Database, view health.View, a, b registry.InstanceID) int {
	ma, _ := d.Member(a)
	mb, _ := d.Member(b)
	ra, rb := view[a].Replication, view[b].Replication
	return cmp.Or(cmp.Compare(ma.Preference.Rank(), mb.Preference.Rank()),
		cmp.Compare(ra.LagSeconds, rb.LagSeconds), cmp.Compare(ra.SilenceMillis, rb.SilenceMillis), cmp.Compare(a, b))
}

// reigning says why the reign of d cannot be handed over at all, or nil.
func reigning(d *registry.Database) error {
	switch {
	case d.Interregnum():
		return problem(CodeElecting, "wait until it serves again", "an election of %s is under way: %s", d.Name, d.Why())
	case d.Phase != registry.Serving:
		return problem(CodeNeverElected, "start the expected members", "%s: %s", d.Name, d.Why())
	case d.Policy.Paused:
		return problem(CodePaused, "resume the database first", "%s is paused: nothing would elect a new primary", d.Name)
	}
	return nil
}

// obstacle says why id cannot take over from the primary of d now and what would have to change, or nil.
func obstacle(d *registry.Database, view health.View, id registry.InstanceID) *Problem {
	m, ok := d.Member(id)
	h, heard := view[id]
	r := h.Replication
	switch {
	case !ok:
		return problem(CodeNoInstance, "its members: "+memberIDs(d), "%s has no replica %s", d.Name, id)
	case id == d.Primary:
		return problem(CodeIsPrimary, "nothing is to be done", "%s is the primary of %s already, in epoch %d", id, d.Name, d.Epoch)
	case m.Preference == registry.Never:
		return problem(CodeMayNotLead, "give it another preference", "%s has preference never", id)
	case !heard:
		return problem(CodeSilent, "start baton on "+string(m.Node), "%s has not reported to this server", id)
	case h.Age > heardWithin:
		return problem(CodeSilent, "look at baton on "+string(m.Node), "%s last reported %s ago", id, h.Age.Round(time.Millisecond))
	case h.Process != health.ProcessRunning || h.UnreachableMillis > 0:
		return problem(CodeSilent, "start the database server", "the server of %s does not answer: process %s, %s", id, h.Process, h.ServerError)
	case h.Guard.Diverged != "":
		return problem(CodeMayNotLead, "clone it anew", "%s has transactions that the primary lacks: %.100s", id, h.Guard.Diverged)
	case r == nil || r.Receiver != "running" || !r.Applier:
		return problem(CodeNotCaughtUp, "see its replication error", "%s does not replicate: %s", id, replicationState(r))
	case h.Guard.Follows != d.Epoch || !h.Guard.CaughtUp:
		return problem(CodeNotCaughtUp, "wait until it has caught up", "%s has not caught up with %s in epoch %d", id, d.Primary, d.Epoch)
	case r.LagSeconds < 0 || r.LagSeconds > d.Policy.SwitchoverSeconds:
		return problem(CodeLagging, "wait until it has caught up, or allow more switchover_seconds",
			"%s is %s behind, at most %d s can be made up", id, lag(r.LagSeconds), d.Policy.SwitchoverSeconds)
	}
	for _, f := range h.Findings {
		if f.Fatal {
			return problem(CodeMayNotLead, f.Fix, "%s may not lead: %s is %s, want %s (%s)", id, f.Setting, f.Have, f.Want, f.Code)
		}
	}
	return nil
}

func memberIDs(d *registry.Database) string {
	var ids []string
	for _, m := range d.Members {
		ids = append(ids, string(m.ID))
	}
	return strings.Join(ids, ", ")
}

func replicationState(r *health.Replication) string {
	if r == nil {
		return "no source is set"
	}
	return fmt.Sprintf("receiver %s, applier running %t, %s", r.Receiver, r.Applier, r.Error)
}

func lag(seconds int) string {
	if seconds < 0 {
		return "an unknown time"
	}
	return fmt.Sprintf("%d s", seconds)
}

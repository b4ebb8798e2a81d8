package server

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/strict"
	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/registry"
)

// maxWait is the longest a switchover may be waited for.
const maxWait = time.Minute

// maxText is the longest free text an operator may give, in bytes.
const maxText = 500

// heardWithin is how old a report may be whose instance counts as heard; several come in every second.
const heardWithin = 2 * time.Second

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
	res := api.SwitchoverResult{Database: d.Name, From: d.Primary, To: to, Epoch: d.Epoch + 1, Index: index}
	res.Timings.Revoked = since(start)
	s.await(c, start, &res)
	if res.Outcome == api.OutcomeRunning {
		c.status = 202
	}
	return res, nil
}

func (s *Server) switchoverRequest(c *call) (api.SwitchoverRequest, error) {
	var req api.SwitchoverRequest
	if err := c.mediaType("application/json"); err != nil {
		return req, err
	}
	b, err := s.body(c)
	if err != nil {
		return req, err
	}
	if err := strict.Unmarshal(b, &req); err != nil {
		return req, malformed(err)
	}
	if req.To != "" {
		if err := registry.ValidName(string(req.To)); err != nil {
			return req, api.NewProblem(api.CodeMalformed, "", "to: %v", err)
		}
	}
	return req, checkText("reason", req.Reason)
}

// checkText says why s may not stand in a history that people read on a terminal, or nil.
func checkText(what, s string) error {
	if len(s) > maxText {
		return api.NewProblem(api.CodeMalformed, "", "%s: %d bytes, at most %d", what, len(s), maxText)
	}
	for i, r := range s {
		// Not printable are controls, line breaks and the marks that reverse the direction of text.
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return api.NewProblem(api.CodeMalformed, "plain text in one line", "%s: character %U at byte %d", what, r, i)
		}
	}
	return nil
}

// await looks until somebody serves in the new epoch or a later one, or the wait is over.
func (s *Server) await(c *call, start time.Time, res *api.SwitchoverResult) {
	ctx, cancel := context.WithTimeout(c.r.Context(), c.wait)
	defer cancel()
	for {
		changed := s.cfg.Backend.Changed()
		d, ok := s.state(c).Database(res.Database)
		if !ok {
			return
		}
		look(res, d, start)
		if res.Outcome != api.OutcomeRunning {
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
func look(r *api.SwitchoverResult, d *registry.Database, start time.Time) {
	r.Outcome, r.Primary, r.Phase, r.Detail = api.OutcomeRunning, d.Primary, d.Phase, d.Why()
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
		r.Outcome = api.OutcomeDone
	case r.From:
		r.Outcome = api.OutcomeUndone
	default:
		r.Outcome = api.OutcomeOther
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
		return "", api.NewProblem(api.CodeNoCandidate, "remove what stands in the way of one of them", "no acker of %s can take over: %s",
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
		return api.NewProblem(api.CodeElecting, "wait until it serves again", "an election of %s is under way: %s", d.Name, d.Why())
	case d.Phase != registry.Serving:
		return api.NewProblem(api.CodeNeverElected, "start the expected members", "%s: %s", d.Name, d.Why())
	case d.Policy.Paused:
		return api.NewProblem(api.CodePaused, "resume the database first", "%s is paused: nothing would elect a new primary", d.Name)
	}
	return nil
}

// obstacle says why id cannot take over from the primary of d now and what would have to change, or nil.
func obstacle(d *registry.Database, view health.View, id registry.InstanceID) *api.Problem {
	m, ok := d.Member(id)
	h := view[id]
	r := h.Replication
	switch {
	case !ok:
		return api.NewProblem(api.CodeNoInstance, "its members: "+memberIDs(d), "%s has no replica %s", d.Name, id)
	case id == d.Primary:
		return api.NewProblem(api.CodeIsPrimary, "nothing is to be done", "%s is the primary of %s already, in epoch %d", id, d.Name, d.Epoch)
	case m.Preference == registry.Never:
		return api.NewProblem(api.CodeMayNotLead, "give it another preference", "%s has preference never", id)
	case !h.Ever():
		return api.NewProblem(api.CodeSilent, "start baton on "+string(m.Node), "%s has not reported to this server", id)
	case h.Age > heardWithin:
		return api.NewProblem(api.CodeSilent, "look at baton on "+string(m.Node), "%s last reported %s ago", id, h.Age.Round(time.Millisecond))
	case h.Process != health.ProcessRunning || h.UnreachableMillis > 0:
		return api.NewProblem(api.CodeSilent, "start the database server", "the server of %s does not answer: process %s, %s", id, h.Process, h.ServerError)
	case h.Guard.Diverged != "":
		return api.NewProblem(api.CodeMayNotLead, "clone it anew", "%s has transactions that the primary lacks: %.100s", id, h.Guard.Diverged)
	case r == nil || r.Receiver != "running" || !r.Applier:
		return api.NewProblem(api.CodeNotCaughtUp, "see its replication error", "%s does not replicate: %s", id, replicationState(r))
	case h.Guard.Follows != d.Epoch || !h.Guard.CaughtUp:
		return api.NewProblem(api.CodeNotCaughtUp, "wait until it has caught up", "%s has not caught up with %s in epoch %d", id, d.Primary, d.Epoch)
	case r.LagSeconds < 0:
		return api.NewProblem(api.CodeLagging, "see its replication status", "it is not known how far %s is behind", id)
	case r.LagSeconds > d.Policy.SwitchoverSeconds:
		return api.NewProblem(api.CodeLagging, "wait until it has caught up, or allow more switchover_seconds",
			"%s is %d s behind, at most %d s can be made up", id, r.LagSeconds, d.Policy.SwitchoverSeconds)
	}
	for _, f := range h.Findings {
		if f.Fatal {
			return api.NewProblem(api.CodeMayNotLead, f.Fix, "%s may not lead: %s is %s, want %s (%s)", id, f.Setting, f.Have, f.Want, f.Code)
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

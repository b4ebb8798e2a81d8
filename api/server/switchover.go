package server

import (
	"context"
	"math"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/registry"
)

// maxWait is the longest a switchover may be waited for.
const maxWait = time.Minute

// maxText is the longest free text an operator may give, in bytes.
const maxText = 500

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
	to, err := operate.Successor(d, s.cfg.Backend.View(d.Name), req.To)
	if err != nil {
		return nil, err
	}
	detail := "by " + c.peer.String()
	if req.Reason != "" {
		detail += ": " + req.Reason
	}
	start := time.Now()
	index, err := s.commit(c.r.Context(), handOver(d, to, registry.Cause{Code: "Switchover", Detail: detail}, start))
	if err != nil {
		return nil, err
	}
	res := api.SwitchoverResult{Database: d.Name, From: d.Primary, To: to, Epoch: d.Epoch + 1, Index: index}
	s.await(c, start, &res)
	if res.Outcome == api.OutcomeRunning {
		c.status = 202
	}
	return res, nil
}

// handOver is the command with which a hand-over begins: where replicas can be moved before the outage it is prepared, and
// the leader goes on from there.
func handOver(d *registry.Database, to registry.InstanceID, why registry.Cause, now time.Time) registry.Command {
	if d.Change == nil && len(d.Movers(to)) > 0 {
		return &registry.Prepare{Database: d.Name, Epoch: d.Epoch, To: to, Cause: why, AtMillis: now.UnixMilli()}
	}
	return &registry.Revoke{Database: d.Name, Epoch: d.Epoch + 1, To: to, Cause: why, AtMillis: now.UnixMilli()}
}

func (s *Server) switchoverRequest(c *call) (api.SwitchoverRequest, error) {
	var req api.SwitchoverRequest
	if err := s.wish(c, &req, &req.Reason); err != nil {
		return req, err
	}
	if req.To != "" {
		if err := registry.ValidName(string(req.To)); err != nil {
			return req, api.NewProblem(api.CodeMalformed, "", "to: %v", err)
		}
	}
	return req, nil
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
		state := s.state(c)
		d, ok := state.Database(res.Database)
		if !ok {
			return
		}
		if state.Index() >= res.Index { // what this server saw before says nothing of it
			look(res, d, start)
		}
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
		if d.Handover == nil {
			r.Outcome = api.OutcomeUndone
		}
		return
	}
	if r.Timings.Revoked == 0 {
		r.Timings.Revoked = since(start)
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

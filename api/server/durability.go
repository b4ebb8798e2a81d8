package server

import (
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/registry"
)

// durability changes the policy, and waits for the leader to carry it out.
func (s *Server) durability(c *call) (any, error) {
	var req api.DurabilityRequest
	d, err := s.order(c, &req)
	if err != nil {
		return nil, err
	}
	command, err := operate.Durability(d, req)
	if err != nil {
		return nil, err
	}
	index, err := s.commit(c.r.Context(), command)
	if err != nil {
		return nil, err
	}
	res := api.DurabilityResult{Database: d.Name, Index: index, Outcome: api.OutcomeRunning}
	s.until(c, d.Name, func(d *registry.Database) bool {
		res.Wanted, res.WhenAlone, res.Durability, res.Detail = registry.Lossless, registry.Block, d.Durability, d.Refusal.String()
		if d.Policy.Async() {
			res.Wanted = registry.Async
		}
		if d.Policy.Degrades() {
			res.WhenAlone = registry.Yield
		}
		if operate.Durable(d) {
			res.Outcome, res.Detail = api.OutcomeDone, ""
		}
		return res.Outcome == api.OutcomeDone
	})
	if res.Outcome == api.OutcomeRunning {
		c.status = 202
	}
	return res, nil
}

// promote accepts a loss, and waits until somebody reigns; or it says what would be lost.
func (s *Server) promote(c *call) (any, error) {
	var req api.PromoteRequest
	d, err := s.order(c, &req)
	if err != nil {
		return nil, err
	}
	for what, text := range map[string]string{"reason": req.Reason, "by": req.By} {
		if err := checkText(what, text); err != nil {
			return nil, err
		}
	}
	view := s.cfg.Backend.View(d.Name)
	command, err := operate.Promote(d, view, req, c.peer.String())
	if err != nil {
		return nil, err
	}
	res := api.PromoteResult{Database: d.Name, From: d.Former, Epoch: d.Epoch, Outcome: api.OutcomePlan, Phase: d.Phase, Detail: d.Why()}
	if d.Phase == registry.Serving {
		res.From = d.Primary
	}
	res.Losses, res.Unheard = operate.Losses(d, view)
	if req.Plan {
		return res, nil
	}
	command.AtMillis = time.Now().UnixMilli()
	if res.Index, err = s.commit(c.r.Context(), command); err != nil {
		return nil, err
	}
	res.Outcome = api.OutcomeRunning
	s.until(c, d.Name, func(d *registry.Database) bool {
		res.Primary, res.Phase, res.Detail = d.Primary, d.Phase, d.Why()
		if d.Loss != nil && d.Loss.Epoch > res.Epoch || d.Loss != nil && d.Loss.Epoch == d.Epoch {
			res.Lost = d.Loss.Known
		}
		if d.Phase == registry.Serving {
			res.Outcome = api.OutcomeDone
		}
		return d.Phase == registry.Serving
	})
	if res.Outcome == api.OutcomeRunning {
		c.status = 202
	}
	return res, nil
}

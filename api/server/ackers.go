package server

import (
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/registry"
)

// ackers records a wish about whose acknowledgements count, and waits for the leader to carry it out.
func (s *Server) ackers(c *call) (any, error) {
	var req api.AckersRequest
	if err := s.wish(c, &req, &req.Reason); err != nil {
		return nil, err
	}
	if req.Remove != "" {
		if err := registry.ValidName(string(req.Remove)); err != nil {
			return nil, api.NewProblem(api.CodeMalformed, "", "remove: %v", err)
		}
	}
	if err := s.barrier(c.r.Context()); err != nil {
		return nil, err
	}
	d, err := s.find(c)
	if err != nil {
		return nil, err
	}
	command, err := operate.Ackers(d, s.cfg.Backend.View(d.Name), req, c.peer.String())
	if err != nil {
		return nil, err
	}
	if leave, ok := command.(*registry.Leave); ok {
		leave.AtMillis = time.Now().UnixMilli()
	}
	index, err := s.commit(c.r.Context(), command)
	if err != nil {
		return nil, err
	}
	res := api.AckersResult{Database: d.Name, Index: index, Outcome: api.OutcomeRunning}
	s.carry(c, req, &res)
	if res.Outcome == api.OutcomeRunning {
		c.status = 202
	}
	return res, nil
}

// carry looks until the wish is carried out or the wait is over.
func (s *Server) carry(c *call, req api.AckersRequest, res *api.AckersResult) {
	s.until(c, res.Database, func(d *registry.Database) bool {
		res.Ackers, res.K, res.Detail = d.Ackers, d.K, d.Refusal.String()
		if operate.Carried(d, req) {
			res.Outcome = api.OutcomeDone
		}
		return res.Outcome == api.OutcomeDone
	})
}

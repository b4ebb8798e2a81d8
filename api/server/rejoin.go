package server

import (
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/registry"
)

// rejoin records how a server is to be brought back; its own node carries it out.
func (s *Server) rejoin(c *call) (any, error) {
	var req api.RejoinRequest
	if err := s.wish(c, &req, &req.Reason); err != nil {
		return nil, err
	}
	if err := registry.ValidName(string(req.Instance)); err != nil {
		return nil, api.NewProblem(api.CodeMalformed, "", "instance: %v", err)
	}
	if err := s.barrier(c.r.Context()); err != nil {
		return nil, err
	}
	d, err := s.find(c)
	if err != nil {
		return nil, err
	}
	command, err := operate.Rejoin(d, s.cfg.Backend.View(d.Name), req, c.peer.String())
	if err != nil {
		return nil, err
	}
	command.AtMillis = time.Now().UnixMilli()
	index, err := s.commit(c.r.Context(), command)
	if err != nil {
		return nil, err
	}
	return api.RejoinResult{Database: d.Name, Instance: req.Instance, How: req.How, Epoch: d.Epoch, Index: index}, nil
}

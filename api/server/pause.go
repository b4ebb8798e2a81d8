package server

import (
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
)

// pause leaves a database alone, or no longer.
func (s *Server) pause(c *call) (any, error) {
	var req api.PauseRequest
	d, err := s.order(c, &req)
	for what, text := range map[string]string{"reason": req.Reason, "by": req.By} {
		if err == nil {
			err = checkText(what, text)
		}
	}
	if err != nil {
		return nil, err
	}
	res := api.PauseResult{Database: d.Name, Paused: d.Policy.Paused, Pause: d.Pause}
	if command := operate.Pause(d, req, c.peer.String()); command != nil {
		command.AtMillis = time.Now().UnixMilli()
		if res.Index, err = s.commit(c.r.Context(), command); err != nil {
			return nil, err
		}
		res.Paused = command.Paused
		if now, ok := s.state(c).Database(d.Name); ok {
			res.Paused, res.Pause = now.Policy.Paused, now.Pause
		}
	}
	return res, nil
}

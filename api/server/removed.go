package server

import (
	"context"
	"time"

	"github.com/baton-db/baton/api/operate"
	"github.com/baton-db/baton/registry"
)

// removalsEvery is the pause between two looks when nothing changes and nothing is left to do.
const removalsEvery = 10 * time.Second

// FinishRemovals forgets the names of servers whose votes a former leader has taken (G5), until ctx ends. Who leads is inside
// it: with the name registered and the votes gone the server could not come back.
func (s *Server) FinishRemovals(ctx context.Context) {
	for ctx.Err() == nil {
		changed, wait := s.cfg.Backend.Changed(), removalsEvery
		if err := s.finishRemovals(ctx); err != nil {
			wait = time.Second
			s.cfg.Log.Debug("a removal is not finished", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(wait):
		}
	}
}

func (s *Server) finishRemovals(ctx context.Context) error {
	if len(operate.Removed(s.cfg.Backend.State(), s.cfg.Backend.Raft().Peers)) == 0 {
		return nil
	}
	if err := s.barrier(ctx); err != nil { // what is in the log already need not be done
		return err
	}
	for _, id := range operate.Removed(s.cfg.Backend.State(), s.cfg.Backend.Raft().Peers) {
		if _, err := s.commit(ctx, &registry.RemoveNode{ID: id}); err != nil {
			return err
		}
		s.cfg.Log.Info("the removal of a server is finished", "server", id)
	}
	return nil
}

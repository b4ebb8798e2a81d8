package discovery

import "context"

func (g *Gossip) FollowLogs(ctx context.Context) { g.logs.follow(ctx, g.cfg.Log) }

// TakeUrgent says whether there is urgent news, and takes the mark away.
func (g *Gossip) TakeUrgent() bool {
	select {
	case <-g.urgent:
		return true
	default:
		return false
	}
}

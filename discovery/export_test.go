package discovery

import "context"

func (g *Gossip) FollowLogs(ctx context.Context) { g.logs.follow(ctx, g.cfg.Log) }

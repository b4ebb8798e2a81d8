package agent

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/baton-db/baton/agent/standing"
	"github.com/baton-db/baton/raft"
)

// founders are the first voters, as the configuration names them, or nobody when the cluster is there already and this
// server has to be added to it. A server that the others know, and that has nothing, is refused: a majority that it
// helped to could exist a second time without it remembering.
func (a *Agent) founders() ([]raft.Server, error) {
	configured := make([]raft.Server, 0, len(a.cfg.Servers))
	var others []string
	for _, s := range a.cfg.Servers {
		configured = append(configured, raft.Server{ID: s.Node, Addr: s.API})
		if s.Node != a.cfg.Node {
			others = append(others, s.API)
		}
	}
	dir := filepath.Join(a.cfg.DataDir, "raft")
	if begun, err := raft.Begun(dir, a.votedMark()); begun || err != nil {
		return configured, err // what is there is for raft to judge
	}
	switch is, by := standing.Of(context.Background(), a.cfg.Node, others, a.client); is { // it bounds itself
	case standing.Lost:
		return nil, fmt.Errorf("%s is empty, and %s knows this node as a server of cluster %s that has voted: it must not vote again without its memory. "+
			"Put %s back as it was when baton stopped last. If it is gone: baton server remove %s (at %s), start this node, and baton server add %s %s",
			dir, by, a.cfg.Cluster, a.cfg.DataDir, a.cfg.Node, by, a.cfg.Node, a.cfg.API)
	case standing.Stranger:
		a.log.Warn("the cluster is there already, and this node is no server of it yet; it waits to be added",
			"run", fmt.Sprintf("baton server add %s %s", a.cfg.Node, a.cfg.API), "at", by)
		return nil, nil
	}
	return configured, nil
}

// votedMark is the file outside the directory of the votes that says that there are some.
func (a *Agent) votedMark() string { return filepath.Join(a.cfg.DataDir, "voter") }

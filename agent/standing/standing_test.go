package standing_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/baton-db/baton/agent/standing"
	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// servers answer by address; one that is not there answers when the question is given up.
type servers map[string]api.Status

func (s servers) StatusAt(ctx context.Context, addr string) (api.Status, error) {
	if st, ok := s[addr]; ok {
		return st, nil
	}
	<-ctx.Done()
	return api.Status{}, errors.Join(errors.New("nobody"), ctx.Err())
}

func knows(who registry.NodeID, term uint64, applied registry.Index, members ...api.RaftPeer) api.Status {
	return api.Status{Node: who, Raft: api.RaftStatus{Term: term, Applied: applied, Peers: members}}
}

func TestTheNewestAnswerSaysWhatAServerIs(t *testing.T) {
	n1, n2 := api.RaftPeer{Node: "n1", Voter: true, Registered: true}, api.RaftPeer{Node: "n2", Voter: true, Registered: true}
	late, n3 := api.RaftPeer{Node: "n3", Voter: true}, api.RaftPeer{Node: "n3", Voter: true, Registered: true}
	for name, c := range map[string]struct {
		others servers
		want   standing.Standing
		by     registry.NodeID
	}{
		"nobody answers":            {nil, standing.Founding, ""},
		"others begin, too":         {servers{"a": knows("n1", 0, 0)}, standing.Founding, "n1"},
		"it is late":                {servers{"a": knows("n1", 2, 9, n1, n2, late)}, standing.Founding, "n1"},
		"it has been there":         {servers{"a": knows("n1", 2, 9, n1, n2, n3)}, standing.Lost, "n1"},
		"it was removed":            {servers{"a": knows("n1", 2, 9, n1, n2)}, standing.Stranger, "n1"},
		"one has not heard of that": {servers{"a": knows("n1", 2, 9, n1, n2, n3), "b": knows("n2", 2, 10, n1, n2)}, standing.Stranger, "n2"},
		"one is of an older term":   {servers{"a": knows("n1", 1, 30, n1, n2, n3), "b": knows("n2", 2, 10, n1, n2)}, standing.Stranger, "n2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got, by := standing.Of(t.Context(), "n3", []string{"a", "b"}, c.others); got != c.want || by != c.by {
					t.Errorf("standing %d by %q, want %d by %q", got, by, c.want, c.by)
				}
			})
		})
	}
}

package agent

import (
	"errors"
	"fmt"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/raft"
)

func TestALostBarrierLeavesNothingInDoubt(t *testing.T) {
	lost := fmt.Errorf("barrier: %w", fmt.Errorf("%w: leadership lost", raft.ErrUncertain))
	if err := barrierError(lost); !errors.Is(err, api.ErrNotLeader) || errors.Is(err, api.ErrInDoubt) {
		t.Errorf("a barrier that was lost is %v: a reader could not go to the next leader", err)
	}
	if err := raftError(lost); !errors.Is(err, api.ErrInDoubt) {
		t.Errorf("a command that was lost is %v: it may be committed", err)
	}
	if err := barrierError(nil); err != nil {
		t.Error(err)
	}
}

package agent

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"

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

// A child between fork and exec holds a copy of every socket for a moment.
func TestAPortThatNobodyHoldsIsWaitedFor(t *testing.T) {
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		return l.Addr().String()
	}()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		_, err := listen(func(string, string) (net.Listener, error) {
			if tries++; tries < 4 {
				return nil, fmt.Errorf("listen: %w", syscall.EADDRINUSE)
			}
			return nil, nil
		}, free)
		if err != nil || tries != 4 {
			t.Errorf("tried %d times: %v", tries, err)
		}
		tries = -1 << 30
		if _, err := listen(func(string, string) (net.Listener, error) { tries++; return nil, syscall.EADDRINUSE }, free); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a port that stays in use is %v", err)
		}
	})
	l, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	tries := 0
	if _, err := listen(func(network, addr string) (net.Listener, error) { tries++; return net.Listen(network, addr) }, free); err == nil || tries != 1 {
		t.Errorf("a port that somebody holds is tried %d times: %v", tries, err)
	}
}

package raft

import (
	"context"
	"errors"
	"fmt"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/baton-db/baton/registry"
	"github.com/baton-db/baton/registry/codec"
)

// call runs f on its own goroutine, which Close waits for; it reports whether it did.
func (r *Replica) call(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing || r.failure != nil {
		return false
	}
	r.waiting++
	r.calls.Go(func() {
		f()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiting--
	})
	return true
}

// await runs f, which waits for the vendor, until it returns, ctx ends or the replica fails.
func (r *Replica) await(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	if !r.call(func() { done <- f() }) {
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
	case <-r.broken:
		return fmt.Errorf("%w: %w", ErrUncertain, ErrClosed)
	}
}

// remaining is how long ctx lasts, for the vendor, to which 0 means for ever.
func remaining(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(deadline), 1)
}

// ours translates the vendor's errors.
func ours(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, hraft.ErrNotLeader), errors.Is(err, hraft.ErrLeadershipTransferInProgress):
		return ErrNotLeader
	case errors.Is(err, hraft.ErrEnqueueTimeout):
		return context.DeadlineExceeded
	case errors.Is(err, hraft.ErrRaftShutdown):
		return fmt.Errorf("%w: %w", ErrUncertain, ErrClosed)
	}
	return fmt.Errorf("%w: %w", ErrUncertain, err)
}

// Propose commits a command and returns its index once this server has applied it. The error is the command's own
// (registry.ErrStale, registry.ErrInvalid) when Apply refused it, ErrNotLeader when it was not proposed here, and
// ErrUncertain when it may or may not be committed, in particular when ctx ends first.
//
// An urgent command is followed at once by an empty entry: followers learn that an entry is committed with the message
// after it, so that they apply within a round trip instead of when the leader next has something to say.
func (r *Replica) Propose(ctx context.Context, c registry.Command) (registry.Index, error) {
	b, err := codec.Encode(c)
	if err != nil {
		return 0, err
	}
	var index registry.Index
	err = r.await(ctx, func() error {
		f := r.raft.Apply(b, remaining(ctx))
		if err := f.Error(); err != nil {
			return ours(err)
		}
		index = registry.Index(f.Index())
		if err := f.Response().(outcome).err; err != nil {
			return err
		}
		if c.Urgent() {
			r.call(func() { r.raft.Barrier(r.config.Timing.RPC) })
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("propose %T: %w", c, err)
	}
	return index, nil
}

// Barrier returns once this server, as the leader, has applied everything that was committed before the call: State is
// then as new as any read that began earlier, anywhere. It goes through the log, because the vendor's VerifyLeader accepts
// answers to heartbeats sent before the question and was measured stale under pauses.
func (r *Replica) Barrier(ctx context.Context) error {
	err := r.await(ctx, func() error {
		if err := r.raft.Barrier(remaining(ctx)).Error(); err != nil {
			return ours(err)
		}
		select {
		case <-r.broken: // the machine may have halted before the barrier
			return ErrClosed
		default:
			return nil
		}
	})
	if err != nil {
		return fmt.Errorf("barrier: %w", err)
	}
	return nil
}

// Snapshot writes a snapshot now, unless there is nothing new since the last.
func (r *Replica) Snapshot(ctx context.Context) error {
	err := r.await(ctx, func() error { return r.raft.Snapshot().Error() })
	if err != nil && !errors.Is(err, hraft.ErrNothingNewToSnapshot) {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

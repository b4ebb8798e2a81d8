package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// part is something that runs until its context ends. Returning earlier, with or without an error, ends the node.
type part struct {
	name string
	run  func(context.Context) error
}

// errEnded is why a node stops when a part of it ended without an error.
var errEnded = errors.New("ended by itself")

// runParts starts the parts in order and waits until ctx ends or one of them does. Then it stops them one by one in
// reverse order, so that nothing runs without what it was started on top of. The error is that of the part that ended
// first; errors on the way down are logged.
func runParts(ctx context.Context, log *slog.Logger, parts []part) error {
	var all sync.WaitGroup
	defer all.Wait()
	ended := make(chan error, len(parts))
	type running struct {
		part
		stop context.CancelFunc
		done chan struct{}
	}
	var started []running
	for _, p := range parts {
		// Not derived from ctx: the end of ctx must reach the parts one after the other.
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := running{p, stop, make(chan struct{})}
		all.Go(func() {
			defer close(r.done)
			err := r.run(own)
			switch {
			case own.Err() == nil && err == nil:
				err = errEnded
			case own.Err() != nil:
				if err != nil && !errors.Is(err, context.Canceled) {
					log.Warn("part stopped with an error", "part", r.name, "err", err)
				}
				return
			}
			ended <- fmt.Errorf("%s: %w", r.name, err)
		})
		started = append(started, r)
	}
	var first error
	select {
	case <-ctx.Done():
	case first = <-ended:
	}
	for i := len(started) - 1; i >= 0; i-- {
		started[i].stop()
		<-started[i].done
		log.Debug("part stopped", "part", started[i].name)
	}
	return first
}

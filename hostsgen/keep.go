package hostsgen

import (
	"context"
	"time"

	"github.com/baton-db/baton/registry"
)

// Feed hands out the newest state; *registry.Feed is one. Changed is closed at the next change after the call.
type Feed interface {
	State() *registry.State
	Changed() <-chan struct{}
}

// How often a file is written.
const (
	quiet   = 5 * time.Millisecond  // a storm of changes is over when nothing came for so long
	atMost  = 50 * time.Millisecond // a storm is written this long after it began
	recheck = 10 * time.Second      // other programs (cloud-init, Docker) may have written the file anew
	retry   = time.Second           // after an error
)

// Keep updates the file whenever the feed has a new state, until ctx ends. It only reads the feed and so never holds it
// up. After an error it goes on trying and logs each new one once; the file keeps its last good content (G7).
func (f *File) Keep(ctx context.Context, feed Feed) {
	trouble := ""
	for ctx.Err() == nil {
		changed := feed.Changed()
		state := feed.State()
		wait := recheck
		if state.Index() > 0 { // before the first state is heard nothing is known about any name
			_, err := f.Update(ctx, state.Records(), state.Index())
			if err != nil {
				wait = retry
			}
			trouble = f.note(ctx, trouble, err)
		}
		settle(ctx, feed, changed, wait)
	}
}

// note logs the beginning and the end of trouble, and returns what the trouble is now.
func (f *File) note(ctx context.Context, trouble string, err error) string {
	switch {
	case ctx.Err() != nil:
		return trouble
	case err != nil && err.Error() != trouble:
		f.logger().Error("the hosts file is not up to date", "error", err)
		return err.Error()
	case err == nil && trouble != "":
		f.logger().Info("the hosts file is up to date again", "path", f.Path)
	}
	if err == nil {
		return ""
	}
	return trouble
}

// settle returns when changes came and then none for a moment, or after wait without any.
func settle(ctx context.Context, feed Feed, changed <-chan struct{}, wait time.Duration) {
	idle := time.NewTimer(wait)
	defer idle.Stop()
	select {
	case <-changed:
	case <-idle.C:
		return
	case <-ctx.Done():
		return
	}
	end := time.NewTimer(atMost)
	defer end.Stop()
	for {
		calm := time.NewTimer(quiet)
		changed = feed.Changed()
		select {
		case <-changed:
			calm.Stop()
		case <-calm.C:
			return
		case <-end.C:
			calm.Stop()
			return
		case <-ctx.Done():
			calm.Stop()
			return
		}
	}
}

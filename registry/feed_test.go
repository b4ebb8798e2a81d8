package registry_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/registry"
)

// A reader that missed a change would wait for ever, which ends the bubble with a deadlock.
func TestAFeedMissesNoChange(t *testing.T) {
	const last = 200
	for name, pause := range map[string]time.Duration{"storm": 0, "one at a time": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := registry.New("test")
				f := registry.NewFeed(s)
				var readers sync.WaitGroup
				for reader := range 8 {
					readers.Go(func() {
						for seen := registry.Index(0); seen < last; {
							changed := f.Changed()
							now := f.State().Index()
							if now < seen {
								t.Errorf("reader %d went back from %d to %d", reader, seen, now)
							}
							if seen = now; seen < last {
								<-changed
							}
							time.Sleep(time.Duration(reader) * pause / 4) // some are slower than the storm
						}
					})
				}
				for i := range registry.Index(last) {
					f.Publish(s.WithIndex(i + 1))
					time.Sleep(pause)
				}
				readers.Wait()
			})
		})
	}
}

func TestAReaderThatWaitsWakesOncePerQuietChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := registry.New("test")
		f := registry.NewFeed(s)
		changed := f.Changed()
		select {
		case <-changed:
			t.Fatal("woken before a change")
		default:
		}
		f.Publish(s.WithIndex(1))
		<-changed
		if f.State().Index() != 1 {
			t.Errorf("woken at index %d, want 1", f.State().Index())
		}
		select {
		case <-f.Changed():
			t.Error("woken twice for one change")
		default:
		}
	})
}

package beat_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/internal/beat"
)

func TestTasksWakeAtTheSameMoments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now() // in a bubble it is a whole second
		at := func(every time.Duration) time.Duration {
			wait := beat.Until(every)
			if wait <= 0 || wait > every {
				t.Errorf("%s until the next %s", wait, every)
			}
			return time.Since(began) + wait
		}
		for _, rest := range []time.Duration{0, time.Nanosecond, 130 * time.Millisecond, 249 * time.Millisecond} {
			time.Sleep(rest) // in the bubble
			now := time.Since(began)
			quarter, half := now.Truncate(250*time.Millisecond)+250*time.Millisecond, now.Truncate(500*time.Millisecond)+500*time.Millisecond
			if a, b := at(250*time.Millisecond), at(500*time.Millisecond); a != quarter || b != half {
				t.Errorf("at %s the next looks are at %s and %s, want %s and %s", now, a, b, quarter, half)
			}
		}
	})
}

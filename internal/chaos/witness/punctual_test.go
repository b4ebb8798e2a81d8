package witness_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/baton-db/baton/internal/chaos/witness"
)

// A pause of a second that lasts two is another fault, and what it causes is no finding.
func TestAPauseEndsInTimeAlthoughNobodyIsThereToEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		healed := 0
		undo := witness.Punctual(func(context.Context) error { healed++; return nil }, time.Second)
		time.Sleep(1100 * time.Millisecond) // in the bubble
		synctest.Wait()
		if healed != 1 {
			t.Errorf("after 1.1 s it was healed %d times, want once", healed)
		}
		if err := undo(t.Context()); err != nil || healed != 1 {
			t.Errorf("healed again: %d times, %v", healed, err)
		}
	})
}

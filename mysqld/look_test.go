package mysqld

import (
	"context"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// Numbers of sessions begin anew with each process of a server: the one of a look that was given up in the process before may
// be that of whoever asks.
func TestALookIsNotHeldBackByTheSessionThatAsks(t *testing.T) {
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			running := labtest.Start(t, labtest.Require(t, family), 1)[0]
			s, err := Open(Config{Socket: running.Socket(), User: "baton", Password: "baton", ProbeTimeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			err = s.on(t.Context(), s.side, "learn its number", func(ctx context.Context, c *session) error {
				s.stray, err = s.id(ctx, s.side, c)
				return err
			})
			if err != nil || s.stray == "" {
				t.Fatal(err)
			}
			if err := s.strayGone(t.Context()); err != nil || s.stray != "" {
				t.Errorf("it waits for itself: %v, %q", err, s.stray)
			}
		})
	}
}

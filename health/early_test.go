package health_test

import (
	"context"
	"errors"
	"testing"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/process"
)

// early is a server that answers before its process was found.
type early struct{}

func (early) Status(context.Context) (mysqld.Status, error) { return mysqld.Status{}, nil }
func (early) Process(context.Context) (process.Run, error) {
	return process.Run{}, errors.New("not found yet")
}
func (early) Canary(context.Context, string) error            { return nil }
func (early) CommitsWaitForAcks(context.Context) (int, error) { return 0, nil }
func (early) CanaryLock(context.Context) (mysqld.Lock, error) { return mysqld.Lock{}, nil }

func TestAnAnswerCountsOnlyWithTheProcessThatGaveIt(t *testing.T) {
	c := health.NewChecker(health.DefaultCheckerConfig(), early{})
	o := c.Refresh(t.Context())
	var r health.Report
	health.Describe(o, &r)
	if o.Good || r.UnreachableMillis == 0 {
		t.Errorf("good %t, unreachable for %d ms, incarnation %q: who has just been started looks like a server in another's place",
			o.Good, r.UnreachableMillis, o.Incarnation)
	}
}

package witness

import (
	"context"
	"sync"
	"time"
)

// Punctual returns what takes a fault back that is over after hold, and calls undo then although its caller is still busy, as
// with dialling a server that is paused. Undo is called once, from any goroutine, and its error is returned.
func Punctual(undo func(context.Context) error, hold time.Duration) func(context.Context) error {
	once := sync.OnceValue(func() error { return undo(context.Background()) })
	timer := time.AfterFunc(hold, func() { _ = once() }) // its error is returned below
	return func(context.Context) error {
		timer.Stop()
		return once()
	}
}

// Package vendorlog writes what hashicorp/raft logs with slog.
package vendorlog

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A bridge is the vendor's logger on top of slog. What the vendor calls an error is a warning here at most: a peer that
// does not answer is a fact, not a fault. The same message is let through once per quiet period.
type bridge struct {
	log  *slog.Logger
	name string
	args []any
	seen *seen
}

var _ hclog.Logger = (*bridge)(nil)

// seen remembers when each message was let through.
type seen struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// quiet is how long a repeated message is kept back.
const quiet = 10 * time.Second

// New returns a logger for the vendor.
func New(l *slog.Logger) hclog.Logger {
	return &bridge{log: l, name: "raft", seen: &seen{last: map[string]time.Time{}}}
}

// level translates: only warnings and errors are worth an operator's attention, and none of them is fatal.
func level(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelWarn
	case hclog.Warn:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Log writes one message.
func (b *bridge) Log(l hclog.Level, message string, args ...any) {
	to := level(l)
	if !b.log.Enabled(context.Background(), to) || (to > slog.LevelDebug && b.repeats(message, args)) {
		return
	}
	b.log.Log(context.Background(), to, message, append(plain(b.args), plain(args)...)...)
}

// repeats reports whether the same was said within the quiet period. At most a few dozen messages exist.
func (b *bridge) repeats(message string, args []any) bool {
	key := message
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "peer" || args[i] == "from" {
			key += fmt.Sprint(plain(args[i+1 : i+2])...)
		}
	}
	b.seen.mu.Lock()
	defer b.seen.mu.Unlock()
	last, ok := b.seen.last[key]
	if ok && time.Since(last) < quiet {
		return true
	}
	b.seen.last[key] = time.Now()
	return false
}

// plain turns the vendor's lazy values, hclog.Fmt and its kin, into strings.
func plain(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case hclog.Format:
			if len(v) > 0 {
				out[i] = fmt.Sprintf(fmt.Sprint(v[0]), v[1:]...)
			}
		case hclog.Hex, hclog.Octal, hclog.Binary, hclog.Quote:
			out[i] = fmt.Sprint(v)
		default:
			out[i] = a
		}
	}
	return out
}

// Trace logs at debug level.
func (b *bridge) Trace(m string, args ...any) { b.Log(hclog.Trace, m, args...) }

// Debug logs at debug level.
func (b *bridge) Debug(m string, args ...any) { b.Log(hclog.Debug, m, args...) }

// Info logs at debug level.
func (b *bridge) Info(m string, args ...any) { b.Log(hclog.Info, m, args...) }

// Warn logs at info level.
func (b *bridge) Warn(m string, args ...any) { b.Log(hclog.Warn, m, args...) }

// Error logs at warn level.
func (b *bridge) Error(m string, args ...any) { b.Log(hclog.Error, m, args...) }

func (b *bridge) enabled(l hclog.Level) bool { return b.log.Enabled(context.Background(), level(l)) }

// IsTrace reports whether debug messages are wanted; so do the next two.
func (b *bridge) IsTrace() bool { return b.enabled(hclog.Trace) }

// IsDebug is IsTrace.
func (b *bridge) IsDebug() bool { return b.enabled(hclog.Debug) }

// IsInfo is IsTrace.
func (b *bridge) IsInfo() bool { return b.enabled(hclog.Info) }

// IsWarn reports whether the vendor's warnings are wanted.
func (b *bridge) IsWarn() bool { return b.enabled(hclog.Warn) }

// IsError reports whether the vendor's errors are wanted.
func (b *bridge) IsError() bool { return b.enabled(hclog.Error) }

// ImpliedArgs returns what With added.
func (b *bridge) ImpliedArgs() []any { return b.args }

// With returns a logger that adds the pairs to every message.
func (b *bridge) With(args ...any) hclog.Logger {
	c := *b
	c.args = append(append([]any{}, b.args...), args...)
	return &c
}

// Name returns the name.
func (b *bridge) Name() string { return b.name }

// Named returns the same logger: the room's name is enough.
func (b *bridge) Named(string) hclog.Logger { return b }

// ResetNamed returns the same logger.
func (b *bridge) ResetNamed(string) hclog.Logger { return b }

// SetLevel does nothing: levels are slog's.
func (b *bridge) SetLevel(hclog.Level) {}

// GetLevel returns the lowest level: slog filters.
func (b *bridge) GetLevel() hclog.Level { return hclog.Trace }

// StandardLogger returns a logger of the standard library that writes debug messages.
func (b *bridge) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(b.StandardWriter(o), "", 0)
}

// StandardWriter returns a writer of debug messages, one per Write.
func (b *bridge) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return lines{b} }

type lines struct{ to *bridge }

func (l lines) Write(p []byte) (int, error) {
	l.to.Debug(strings.TrimSpace(string(p)))
	return len(p), nil
}

package discovery

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// logQueue takes memberlist's log lines without ever blocking it and passes them on to slog in follow.
type logQueue struct {
	lines   chan string
	urgent  urgency      // raised when a line announces news
	dropped atomic.Int64 // since the last line passed on
}

// Limits of the log: a peer with a wrong key sends fifty packets a second, and each makes a line.
const (
	logQueueSize = 256
	logPerSecond = 2
	logBurst     = 20
)

func newLogQueue(u urgency) *logQueue {
	return &logQueue{lines: make(chan string, logQueueSize), urgent: u}
}

// Write is called by log.Logger with one line.
func (q *logQueue) Write(p []byte) (int, error) {
	q.urgent.raiseFor(p)
	q.put(string(p))
	return len(p), nil
}

func (q *logQueue) put(line string) {
	select {
	case q.lines <- line:
	default:
		q.dropped.Add(1)
	}
}

// follow passes lines on until ctx ends, and then those that are left.
func (q *logQueue) follow(ctx context.Context, log *slog.Logger) {
	limit := rate.NewLimiter(logPerSecond, logBurst)
	for {
		select {
		case line := <-q.lines:
			q.pass(log, limit, line)
			continue
		case <-ctx.Done():
		}
		for {
			select {
			case line := <-q.lines:
				q.pass(log, limit, line)
			default:
				return
			}
		}
	}
}

func (q *logQueue) pass(log *slog.Logger, limit *rate.Limiter, line string) {
	level, text := parseLine(line)
	ctx := context.Background() // the lines belong to no call
	if !log.Enabled(ctx, level) {
		return
	}
	if level > slog.LevelDebug && !limit.Allow() {
		q.dropped.Add(1)
		return
	}
	if n := q.dropped.Swap(0); n > 0 {
		log.Log(ctx, level, text, "lines_dropped_before", n)
		return
	}
	log.Log(ctx, level, text)
}

// parseLine takes a line of memberlist apart: "[WARN] memberlist: text".
func parseLine(line string) (slog.Level, string) {
	text := strings.TrimSpace(line)
	level := slog.LevelInfo
	if rest, ok := strings.CutPrefix(text, "["); ok {
		if name, after, ok := strings.Cut(rest, "] "); ok {
			level, text = levelOf(name), after
		}
	}
	text = strings.TrimPrefix(text, "memberlist: ")
	// The first three happen at every probe of a member that is down, which Run reports once; the last whenever a packet
	// was lost, and it is how suspicion is meant to end.
	for _, noise := range []string{"Failed fallback TCP ping", "Push/Pull with", "Failed to send", "Refuting a suspect message"} {
		if strings.HasPrefix(text, noise) {
			level = slog.LevelDebug
		}
	}
	return level, "gossip: " + text
}

func levelOf(name string) slog.Level {
	switch name {
	case "DEBUG", "INFO": // its information is this room's debugging: Run reports what changed
		return slog.LevelDebug
	case "WARN", "ERR", "ERROR": // none of its errors stops it
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

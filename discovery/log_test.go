package discovery

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
)

func TestLogLinesKeepTheirMeaning(t *testing.T) {
	for _, c := range []struct {
		line  string
		level slog.Level
		text  string
	}{
		{"[WARN] memberlist: Got ping for unexpected node\n", slog.LevelWarn, "gossip: Got ping for unexpected node"},
		{"[ERR] memberlist: Decrypt packet failed: x\n", slog.LevelWarn, "gossip: Decrypt packet failed: x"},
		{"[ERROR] memberlist: x", slog.LevelWarn, "gossip: x"},
		{"[INFO] memberlist: Marking db1 as failed", slog.LevelDebug, "gossip: Marking db1 as failed"},
		{"[DEBUG] memberlist: x", slog.LevelDebug, "gossip: x"},
		{"[ERR] memberlist: Failed fallback TCP ping: x", slog.LevelDebug, "gossip: Failed fallback TCP ping: x"},
		{"[WARN] memberlist: Refuting a suspect message (from: db1)", slog.LevelDebug, "gossip: Refuting a suspect message (from: db1)"},
		{"[WARN] memberlist: Refuting a dead message (from: db1)", slog.LevelWarn, "gossip: Refuting a dead message (from: db1)"},
		{"[ERR] Failed to shutdown transport: x", slog.LevelWarn, "gossip: Failed to shutdown transport: x"},
		{"Err: Could not set the deadline", slog.LevelInfo, "gossip: Err: Could not set the deadline"},
		{"[", slog.LevelInfo, "gossip: ["},
		{"", slog.LevelInfo, "gossip: "},
	} {
		if level, text := parseLine(c.line); level != c.level || text != c.text {
			t.Errorf("%q: %v %q, want %v %q", c.line, level, text, c.level, c.text)
		}
	}
}

// A flood neither blocks its writer nor fills the log, and what was left out is counted.
func TestLogFloodIsCutAndCounted(t *testing.T) {
	q := newLogQueue(make(urgency, 1))
	l := log.New(q, "", 0)
	const flood = 10 * logQueueSize
	for i := range flood {
		l.Printf("[WARN] memberlist: %d", i)
	}
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q.follow(ctx, slog.New(slog.NewTextHandler(&out, nil)))
	if got := strings.Count(out.String(), "\n"); got < logBurst || got > 2*logBurst {
		t.Errorf("%d lines of %d were logged", got, flood)
	}
	if want := fmt.Sprintf("lines_dropped_before=%d", flood-logQueueSize); !strings.Contains(out.String(), want) {
		t.Errorf("the log does not say %s:\n%s", want, out.String())
	}
}

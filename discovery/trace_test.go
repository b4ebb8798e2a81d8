package discovery_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestXTrace(t *testing.T) {
	if os.Getenv("Y") == "" {
		t.Skip()
	}
	found := false
	for r := range 3000 {
		if found {
			break
		}
		synctest.Test(t, func(t *testing.T) {
			size := 3
			var buf logBuffer
			lg := func(n string) *slog.Logger {
				return slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug})).With("at", n)
			}
			logFor = lg
			c := newCluster(t, size)
			for _, g := range c.nodes {
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan struct{})
				go func() { defer close(done); g.FollowLogs(ctx) }()
				t.Cleanup(func() { cancel(); <-done })
			}
			c.net.SetLoss(0.05, uint64(r))
			c.net.SetDelay(200*time.Microsecond, time.Millisecond)
			for i := range 60 {
				fz := i * 7 % size
				buf.mu.Lock()
				buf.buf = bytes.Buffer{}
				buf.mu.Unlock()
				c.net.Pause(fmt.Sprintf("n%d", fz))
				fmt.Fprintf(&buf, "time=%s PAUSE n%d\n", time.Now().Format("15:04:05.000"), fz)
				for k := range 1000 {
					if k == 300 {
						c.net.Resume(fmt.Sprintf("n%d", fz))
						fmt.Fprintf(&buf, "time=%s RESUME n%d\n", time.Now().Format("15:04:05.000"), fz)
					}
					time.Sleep(time.Millisecond)
				}
				for a, g := range c.nodes {
					for b := range c.nodes {
						if !found && state(g, fmt.Sprintf("n%d", b)) != 0 {
							found = true
							t.Log("n", a, "sees failed n", b)
							var out []string
							for l := range strings.Lines(buf.String()) {
								if strings.Contains(l, fmt.Sprintf("n%d", b)) {
									out = append(out, l)
								}
							}
							os.WriteFile("/tmp/trace.txt", []byte(strings.Join(out, "")), 0o644)
							os.WriteFile("/tmp/trace-all.txt", []byte(buf.String()), 0o644)
						}
					}
				}
				if found {
					break
				}
			}
		})
	}
}

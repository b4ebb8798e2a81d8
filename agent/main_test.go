package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/baton-db/baton/agent"
	"github.com/baton-db/baton/config"
)

// TestMain lets this test program be the nodes as well, so that they are built as the tests are: with the race detector
// when the tests have it.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "agent" {
		os.Exit(runNode(os.Args[3]))
	}
	os.Exit(m.Run())
}

// runNode is what `baton agent --config path` does.
func runNode(path string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() error {
		cfg, err := config.Load(path)
		if err != nil {
			return err
		}
		a, err := agent.New(cfg, "test", slog.New(slog.NewTextHandler(os.Stderr, nil)))
		if err != nil {
			return err
		}
		return a.Run(ctx)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return 1
	}
	return 0
}

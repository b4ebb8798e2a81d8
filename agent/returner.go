package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/promote"
	"github.com/baton-db/baton/promote/rejoin"
)

// newReturner prepares what brings the server of k back when it holds what the primary lacks.
func newReturner(cfg Config, k *keeper, account mysqld.Source, feed promote.Feed) (*rejoin.Returner, error) {
	d := cfg.Database
	r, err := rejoin.New(rejoin.Config{Database: d.Name, Instance: d.Instance, Data: cfg.DataDir, Policy: d.OnDivergence,
		Start: initSystem(d.Start), Stop: initSystem(d.Stop), Replication: account, Notify: k.poke, Logger: k.log.With("room", "rejoin")},
		rejoin.Parts{Server: k.server, Guard: func() rejoin.Guard { return k.guard }, Observer: k.checker, Feed: feed})
	if err != nil {
		return nil, fmt.Errorf("return of %s: %w", d.Instance, err)
	}
	return r, nil
}

// initSystem runs a program that starts or stops the server; nil for none. What it says goes into a file: a server that is
// its child may hold the output open for as long as it lives.
func initSystem(argv []string) func(context.Context) error {
	if len(argv) == 0 {
		return nil
	}
	return func(ctx context.Context) (err error) {
		said, err := os.CreateTemp("", "baton-start-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, said.Close(), os.Remove(said.Name())) }()
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Run(); err != nil {
			text := make([]byte, 300)
			n, _ := said.ReadAt(text, 0) // what can be read of it
			return fmt.Errorf("%s: %w: %s", argv[0], err, bytes.TrimSpace(text[:n]))
		}
		return nil
	}
}

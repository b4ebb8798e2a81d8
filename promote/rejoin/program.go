package rejoin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Program runs a program that starts or stops the server; nil for none. What it says goes into a file: a server that is
// its child may hold the output open for as long as it lives.
func Program(argv []string) func(context.Context) error {
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

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// CopyFrom replaces the data directory by that of a server that runs, as a crash would leave it: that one stands still for as
// long as the copy takes, and nothing is asked of it. On MySQL the copy gets another server UUID. The server must be stopped.
// When it fails the server has no data directory, or the one it had.
func (s *Server) CopyFrom(other *Server) (err error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	if err := s.idle(); err != nil {
		return fmt.Errorf("copy %s to %s: %w", other.Name(), s.opts.Name, err)
	}
	if err := os.RemoveAll(s.DataDir()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", other.Name(), s.opts.Name, err)
	}
	if err := other.Freeze(); err != nil {
		return fmt.Errorf("copy %s to %s: %w", other.Name(), s.opts.Name, err)
	}
	err = errors.Join(copyDir(other.DataDir(), s.DataDir()), other.Thaw())
	if err == nil {
		// The server's identity: each copy must make its own.
		if err = os.Remove(filepath.Join(s.DataDir(), "auto.cnf")); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", other.Name(), s.opts.Name, errors.Join(err, os.RemoveAll(s.DataDir())))
	}
	return nil
}

// idle returns an error when a process runs, should run, or must never run again.
func (s *Server) idle() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quit != nil || s.proc != nil && !s.proc.ended() || s.closed {
		return errors.New("it is not stopped, or closed")
	}
	return nil
}

// copyDir copies a directory to a place where there is none. Holes stay holes.
func copyDir(from, to string) error {
	ctx, cancel := context.WithTimeout(context.Background(), copyTimeout)
	defer cancel()
	tmp := to + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if _, err := run(ctx, []string{"cp", "-a", "--reflink=auto", "--sparse=always", from, tmp}); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return os.Rename(tmp, to)
}
